"""One session's voice: a long-lived Synthesize stream to a TTS worker, found by placement, replaced when it is lost.

All that is needed to say a turn again is kept while it lasts. When its worker dies, hangs, or refuses before the first
sample, the turn goes on at another worker from the first word whose sound had not all come, at the sample where the
audio broke off; who listens to the sink sees one turn. Only when no other worker can speak it does the turn fail:

- a turn that has not sounded waits `start_timeout_s` for a worker that can speak it, `CAPACITY_WAIT_S` while those
  there are have no room;
- one that broke off in the middle waits `FAILOVER_WAIT_S`: a longer silence is worse than a word about it;
- one that a worker cannot speak (its engine failed) is tried on the others that are there, and waits for none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import grpc.aio

from base.audio import FRAMES_PER_SECOND
from base.errors import AntiphonError, AtCapacity, BadRequest, Internal, TimedOut, Unavailable
from base.rpc import error_from_rpc
from orchestrator import wire
from orchestrator.clients.stream import Stream
from orchestrator.clients.unspoken import Said, Unspoken
from orchestrator.clients.workers import Shunned, Workers, identity, wanted_voice
from orchestrator.ports import SynthEvent, SynthFailed, SynthFinished, SynthSink, VoiceChoice
from pb.antiphon.v1 import synthesis_pb2_grpc
from registry.placement import Candidate
from registry.records import WorkerRecord

ROOM = 2500
"""Code points that may wait at the worker before the reply is held back; the worker's own bound is 4,000."""
START_S = 3.0
SHUN_S = 2.0
FULL_S = 0.5
STALLED_S = 8.0
"""A worker may take this long for the first sample…"""
LOADING_S = 150.0
"""… so long while it says that it loads the model; it has a deadline of its own for that…"""
STOPPED_S = 4.0
"""… and be silent for this long between two."""
CAPACITY_WAIT_S = 2.0
FAILOVER_WAIT_S = 1.0
LOOK_S = 0.2
ENGINE_CRASHED = "ENGINE_CRASHED"
"""A model's own process died. Its worker is well, and says when it can be had again: mostly at once."""


@dataclass(slots=True)
class _Wait:
    """How the search for a worker that speaks a turn goes."""

    until_s: float
    """When it ends in vain."""
    error: AntiphonError | None = None
    """Why the last worker did not do it."""
    unable: set[str] = field(default_factory=set)
    """Workers that cannot speak this turn, though they are well."""


