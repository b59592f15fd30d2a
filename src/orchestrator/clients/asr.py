"""One session's ears: a long-lived Recognize stream to an ASR worker, found by placement, replaced when it is lost.

What was said of an utterance that has no final yet is kept (`unheard.py`), so that another worker, or the same one with
another decoder, can hear it again when the first one dies, hangs up or has no room; what of its text was stable stands,
whoever goes on with it. Two losses are borne: a third recogniser is not tried with the same audio, nor a second one
with audio on which one hung. Then the user is told, and what follows is heard as a new piece of the same utterance. One
that nobody had room for is heard as soon as there is some, if it still goes on; its user is told if that takes long.

Where nobody is there for `SOON_S` after a loss (`ALONE_S` where there was nobody before, or no room), who has ended is
told so, and so is who goes on: that is still kept, and heard should anybody come.

What is too long for a worker it ends, and says where: what follows is told to it as another piece of the same
utterance, until its speaker has ended.

A worker that owes an answer for `STALLED_S` and says nothing is late or dead, which its health tells: a dead one is
left; a late one is left if there is another. Else it is waited for, as it may be getting a new decoder in the place of
one that hung in somebody else's utterance; what it owes for `LATE_S` is given up, and it is asked for the next one.

News goes to `post`; nothing here waits except `run`.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator

import grpc.aio

from base import rpc
from base.errors import AntiphonError, AtCapacity, TimedOut, Unavailable
from orchestrator import wire
from orchestrator.clients.stream import Stream
from orchestrator.clients.unheard import MOST_LOSSES, Unheard
from orchestrator.clients.workers import Shunned, Workers, identity
from orchestrator.conversation.events import Event, FinalHeard, PartialHeard, RecognitionDelayed, RecognitionFailed
from pb.antiphon.v1 import recognition_pb2_grpc
from registry.placement import Candidate, Wanted
from registry.records import WorkerRecord

SHUN_S = 2.0
FULL_S = 0.5
AGAIN_S = 0.2
"""Before a worker that lost a decoder is told again; twice as long each time that an utterance was given up."""
LONGEST_AGAIN_S = 5.0
ALONE_S = 1.0
SOON_S = 5.0
"""A worker that was lost may be back by then: `up` starts it again, and so does any supervisor."""
LOOK_S = 0.2
OUTBOX = 1024
STALLED_S = 5.0
"""A worker that says nothing at all for this long after the end of an utterance is late, or hangs."""
LATE_S = 20.0
"""A final that is owed for longer is given up. A worker needs up to its `stall_s`, and a load, to replace a decoder."""
CUT = "you spoke for longer than I can listen at a time; some of what you said then may not have been heard"
"""A worker did not say where it ended what was too long."""
HEALTH_S = 2.0
"""It hangs if it does not answer for its health either."""

_Recognizing = Stream[wire.RecognizeRequest, wire.RecognizeResponse]


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
        self._live: dict[int, Unheard] = {}
        self._wires = itertools.count(1)
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
        self._ready = False
        """The present worker has answered."""
        self._left = False
        """It is left by our own wish."""
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
            live = self._live[utterance] = Unheard(utterance)
            self._begin(live)
            if self._lost_it:
                self._delay(live)
        waits = live.waits
        live.audio(sample, pcm)
        if live.overrun and self._stream is not None:
            self._stream.unread_nowait()
        elif not waits:
            self._say(live)

    def end_nowait(self, utterance: int, sample: int) -> None:
        live = self._live.get(utterance)
        if live is None:
            return
        live.ended, live.ended_s = sample, self._clock()
        if not self._ready and self.trouble:
            self._fail(live, self.trouble)
        elif live.wire is not None:
            self._send(wire.utterance_end(live.wire, sample))

    def cancel_nowait(self, utterance: int) -> None:
        live = self._live.pop(utterance, None)
        if live is not None:
            self._cancel(live)

    def hear_nowait(self, language: str, ear: str = "") -> None:
        """From the next utterance on, another language is spoken, or another model is to listen."""
        self._language, self._ear = language, ear

    def tick(self, now: float) -> None:
        """Call now and then: tells what is to be heard again, and looks after a worker that owes an answer for long."""
        if not self._ready and self._why is not None:
            self._mind_alone(now)
        if self._stream is None:
            return
        again = next((u for u, live in self._live.items() if live.again_s is not None and live.again_s <= now), None)
        if again is not None:
            self._tell(live for u, live in self._live.items() if u >= again)
        if self._overdue(now):
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
            return who
        now = self._clock()
        if self._alone_since_s is None:
            self._alone_since_s = now
        self._mind_alone(now)
        await self._workers.wait_for(wanted, timeout_s=LOOK_S, exclude=exclude)
        return None

    def _mind_alone(self, now: float) -> None:
        """Nobody hears: who has spoken, or does, is told in the end."""
        if self._alone_since_s is None or now - self._alone_since_s < (SOON_S if self._lost_it else ALONE_S):
            return
        self.trouble = self._nobody()
        for live in list(self._live.values()):
            if live.ended is not None:
                self._fail(live, self.trouble)
            elif self._lost_it:
                self._tell_user(live, self.trouble)
                self._delay(live)

    async def _converse(self, who: Candidate) -> None:
        """One stream, from its opening to its loss. Returns when it was left."""
        async with self._workers.channel(who.worker.address) as channel:
            stub = recognition_pb2_grpc.SpeechToTextStub(channel)
            self._who, self._tongue = who, (self._language, self._ear)
            self._news_s = self._clock()
            self._doubt.clear()
            self._ready = self._left = False
            stream = self._stream = Stream(stub.Recognize(), f"ears of worker {who.worker.id}", OUTBOX)
            self._send(wire.recognition_config(self._language, self._phrases, self._ear))
            self._tell(self._live.values())
            if self._lost_it:
                for live in self._live.values():
                    self._delay(live)
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
                    self._deaf(lost)
                    self._ready = False
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
            for live in self._overdue(self._clock()):
                self._late(live)
            await asyncio.sleep(LOOK_S)
            self._doubt.clear()

    def _begin(self, live: Unheard) -> None:
        """Whoever is there hears it from now on."""
        live.begin(next(self._wires) if self._stream is not None else None)

    def _say(self, live: Unheard) -> None:
        """What is untold of it has its place in the line to the worker, and is as much as there is when its turn comes:
        a worker that falls behind gets fewer messages, not older ones."""
        if self._stream is not None and live.wire is not None:
            self._stream.due_nowait(functools.partial(_untold, live, live.wire))

    def _tell(self, lives: Iterable[Unheard]) -> None:
        """Tells the worker what nobody has answered yet, from the beginning; a later utterance ends those before it."""
        for live in list(lives):
            self._cancel(live)
            live.lost()
            self._begin(live)
            if live.wire is None:
                continue
            self._say(live)
            if live.ended is not None:
                self._send(wire.utterance_end(live.wire, live.ended))

    def _deaf(self, lost: AntiphonError | None) -> None:
        """The stream is over; `lost`: by no wish of ours. What it was told of is told to the next one."""
        heard = self._ready and not self._left and lost is not None
        for live in list(self._live.values()):
            live.lost()
            live.again_s = None
            live.losses += heard
            if live.losses > MOST_LOSSES:
                self._give_up(live, "one recogniser after another was lost over it")
            elif lost is not None:
                self._delay(live)

    def _lost(self, worker: WorkerRecord, error: AntiphonError) -> None:
        self._workers.failed(worker, error)
        self.failovers += 1
        self._why = error
        if self._alone_since_s is None:
            self._alone_since_s = self._clock()
        full = isinstance(error, AtCapacity)
        self._shunned.shun(worker, max(FULL_S, error.retry_after_s or 0.0) if full else SHUN_S)

    def _take(self, response: wire.RecognizeResponse) -> None:
        self._news_s = self._clock()
        match response.WhichOneof("body"):
            case "ready":
                self.trouble, self._why, self._ready = "", None, True
                self._alone_since_s = None
            case "partial":
                partial = wire.partial(response)
                live = self._of(partial.utterance)
                shown = live.partial(partial.text, partial.stable) if live is not None else None
                if live is not None and shown is not None:
                    self._post(PartialHeard(live.utterance, *shown, language=partial.language))
            case "final":
                final = wire.final(response)
                live = self._of(final.utterance)
                if live is None:
                    return
                text = live.final(final.text)
                if final.end or live.ended is None:
                    self._post(PartialHeard(live.utterance, text, len(text), language=final.language))
                    self._go_on(live, final.end)
                else:
                    del self._live[live.utterance]
                    self._post(FinalHeard(live.utterance, text, final.confidence, language=final.language))
            case "error":
                live = self._of(response.error.utterance)
                if live is not None:
                    self._refused(live, wire.utterance_error(response))
            case _:
                pass

    def _go_on(self, live: Unheard, sample: int) -> None:
        """The worker heard nothing of it from `sample` on; 0: from nobody knows where."""
        if not sample:
            live.forget()
            self._notice("utterance_cut", CUT)
        live.go_on(sample)
        if live.ended is not None:
            self._delay(live)
        self._tell(x for u, x in self._live.items() if u >= live.utterance)

    def _refused(self, live: Unheard, error: AntiphonError) -> None:
        """A worker without room, or which lost what heard it, is left for another one if there is one; else it is asked
        again: in a moment where a decoder was lost, later where there was no room. Any other error is the end of what
        was said until then.
        """
        live.lost()
        full, lost = isinstance(error, AtCapacity), isinstance(error, Unavailable)
        live.losses += lost
        if (full or lost) and live.losses <= MOST_LOSSES and self._who is not None and self._stream is not None:
            if self._elsewhere():
                self._shunned.shun(self._who.worker, max(FULL_S, error.retry_after_s or 0.0))
                self._left = True
                self._stream.leave_nowait(error)
                return
            if lost:
                self._delay(live)
                live.again_s = self._clock() + AGAIN_S
                return
        if full and live.ended is None:
            live.refused += 1
            if live.refused > 1:
                self._tell_user(live, error.message)
            live.again_s = self._clock() + max(FULL_S, error.retry_after_s or 0.0)
            return
        self._give_up(live, error.message)

    def _give_up(self, live: Unheard, message: str) -> None:
        """What was said of it until now is not heard again; what follows is."""
        if live.ended is not None:
            self._fail(live, message)
            return
        self._tell_user(live, message)
        live.give_up()
        live.again_s = self._clock() + min(LONGEST_AGAIN_S, AGAIN_S * 2.0 ** (live.given_up - 1))

    def _late(self, live: Unheard) -> None:
        """Another worker hears it; where there is none, it is waited for, and given up in the end."""
        if not self._elsewhere() and self._clock() - live.ended_s <= LATE_S:
            return
        self._cancel(live)
        message = "the recogniser is too slow: there is more to hear than it can do"
        self._refused(live, AtCapacity(message, retry_after_s=SHUN_S))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _of(self, number: int) -> Unheard | None:
        """The utterance that has this number on the present stream, if it is still wanted."""
        return next((live for live in self._live.values() if live.wire == number), None)

    def _overdue(self, now: float) -> list[Unheard]:
        """Utterances that have ended, and of which nothing was heard for long."""
        if now - self._news_s <= STALLED_S:
            return []
        return [x for x in self._live.values() if x.ended is not None and now - x.ended_s > STALLED_S]

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
        if self._lost_it:
            return "the recogniser was lost; typing works until it is back"
        if isinstance(self._why, AtCapacity):
            return "every recogniser is busy; try again in a moment, or type"
        named = f" {self._ear!r}" if self._ear else ""
        return f"no recogniser{named} for {self._language or 'any language'!r} is running; typing works"

    @property
    def _lost_it(self) -> bool:
        """There was one, and it was not left for want of room."""
        return self._why is not None and not isinstance(self._why, AtCapacity)

    def _send(self, message: wire.RecognizeRequest) -> None:
        if self._stream is not None:
            self._stream.send_nowait(message)

    def _cancel(self, live: Unheard) -> None:
        if live.wire is not None:
            self._send(wire.utterance_cancel(live.wire))
            live.wire = None

    def _delay(self, live: Unheard) -> None:
        """Its final is worth waiting for."""
        self._post(RecognitionDelayed(live.utterance, SOON_S))

    def _fail(self, live: Unheard, message: str) -> None:
        if self._live.pop(live.utterance, None) is not None:
            self._post(RecognitionFailed(live.utterance, message))

    def _tell_user(self, live: Unheard, message: str) -> None:
        """Once an utterance: it goes on, and something of it may be lost."""
        if not live.told:
            live.told = True
            self._post(RecognitionFailed(live.utterance, message, goes_on=True))

    def _leave_if_unfit(self) -> None:
        """Between utterances: leaves a worker that drains, or that was asked to hear another language."""
        if self._stream is None or self._who is None or self._live:
            return
        if self._tongue != (self._language, self._ear) or not self._workers.fits(self._who, self._wanted()):
            self._stream.leave_nowait()
            self._stream = None


def _untold(live: Unheard, number: int) -> Iterator[wire.RecognizeRequest]:
    """What is untold of it, while it is heard by this number."""
    while live.wire == number and (found := live.untold()) is not None:
        yield wire.utterance_audio(number, *found)
