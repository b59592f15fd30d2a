"""One session's voice: a long-lived Synthesize stream to a TTS worker, found by placement, replaced when it is lost.

All that is needed to say a turn again is kept while it lasts. When its worker dies, or refuses before the first sample,
the turn goes on at another worker from the first word whose sound had not all come, at the sample where the audio broke
off; who listens to the sink sees one turn. Only when no other worker can speak it does the turn fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc.aio

from base.errors import AntiphonError, BadRequest, TimedOut, Unavailable
from base.rpc import error_from_rpc
from orchestrator import wire
from orchestrator.clients.stream import Stream
from orchestrator.clients.workers import Workers, identity, wanted_voice
from orchestrator.ports import SpokenMark, SynthAudio, SynthFailed, SynthFinished, SynthMarks, SynthSink, VoiceChoice
from pb.antiphon.v1 import synthesis_pb2_grpc
from registry.records import WorkerRecord

ROOM = 2500
"""Code points that may wait at the worker before the reply is held back; the worker's own bound is 4,000."""
REFUSED_S = 2.0
STALLED_S = 8.0
FAILOVER_WAIT_S = 1.0
MOST_WORKERS_A_TURN = 4


@dataclass(frozen=True, slots=True)
class _Said:
    chunk: int
    text: str
    language: str


@dataclass(slots=True)
class _Turn:
    """One turn, with all that another worker would need to go on with it."""

    turn: int
    choice: VoiceChoice
    said: list[_Said] = field(default_factory=list)
    finished: bool = False
    credit: int = 0
    received: int = 0
    marks: list[SpokenMark] = field(default_factory=list)
    spoken_chunks: int = 0
    tried: list[str] = field(default_factory=list)
    base: int = 0
    """Samples that came before this worker's first."""
    cut_chunk: int = -1
    cut_at: int = 0
    """This worker was given chunk `cut_chunk` without its first `cut_at` code points."""

    def backlog(self) -> int:
        return sum(len(s.text) for s in self.said[self.spoken_chunks :])

    def first_unspoken(self) -> tuple[int, int]:
        """(chunk, code points into it) of the first word whose sound had not all come."""
        words = [m for m in self.marks if m.kind != "chunk_end"]
        for i, mark in enumerate(words):
            end = words[i + 1].sample if i + 1 < len(words) else self._end_of(mark)
            if end is None or end > self.received:
                return mark.chunk, mark.start
        if not words:
            return (self.said[0].chunk if self.said else 0), 0
        return words[-1].chunk + 1, 0

    def _end_of(self, mark: SpokenMark) -> int | None:
        ends = [m.sample for m in self.marks if m.kind == "chunk_end" and m.chunk == mark.chunk]
        return ends[-1] if ends else None

    def rest(self) -> list[_Said]:
        """What is left to say; remembers how this worker's chunks map onto ours."""
        chunk, at = self.first_unspoken() if self.received else ((self.said[0].chunk if self.said else 0), 0)
        self.base, self.cut_chunk, self.cut_at = self.received, chunk, at
        self.spoken_chunks = sum(1 for s in self.said if s.chunk < chunk)
        left = [s for s in self.said if s.chunk >= chunk]
        if left and left[0].chunk == chunk and at:
            left[0] = _Said(chunk, left[0].text[at:], left[0].language)
        return left