class _TurnFailed(Exception):
    """A worker cannot speak the turn."""

    def __init__(self, error: AntiphonError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(slots=True)
class _Link:
    who: Candidate
    session: str
    stream: Stream[wire.TextChunk, wire.AudioFrame]
    number: int = 1
    """What the worker calls the present turn, or the next: one that was only reserved uses a number up as well."""
    reserved: bool = False


class VoiceClient:
    """A `Synthesizer` over TTS workers; see the module. `run` is the session's task; the rest never waits."""

    def __init__(
        self,
        workers: Workers,
        *,
        rate: int,
        sink: SynthSink,
        start_timeout_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._workers = workers
        self._rate = rate
        self._sink = sink
        self._start_timeout_s = start_timeout_s
        self._clock = clock
        self._choice = VoiceChoice()
        self._turn: Unspoken | None = None
        self._wait = _Wait(0.0)
        self._link: _Link | None = None
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._prepare = False
        self._shunned = Shunned(clock)
        self._frame_s = 0.0
        self._early = (0, 0)
        self.failovers = 0
        self.stale = 0

    # --- Synthesizer --------------------------------------------------------------------------------------------------

    def prepare_nowait(self, choice: VoiceChoice) -> None:
        if self._turn is not None:
            return
        self._choice = choice
        self._prepare = True
        self._leave_if_unfit()
        if self._link is not None:
            self._reserve(self._link)
        self._wake.set()

    def release_nowait(self) -> None:
        self._prepare = False
        if self._turn is None and self._link is not None and self._link.reserved:
            self._next_number()

    def begin_nowait(self, turn: int, choice: VoiceChoice) -> None:
        self._turn = Unspoken(turn, choice, self._rate // FRAMES_PER_SECOND)
        self._wait = _Wait(self._clock() + self._start_timeout_s)
        if self._early[0] == turn:
            self._turn.credit = self._early[1]
        self._choice = choice
        self._prepare = False

    def say_nowait(self, turn: int, chunk: int, text: str, language: str) -> None:
        t = self._current(turn)
        if t is None:
            return
        if not t.said:
            # Only now: a turn without a word needs no worker.
            self._leave_if_unfit()
            if self._link is not None:
                self._credit(self._link, t)
            self._wake.set()
        said = t.say(chunk, text, language)
        if self._link is not None:
            self._say(self._link, t, said)

    def flush_nowait(self, turn: int) -> None:
        if self._current(turn) is not None and self._link is not None:
            self._link.stream.send_nowait(wire.flush(self._link.session, self._link.number))

    def finish_nowait(self, turn: int) -> None:
        t = self._current(turn)
        if t is None:
            return
        t.finished = True
        if not t.said:
            self._stop()
            self._sink.synth_nowait(SynthFinished(turn, 0, 0))
        elif self._link is not None:
            self._link.stream.send_nowait(wire.end_of_turn(self._link.session, self._link.number))

    def stop_nowait(self, turn: int) -> None:
        if self._current(turn) is not None:
            self._stop()

    def credit_nowait(self, turn: int, until_sample: int) -> None:
        t = self._current(turn)
        if t is None:
            self._early = (turn, until_sample)
            return
        t.credit = max(t.credit, until_sample)
        if self._link is not None and t.said:
            self._credit(self._link, t)

    def backlog(self, turn: int) -> int:
        t = self._current(turn)
        return t.backlog if t is not None else 0

    async def wait_room(self, turn: int) -> None:
        """Returns when the worker has room for more text of the turn, or the turn is over."""
        while self.backlog(turn) > ROOM:
            self._room.clear()
            await self._room.wait()

    def tick(self, now: float) -> None:
        """Call now and then: a worker that owes something and sends nothing is taken for lost."""
        turn, link = self._turn, self._link
        owes = turn is not None and self._has_credit(turn) and (turn.backlog or (turn.finished and turn.said))
        if turn is None or link is None or not owes:
            self._frame_s = now
        elif now - self._frame_s > self._patience_s(turn, link):
            link.stream.leave_nowait(TimedOut(f"worker {link.who.worker.id} sends nothing", reason="VOICE_STALLED"))

    def _has_credit(self, turn: Unspoken) -> bool:
        """For a frame at least: a worker sends no less."""
        return turn.credit >= turn.received + self._rate // FRAMES_PER_SECOND

    def _patience_s(self, turn: Unspoken, link: _Link) -> float:
        if turn.received > turn.base:
            return STOPPED_S
        return LOADING_S if self._workers.loading(link.who) else STALLED_S

    @property
    def worker(self) -> WorkerRecord | None:
        return self._link.who.worker if self._link is not None else None

    # --- the task -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keeps a stream to a worker that can speak what is wanted; cancelled with its session."""
        while True:
            while not self._prepare and (self._turn is None or not self._turn.said):
                self._wake.clear()
                await self._wake.wait()
            who = await self._find()
            if who is None:
                continue
            try:
                await self._converse(who)
            except AntiphonError as error:
                self._lost(who.worker, error)
            except _TurnFailed as failed:
                self._unable(who.worker, failed.error)

    async def _find(self) -> Candidate | None:
        """Whoever can speak what is wanted now; None to look again, or because there is none (who waits was told)."""
        turn, wait = self._turn, self._wait
        exclude = self._shunned.now() | wait.unable if turn is not None else self._shunned.now()
        wanted = wanted_voice(self._choice)
        who = self._workers.find(wanted, exclude)
        if who is not None:
            return who
        if turn is None:
            self._prepare = False
        elif self._clock() >= wait.until_s:
            self._fail_turn(*self._why_not())
        else:
            await self._workers.wait_for(wanted, timeout_s=LOOK_S, exclude=exclude)
        return None

    def _why_not(self) -> tuple[str, str]:
        """Code and message for a turn that nobody can speak."""
        choice, error = self._choice, self._wait.error
        what = f"voice {choice.voice!r}" if choice.voice else f"language {choice.language or 'any'!r}"
        if error is None:
            return "unavailable", f"no worker can speak {what} now; start one with: antiphon tts-worker"
        if isinstance(error, AtCapacity):
            return "at_capacity", f"every worker that can speak {what} is busy; try again in a moment"
        if self._wait.unable:
            return "speech_failed", error.message
        return "unavailable", f"the worker that spoke was lost, and no other can speak {what} now"

    async def _converse(self, who: Candidate) -> None:
        """One stream, from its opening to its loss. Returns when it was left for another worker."""
        async with self._workers.channel(who.worker.address) as channel:
            stub = synthesis_pb2_grpc.TextToSpeechStub(channel)
            try:
                request = wire.start_session(self._choice, who.model.id, self._rate)
                started = await stub.StartSession(request, timeout=START_S)
            except grpc.aio.AioRpcError as error:
                raise error_from_rpc(error) from None
            if not self._workers.fits(who, wanted_voice(self._choice)):
                return  # something else is wanted by now
            stream: Stream[wire.TextChunk, wire.AudioFrame] = Stream(
                stub.Synthesize(), f"voice of worker {who.worker.id}"
            )
            link = _Link(who, started.session_id, stream)
            stream.send_nowait(wire.hello(link.session))
            self._link = link
            self._frame_s = self._clock()
            self._replay(link)
            try:
                await stream.run(self._take)
            finally:
                if self._link is link:
                    self._link = None

    def _replay(self, link: _Link) -> None:
        """Tells a new worker what the turn still needs."""
        turn = self._turn
        if turn is None or not turn.said:
            if self._prepare:
                self._reserve(link)
            return
        rest = turn.rest()
        self._credit(link, turn)
        for said in rest:
            self._say(link, turn, said)
        end = wire.end_of_turn if turn.finished else wire.flush
        link.stream.send_nowait(end(link.session, link.number))

    def _lost(self, worker: WorkerRecord, error: AntiphonError) -> None:
        """A worker is gone, hangs or has no room; the loop in `run` finds the next, unless nothing can help."""
        turn, wait, now = self._turn, self._wait, self._clock()
        if isinstance(error, BadRequest) and error.reason != "UNKNOWN_SESSION":
            self._prepare = False
            self._fail_turn(error.code, error.message)
            return
        self._workers.failed(worker, error)
        full = isinstance(error, AtCapacity)
        crashed = error.reason == ENGINE_CRASHED and error.retry_after_s is not None
        again_s = max(FULL_S, error.retry_after_s or 0.0) if full else SHUN_S
        self._shunned.shun(worker, error.retry_after_s or 0.0 if crashed else again_s)
        if turn is None or not turn.said:
            return
        self.failovers += 1
        if turn.received:
            wait.until_s = now + FAILOVER_WAIT_S
        elif full and not isinstance(wait.error, AtCapacity):
            wait.until_s = min(wait.until_s, now + CAPACITY_WAIT_S)
        wait.error = error

    def _unable(self, worker: WorkerRecord, error: AntiphonError) -> None:
        """A worker cannot speak the turn: only those that are there now are asked as well."""
        self._workers.failed(worker, error)
        self.failovers += 1
        self._wait.unable.add(identity(worker))
        self._wait.error = error
        self._wait.until_s = self._clock()

    # --- frames -------------------------------------------------------------------------------------------------------

    def _take(self, frame: wire.AudioFrame) -> None:
        self._frame_s = self._clock()
        body = frame.WhichOneof("body")
        if body == "reserved":
            return
        turn, link = self._turn, self._link
        if turn is None or link is None or frame.turn != link.number:
            if body == "error" and turn is None and frame.error.reason == "AT_CAPACITY" and self._prepare:
                self._leave(wire.turn_error(frame))
            self.stale += 1
        elif body == "audio":
            self._give(turn.audio(*wire.audio(frame)))
        elif body == "marks":
            self._give(turn.marks(wire.marks(frame)))
        elif body == "turn_finished":
            self._finished(turn, frame)
        elif body == "error":
            self._failed(turn, wire.turn_error(frame))

    def _finished(self, turn: Unspoken, frame: wire.AudioFrame) -> None:
        done = frame.turn_finished
        if not wire.is_complete(done):
            self._failed(turn, Internal("the worker stopped the turn", reason="VOICE_STOPPED"))
            return
        self._turn = None
        self._next_number(stop=False)
        self._give(turn.finish(done.samples, done.spoken, done.wasted_samples))

    def _failed(self, turn: Unspoken, error: AntiphonError) -> None:
        if error.reason in ("AT_CAPACITY", "DRAINING", ENGINE_CRASHED):
            self._leave(error)
        elif not turn.received and (
            isinstance(error, AtCapacity | Unavailable | Internal) or error.reason == "ENGINE_STALLED"
        ):
            self._leave(_TurnFailed(error))
        else:
            self._fail_turn("speech_failed", error.message)

    def _give(self, events: Iterable[SynthEvent]) -> None:
        for event in events:
            self._sink.synth_nowait(event)
        self._room.set()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _current(self, turn: int) -> Unspoken | None:
        return self._turn if self._turn is not None and self._turn.turn == turn else None

    def _stop(self) -> None:
        self._turn = None
        self._room.set()
        self._next_number()

    def _next_number(self, *, stop: bool = True) -> None:
        """The present turn, or the reservation for the next, is over."""
        link = self._link
        if link is not None:
            if stop:
                link.stream.send_nowait(wire.stop(link.session, link.number))
            link.number += 1
            link.reserved = False

    def _fail_turn(self, code: str, message: str) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            self._next_number()
            self._give([SynthFailed(turn.turn, code, message)])

    def _say(self, link: _Link, turn: Unspoken, said: Said) -> None:
        words = wire.text(link.session, link.number, said.chunk, said.text, said.language, turn.choice)
        link.stream.send_nowait(words)

    def _credit(self, link: _Link, turn: Unspoken) -> None:
        if turn.credit > turn.base:
            link.stream.send_nowait(wire.credit(link.session, link.number, turn.credit - turn.base))

    def _reserve(self, link: _Link) -> None:
        if not link.reserved:
            link.reserved = True
            link.stream.send_nowait(wire.reserve(link.session, link.number))

    def _leave(self, reason: Exception) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.stream.leave_nowait(reason)

    def _leave_if_unfit(self) -> None:
        """Leaves a worker that cannot speak what is wanted now, or that drains."""
        link = self._link
        if link is not None and not self._workers.fits(link.who, wanted_voice(self._choice)):
            self._link = None
            link.stream.leave_nowait()
