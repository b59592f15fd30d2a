"""One session's ears: a long-lived Recognize stream to an ASR worker, found by placement, replaced when it is lost.

What was said of an utterance that has no final yet is kept (up to 30 s), so that another worker can hear it from its
beginning when the first one dies, hangs up or has no room. Where there is nobody else for `ALONE_S`, every utterance
ends in RecognitionFailed.

A worker that owes an answer for `STALLED_S` and says nothing is late or dead, which its health tells: a dead one is
left; a late one is left if there is another. Else it is waited for, as it may be getting a new decoder in the place of
one that hung in somebody else's utterance; what it owes for `LATE_S` is given up, and it is asked for the next one.

News goes to `post`; nothing here waits except `run`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc.aio

from base import rpc
from base.audio import UPLINK_RATE
from base.errors import AntiphonError, AtCapacity, TimedOut
from orchestrator import wire
from orchestrator.clients.stream import Stream
from orchestrator.clients.workers import Shunned, Workers, identity
from orchestrator.conversation.events import Event, FinalHeard, PartialHeard, RecognitionFailed
from pb.antiphon.v1 import recognition_pb2_grpc
from registry.placement import Candidate, Wanted
from registry.records import WorkerRecord

KEPT_BYTES = UPLINK_RATE * 2 * 30
SHUN_S = 2.0
FULL_S = 0.5
ALONE_S = 1.0
LOOK_S = 0.2
OUTBOX = 1024
STALLED_S = 5.0
"""A worker that says nothing at all for this long after the end of an utterance is late, or hangs."""
LATE_S = 20.0
"""A final that is owed for longer is given up. A worker needs up to its `stall_s`, and a load, to replace a decoder."""
CUT = "you spoke for longer than I can listen at a time; what came after that was not heard"
HEALTH_S = 2.0
"""It hangs if it does not answer for its health either."""

_Recognizing = Stream[wire.RecognizeRequest, wire.RecognizeResponse]


@dataclass(slots=True)
class _Live:
    """An utterance without its final. `audio` is None once it is too long to be heard again."""

    audio: list[tuple[int, bytes]] | None = field(default_factory=list)
    size: int = 0
    ended: int | None = None
    ended_s: float = 0.0
    early: FinalHeard | None = None
    """Its final, which came before its end: it was too long. It is told at the end."""


class EarsClient:
    """See the module. `phrases` hold for the session; `notice` tells its user something, with a code."""

    def __init__(
        self,
        workers: Workers,
        *,
        language: str,
        ear: str = "",
        phrases: tuple[str, ...],
        post: Callable[[Event], None],
        notice: Callable[[str, str], None],
        clock: Callable[[], float],
    ) -> None:
        self._workers = workers
        self._language = language
        self._ear = ear
        self._phrases = phrases
        self._post = post
        self._notice = notice
        self._clock = clock
        self._live: dict[int, _Live] = {}
        self._newest = -1
        self._who: Candidate | None = None
        self._stream: _Recognizing | None = None
        self._tongue = (language, ear)
        """The language of the stream, and the model that was asked for."""
        self._shunned = Shunned(clock)
        self._alone_since_s: float | None = None
        self._news_s = 0.0
        """When the present worker said something, or was asked first."""
        self._doubt = asyncio.Event()
        self._why: AntiphonError | None = None
        """Why the last worker was left, until one is ready again."""
        self._closed = False
        self.failovers = 0
        self.trouble = ""
        """Why there is no recogniser right now; empty while there is one, or may be."""

    # --- from the uplink and the session ----------------------------------------------------------------------------

    def audio_nowait(self, utterance: int, sample: int, pcm: bytes) -> None:
        live = self._live.get(utterance)
        if live is None:
            if utterance <= self._newest:
                return  # it is over, before its speaker's end
            self._newest = utterance
            self._leave_if_unfit()
            live = self._live[utterance] = _Live()
        if live.early is not None:
            return
        live.size += len(pcm)
        if live.size > KEPT_BYTES:
            live.audio = None
        if live.audio is not None:
            live.audio.append((sample, pcm))
        self._send(wire.utterance_audio(utterance, sample, pcm))

    def end_nowait(self, utterance: int, sample: int) -> None:
        live = self._live.get(utterance)
        if live is None:
            return
        live.ended, live.ended_s = sample, self._clock()
        if live.early is not None:
            del self._live[utterance]
            self._post(live.early)
        elif self._stream is None and self.trouble:
            self._fail(utterance, self.trouble)
        else:
            self._send(wire.utterance_end(utterance, sample))

    def cancel_nowait(self, utterance: int) -> None:
        if self._live.pop(utterance, None) is not None:
            self._send(wire.utterance_cancel(utterance))

    def hear_nowait(self, language: str, ear: str = "") -> None:
        """From the next utterance on, another language is spoken, or another model is to listen."""
        self._language, self._ear = language, ear

    def tick(self, now: float) -> None:
        """Call now and then: a worker that owes an answer for long is looked after."""
        if self._stream is not None and self._overdue(now):
            self._doubt.set()

    def close(self) -> None:
        self._closed = True
        if self._stream is not None:
            self._stream.leave_nowait()

    # --- the task ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keeps a stream open until closed or cancelled."""
        while not self._closed:
            who = await self._find()
            if who is None:
                continue
            try:
                await self._converse(who)
            except AntiphonError as error:
                self._lost(who.worker, error)

    async def _find(self) -> Candidate | None:
        """Whoever can hear the language now; None to look again. Utterances that nobody can hear are ended."""
        wanted, exclude = self._wanted(), self._shunned.now()
        who = self._workers.find(wanted, exclude)
        if who is not None:
            self._alone_since_s = None
            return who
        now = self._clock()
        if self._alone_since_s is None:
            self._alone_since_s = now
        if now - self._alone_since_s >= ALONE_S:
            self.trouble = self._nobody()
            for utterance in [u for u, live in self._live.items() if live.ended is not None]:
                self._fail(utterance, self.trouble)
        await self._workers.wait_for(wanted, timeout_s=LOOK_S, exclude=exclude)
        return None

    async def _converse(self, who: Candidate) -> None:
        """One stream, from its opening to its loss. Returns when it was left."""
        async with self._workers.channel(who.worker.address) as channel:
            stub = recognition_pb2_grpc.SpeechToTextStub(channel)
            self._who, self._tongue = who, (self._language, self._ear)
            self._news_s = self._clock()
            self._doubt.clear()
            stream = self._stream = Stream(stub.Recognize(), f"ears of worker {who.worker.id}", OUTBOX)
            self._send(wire.recognition_config(self._language, self._phrases, self._ear))
            self._replay()
            lost: AntiphonError | None = None
            async with asyncio.TaskGroup() as tasks:
                minding = tasks.create_task(self._mind(channel, stream))
                try:
                    await stream.run(self._take)
                except AntiphonError as error:
                    lost = error
                finally:
                    self._stream = None
                    minding.cancel()
            if lost is not None:
                raise lost

    async def _mind(
        self, channel: grpc.aio.Channel, stream: Stream[wire.RecognizeRequest, wire.RecognizeResponse]
    ) -> None:
        """Tells late from dead."""
        while True:
            await self._doubt.wait()
            if not await rpc.answers(channel, timeout_s=HEALTH_S):
                stream.leave_nowait(TimedOut("the recogniser answers nothing", reason="EARS_STALLED"))
                return
            for utterance in self._overdue(self._clock()):
                self._late(utterance)
            await asyncio.sleep(LOOK_S)
            self._doubt.clear()

    def _replay(self) -> None:
        """Tells a new worker what nobody has answered yet."""
        for utterance, live in list(self._live.items()):
            if live.early is not None:
                continue
            if live.audio is None:
                self._fail(utterance, "the recogniser was lost in a long utterance")
                continue
            for sample, pcm in live.audio:
                self._send(wire.utterance_audio(utterance, sample, pcm))
            if live.ended is not None:
                self._send(wire.utterance_end(utterance, live.ended))

    def _lost(self, worker: WorkerRecord, error: AntiphonError) -> None:
        self._workers.failed(worker, error)
        self.failovers += 1
        self._why = error
        full = isinstance(error, AtCapacity)
        self._shunned.shun(worker, max(FULL_S, error.retry_after_s or 0.0) if full else SHUN_S)

    def _take(self, response: wire.RecognizeResponse) -> None:
        self._news_s = self._clock()
        match response.WhichOneof("body"):
            case "ready":
                self.trouble, self._why = "", None
            case "partial":
                partial = wire.partial(response)
                if partial.utterance in self._live:
                    self._post(PartialHeard(partial.utterance, partial.text, partial.stable, language=partial.language))
            case "final":
                final = wire.final(response)
                live = self._live.get(final.utterance)
                heard = FinalHeard(final.utterance, final.text, final.confidence, language=final.language)
                if live is None:
                    pass
                elif live.ended is None:
                    live.early = heard
                    self._notice("utterance_cut", CUT)
                else:
                    del self._live[final.utterance]
                    self._post(heard)
            case "error":
                self._refused(response.error.utterance, wire.utterance_error(response))
            case _:
                pass

    def _refused(self, utterance: int, error: AntiphonError) -> None:
        """A worker without room is left for another one, if there is one; any other error is the utterance's end."""
        who, stream = self._who, self._stream
        wanted = isinstance(error, AtCapacity) and utterance in self._live
        if wanted and who is not None and stream is not None and self._elsewhere():
            self._shunned.shun(who.worker, max(FULL_S, error.retry_after_s or 0.0))
            stream.leave_nowait(error)
            return
        self._fail(utterance, error.message)

    def _late(self, utterance: int) -> None:
        """Another worker hears it; where there is none, it is waited for, and given up in the end."""
        if not self._elsewhere() and self._clock() - self._live[utterance].ended_s <= LATE_S:
            return
        message = "the recogniser is too slow: there is more to hear than it can do"
        self._refused(utterance, AtCapacity(message, retry_after_s=SHUN_S))
        if utterance not in self._live:
            self._send(wire.utterance_cancel(utterance))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _overdue(self, now: float) -> list[int]:
        """Utterances that have ended, and of which nothing was heard for long."""
        if now - self._news_s <= STALLED_S:
            return []
        return [u for u, live in self._live.items() if live.ended is not None and now - live.ended_s > STALLED_S]

    def _wanted(self) -> Wanted:
        return self._workers.ears(self._language, self._ear)

    def _elsewhere(self) -> bool:
        """Whether another worker could hear what this one is asked."""
        if self._who is None:
            return False
        others = self._shunned.now() | {identity(self._who.worker)}
        return self._workers.find(self._wanted(), others) is not None

    def _nobody(self) -> str:
        """Why nobody hears, for the user."""
        if self._workers.find(self._wanted()) is None:
            named = f" {self._ear!r}" if self._ear else ""
            return f"no recogniser{named} for {self._language or 'any language'!r} is running; typing works"
        if isinstance(self._why, AtCapacity):
            return "every recogniser is busy; try again in a moment, or type"
        return "the recogniser was lost; typing works until it is back"

    def _send(self, message: wire.RecognizeRequest) -> None:
        if self._stream is not None:
            self._stream.send_nowait(message)

    def _fail(self, utterance: int, message: str) -> None:
        if self._live.pop(utterance, None) is not None:
            self._post(RecognitionFailed(utterance, message))

    def _leave_if_unfit(self) -> None:
        """Between utterances: leaves a worker that drains, or that was asked to hear another language."""
        if self._stream is None or self._who is None or self._live:
            return
        if self._tongue != (self._language, self._ear) or not self._workers.fits(self._who, self._wanted()):
            self._stream.leave_nowait()
            self._stream = None