@dataclass(slots=True)
class _Link:
    worker: WorkerRecord
    session: str
    stream: Stream[wire.TextChunk, wire.AudioFrame]


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
        self._turn: _Turn | None = None
        self._last_turn = 0
        self._link: _Link | None = None
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._prepare = False
        self._refused: dict[str, float] = {}
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
        self._leave_if_unfit(choice)
        if self._link is not None:
            self._reserve(self._link)
        self._wake.set()

    def begin_nowait(self, turn: int, choice: VoiceChoice) -> None:
        self._turn = _Turn(turn, choice)
        if self._early[0] == turn:
            self._turn.credit = self._early[1]
        self._last_turn = turn
        self._choice = choice
        self._prepare = False
        self._leave_if_unfit(choice)
        if self._link is not None and self._turn.credit:
            self._credit(self._link, self._turn)
        self._wake.set()

    def say_nowait(self, turn: int, chunk: int, text: str, language: str) -> None:
        t = self._current(turn)
        if t is None:
            return
        said = _Said(chunk, text, language)
        t.said.append(said)
        if self._link is not None:
            self._say(self._link, t, said)

    def finish_nowait(self, turn: int) -> None:
        t = self._current(turn)
        if t is None:
            return
        t.finished = True
        if self._link is not None:
            self._link.stream.send_nowait(wire.end_of_turn(self._link.session, turn))

    def stop_nowait(self, turn: int) -> None:
        if self._current(turn) is None:
            return
        self._over()
        if self._link is not None:
            self._link.stream.send_nowait(wire.stop(self._link.session, turn))

    def credit_nowait(self, turn: int, until_sample: int) -> None:
        t = self._current(turn)
        if t is None:
            self._early = (turn, until_sample)
            return
        t.credit = max(t.credit, until_sample)
        if self._link is not None:
            self._credit(self._link, t)

    def backlog(self, turn: int) -> int:
        t = self._current(turn)
        return t.backlog() if t is not None else 0

    async def wait_room(self, turn: int) -> None:
        """Returns when the worker has room for more text of the turn, or the turn is over."""
        while self.backlog(turn) > ROOM:
            self._room.clear()
            await self._room.wait()

    def tick(self, now: float) -> None:
        """Call now and then: a worker that owes audio and sends nothing for `STALLED_S` is taken for lost."""
        turn, link = self._turn, self._link
        if turn is None or link is None or not turn.said or turn.credit <= turn.received:
            self._frame_s = now
        elif now - self._frame_s > STALLED_S and turn.backlog():
            link.stream.leave_nowait(TimedOut(f"worker {link.worker.id} sent nothing for {STALLED_S:.0f} s"))

    @property
    def worker(self) -> WorkerRecord | None:
        return self._link.worker if self._link is not None else None

    # --- the task -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keeps a stream to a worker that can speak what is wanted; cancelled with its session."""
        while True:
            while self._turn is None and not self._prepare:
                self._wake.clear()
                await self._wake.wait()
            worker = await self._find()
            if worker is None:
                self._prepare = False
                self._fail_turn(
                    "unavailable",
                    f"no worker can speak {self._describe()} now; start one with: antiphon tts-worker",
                )
                continue
            try:
                await self._converse(worker)
            except AntiphonError as error:
                self._lost(worker, error)

    async def _find(self) -> WorkerRecord | None:
        turn = self._turn
        choice = turn.choice if turn is not None else self._choice
        now = self._clock()
        self._refused = {w: until for w, until in self._refused.items() if until > now}
        exclude = frozenset(self._refused) | frozenset(turn.tried if turn is not None else ())
        started = turn is not None and (turn.tried or turn.received)
        return await self._workers.wait_for(
            wanted_voice(choice), timeout_s=FAILOVER_WAIT_S if started else self._start_timeout_s, exclude=exclude
        )

    async def _converse(self, worker: WorkerRecord) -> None:
        """One stream, from its opening to its loss. Returns when it was left for another worker."""
        stub = synthesis_pb2_grpc.TextToSpeechStub(self._workers.channel(worker.address))
        choice = self._turn.choice if self._turn is not None else self._choice
        try:
            started = await stub.StartSession(wire.start_session(choice, self._rate), timeout=5.0)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from None
        stream: Stream[wire.TextChunk, wire.AudioFrame] = Stream(stub.Synthesize(), f"voice of worker {worker.id}")
        link = _Link(worker, started.session_id, stream)
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
        if turn is None:
            if self._prepare:
                self._reserve(link)
            return
        for said in turn.rest():
            self._say(link, turn, said, whole=False)
        self._credit(link, turn)
        if turn.finished:
            link.stream.send_nowait(wire.end_of_turn(link.session, turn.turn))

    def _lost(self, worker: WorkerRecord, error: AntiphonError) -> None:
        """A worker is gone or refused; the loop in `run` finds the next, unless nothing can help."""
        turn = self._turn
        if isinstance(error, BadRequest) and error.reason != "UNKNOWN_SESSION":
            self._prepare = False
            self._fail_turn(error.code, error.message)
            return
        self._workers.failed(worker, error)
        self._refused[identity(worker)] = self._clock() + REFUSED_S
        if turn is not None:
            turn.tried.append(identity(worker))
            self.failovers += 1
            if len(turn.tried) >= MOST_WORKERS_A_TURN:
                self._fail_turn(error.code, error.message)

    # --- frames -------------------------------------------------------------------------------------------------------

    def _take(self, frame: wire.AudioFrame) -> None:
        self._frame_s = self._clock()
        body = frame.WhichOneof("body")
        if body == "reserved":
            return
        turn = self._turn
        if turn is None or frame.turn != turn.turn:
            if body == "error" and turn is None and frame.error.reason == "AT_CAPACITY" and self._prepare:
                raise Unavailable(frame.error.message, reason="AT_CAPACITY")
            self.stale += 1
            return
        if body == "audio":
            audio = wire.audio(frame)
            audio = SynthAudio(audio.turn, audio.sample + turn.base, audio.pcm)
            turn.received = max(turn.received, audio.sample + len(audio.pcm) // 2)
            self._sink.synth_nowait(audio)
        elif body == "marks":
            self._marks(turn, wire.marks(frame))
        elif body == "turn_finished":
            done = frame.turn_finished
            self._over()
            before = sum(len(s.text) for s in turn.said if s.chunk < turn.cut_chunk) + turn.cut_at
            self._sink.synth_nowait(
                SynthFinished(turn.turn, done.samples + turn.base, done.spoken + before, done.wasted_samples)
            )
        elif body == "error":
            error = frame.error
            if error.reason == "AT_CAPACITY" or (error.code in _RETRYABLE and not turn.received):
                raise Unavailable(error.message, reason=error.reason)
            self._over()
            self._sink.synth_nowait(SynthFailed(turn.turn, "speech_failed", error.message))

    def _marks(self, turn: _Turn, news: SynthMarks) -> None:
        marks = tuple(
            SpokenMark(
                m.kind,
                m.chunk,
                m.start + (turn.cut_at if m.chunk == turn.cut_chunk else 0),
                m.end + (turn.cut_at if m.chunk == turn.cut_chunk else 0),
                m.sample + turn.base,
                m.exact,
            )
            for m in news.marks
        )
        turn.marks.extend(marks)
        if any(m.kind == "chunk_end" for m in marks):
            last = max(m.chunk for m in marks if m.kind == "chunk_end")
            turn.spoken_chunks = max(turn.spoken_chunks, sum(1 for s in turn.said if s.chunk <= last))
            self._room.set()
        self._sink.synth_nowait(SynthMarks(turn.turn, marks))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _current(self, turn: int) -> _Turn | None:
        return self._turn if self._turn is not None and self._turn.turn == turn else None

    def _over(self) -> None:
        self._turn = None
        self._room.set()

    def _fail_turn(self, code: str, message: str) -> None:
        turn = self._turn
        if turn is not None:
            self._over()
            self._sink.synth_nowait(SynthFailed(turn.turn, code, message))

    def _say(self, link: _Link, turn: _Turn, said: _Said, *, whole: bool = True) -> None:
        if whole and turn.cut_chunk < 0:
            turn.cut_chunk = said.chunk
        link.stream.send_nowait(wire.text(link.session, turn.turn, said.chunk, said.text, said.language, turn.choice))

    def _credit(self, link: _Link, turn: _Turn) -> None:
        if turn.credit > turn.base:
            link.stream.send_nowait(wire.credit(link.session, turn.turn, turn.credit - turn.base))

    def _reserve(self, link: _Link) -> None:
        link.stream.send_nowait(wire.reserve(link.session, self._last_turn + 1))

    def _leave_if_unfit(self, choice: VoiceChoice) -> None:
        """Leaves a worker that cannot speak what is wanted now, or that drains."""
        link = self._link
        if link is not None and not self._workers.fits(link.worker, wanted_voice(choice)):
            self._link = None
            link.stream.leave_nowait()

    def _describe(self) -> str:
        choice = self._turn.choice if self._turn is not None else self._choice
        return f"voice {choice.voice!r}" if choice.voice else f"language {choice.language or 'any'!r}"


_RETRYABLE = frozenset({8, 14, 13})
"""google.rpc codes RESOURCE_EXHAUSTED, UNAVAILABLE, INTERNAL: another worker may do."""
