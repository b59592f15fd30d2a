"""A downlink with everything around it simulated: a voice that obeys its credit, a network with delays, a listener.

Time is simulated; `World.run` lets it pass in steps. No step is longer than half a tick.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from base.audio import BYTES_PER_SAMPLE
from orchestrator.conversation.chunker import Chunker
from orchestrator.conversation.events import Event, FirstAudio, ReplyEnded, ReplyFailed, ReplyStopped
from orchestrator.downlink import Downlink
from orchestrator.messages import Audio, Clear, Hold, Resume, ServerMessage
from orchestrator.ports import Ahead, SpokenMark, SynthAudio, SynthFailed, SynthFinished, SynthMarks
from orchestrator.resend import Unplayed
from orchestrator.ticker import Ticker
from orchestrator.transports.memory import Listener

RATE = 8_000
FRAME = RATE // 50
STEP_S = 0.005
NUMBERS = "One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, fifteen."


def source(samples: int, seed: int = 1) -> bytes:
    """Audio in which no two places are alike, and nothing is silent."""
    values = np.random.default_rng(seed).integers(1, 30_000, samples)
    return bytes(values.astype("<i2").tobytes())


class Keeper:
    """The client behind a sink: what the sink plays comes `way_s` later, orders overtake it. What comes while it is to
    keep silent is kept, and sounds first when it goes on. Implements `ports.Ahead`.
    """

    way_s = 0.05
    order_s = 0.01

    def __init__(self, clock: Callable[[], float]) -> None:
        self.heard: dict[int, bytearray] = {}
        self.since_s: dict[int, float] = {}
        """When the first of each turn sounded."""
        self.orders: list[tuple[str, int]] = []
        self._clock = clock
        self._way: deque[tuple[float, int, bytes]] = deque()
        self._told: deque[tuple[float, str, int]] = deque()
        self._taken: dict[int, int] = {}
        self._kept: deque[tuple[int, bytes]] = deque()
        self._silent = False

    def silent_nowait(self, turn: int) -> None:
        self.order("hold", turn)

    def aloud_nowait(self, turn: int) -> None:
        self.order("resume", turn)

    def order(self, what: str, turn: int) -> None:
        self.orders.append((what, turn))
        self._told.append((self._clock() + self.order_s, what, turn))

    def pass_time(self, played: dict[int, bytearray]) -> None:
        """`played`: all that the sink has played so far, by turn."""
        now = self._clock()
        for turn, pcm in played.items():
            new = bytes(pcm[self._taken.get(turn, 0) :])
            self._taken[turn] = len(pcm)
            if new:
                self._way.append((now + self.way_s, turn, new))
        while self._told and self._told[0][0] <= now:
            self._obey(*self._told.popleft()[1:])
        while self._way and self._way[0][0] <= now:
            self._kept.append(self._way.popleft()[1:])
        while self._kept and not self._silent:
            turn, pcm = self._kept.popleft()
            self.since_s.setdefault(turn, now)
            self.heard.setdefault(turn, bytearray()).extend(pcm)

    def _obey(self, what: str, turn: int) -> None:
        self._silent = what == "hold"
        if what == "clear":
            self._kept.clear()
            self._way = deque(piece for piece in self._way if piece[1] != turn)


@dataclass
class FarTransport:
    """A transport whose listener is `delay_s` away, each way. Without `holds` it keeps the copy, as real ones do.

    `keeps`: it is a sink, and behind it a client that keeps silent what it is told to.
    """

    clock: Callable[[], float]
    holds: bool = True
    acknowledges: bool = True
    delay_s: float = 0.0
    lead_s: float = 0.2
    output_rate: int = RATE
    free: int = 10**9
    """What `room` says."""
    mute: bool = False
    """The listener says nothing."""
    broken: bool = False
    keeps: bool = False
    report: Callable[[int, int], None] = lambda turn, samples: None
    sent: list[Audio] = field(default_factory=list)
    told: list[ServerMessage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listener = Listener(self.output_rate, holds=self.holds, report=self._say)
        self.unplayed = None if self.holds else Unplayed(self.output_rate)
        self.gone = False
        self.keeper = Keeper(self.clock) if self.keeps else None
        self._down: deque[tuple[float, ServerMessage | Audio]] = deque()
        self._up: deque[tuple[float, int, int]] = deque()
        self._held: int | None = None

    # --- the port

    @property
    def ahead(self) -> Ahead | None:
        return self.keeper

    def send_nowait(self, message: ServerMessage) -> None:
        self.told.append(message)
        self._down.append((self.clock() + self.delay_s, message))
        self._at_once()

    def room(self) -> int:
        if self.broken:
            raise RuntimeError("a broken transport")
        return 0 if self._held is not None else self.free

    def play_nowait(self, turn: int, sample: int, pcm: bytes) -> None:
        assert sample % (self.output_rate // 50) == 0
        assert len(pcm) % (self.output_rate // 50 * BYTES_PER_SAMPLE) == 0
        assert pcm
        self.sent.append(Audio(turn, sample, pcm))
        if self.unplayed is not None:
            self.unplayed.add(turn, sample, pcm)
        self._push(Audio(turn, sample, pcm))

    def hold_nowait(self, turn: int) -> None:
        if self.keeper is not None:
            self.keeper.order("hold", turn)
        if self.holds:
            self.send_nowait(Hold(turn=turn))
        else:
            self._held = turn
            self.send_nowait(Clear(turn=turn))

    def resume_nowait(self, turn: int, sample: int) -> None:
        self._held = None
        if self.keeper is not None:
            self.keeper.order("resume", turn)
        if self.unplayed is None:
            self.send_nowait(Resume(turn=turn, sample=sample))
            return
        for at, pcm in self.unplayed.rest(turn, sample):
            self._push(Audio(turn, at, pcm))

    def clear_nowait(self, turn: int) -> None:
        self._held = None
        if self.keeper is not None:
            self.keeper.order("clear", turn)
        if self.unplayed is not None:
            self.unplayed.drop(turn)
        self.send_nowait(Clear(turn=turn))

    def close_nowait(self, code: int, reason: str) -> None:
        raise AssertionError("a downlink closes nothing")

    # --- the network and the other side

    def pass_time(self, samples: int) -> None:
        """What has arrived is taken; the loudspeaker plays; what it says sets out."""
        self._deliver()
        self.listener.advance(samples)
        self._hear()
        if self.keeper is not None:
            self.keeper.pass_time(self.listener.heard)

    def heard(self, turn: int) -> bytes:
        """What sounded of it."""
        return bytes((self.keeper or self.listener).heard.get(turn, b""))

    def _push(self, audio: Audio) -> None:
        self._down.append((self.clock() + self.delay_s, audio))
        self._at_once()

    def _at_once(self) -> None:
        if not self.delay_s:
            self._deliver()

    def _deliver(self) -> None:
        while self._down and self._down[0][0] <= self.clock():
            self.listener.take(self._down.popleft()[1])

    def _say(self, turn: int, samples: int) -> None:
        self._up.append((self.clock() + self.delay_s, turn, samples))
        if not self.delay_s:
            self._hear()

    def _hear(self) -> None:
        while self._up and self._up[0][0] <= self.clock():
            _, turn, samples = self._up.popleft()
            if not self.gone and not self.mute:
                if self.unplayed is not None:
                    self.unplayed.played(turn, samples)
                self.report(turn, samples)


class World:
    """One session's downlink, its voice and its listener. `speed`: how much faster than speech the voice works."""

    def __init__(self, *, speed: float = 5.0, now: float = 1000.0) -> None:
        self.now = now
        self.speed = speed
        self.events: list[Event] = []
        self.credits: list[tuple[int, int]] = []
        self.marks: list[tuple[int, int, int, int, bool]] = []
        self.ticker = Ticker()
        self.downlink = Downlink(
            ticker=self.ticker,
            post=self.events.append,
            credit=self._credit,
            clock=lambda: self.now,
            mark=lambda *mark: self.marks.append(mark),
            rate=RATE,
        )
        self.transports: list[FarTransport] = []
        self.turn = 0
        self.audio = b""
        self.voiced = 0
        self.finished = True
        self._work_s = 0.0
        self._tick_s = now

    # --- what there is

    @property
    def transport(self) -> FarTransport:
        return self.transports[-1]

    def attach(
        self,
        *,
        holds: bool = True,
        acknowledges: bool = True,
        delay_s: float = 0.0,
        mute: bool = False,
        keeps: bool = False,
    ) -> FarTransport:
        transport = FarTransport(
            lambda: self.now,
            holds=holds,
            acknowledges=acknowledges,
            delay_s=delay_s,
            mute=mute or not acknowledges,
            keeps=keeps,
            report=self.downlink.played_nowait,
        )
        self.transports.append(transport)
        self.downlink.attach_nowait(transport)
        return transport

    def detach(self) -> None:
        self.transport.gone = True
        self.downlink.detach_nowait()

    def reply(self, samples: int, text: str = NUMBERS) -> bytes:
        """A turn begins; the responder writes all of `text`, the voice will make `samples` of it, evenly."""
        self.turn += 1
        self.audio = source(samples, self.turn)
        self.voiced = 0
        self.finished = False
        self._work_s = self.now
        self.downlink.begin_nowait(self.turn)
        self.downlink.wrote_nowait(self.turn, text)
        chunker = Chunker("en")
        chunks = chunker.push(text) + chunker.flush()
        per = samples / max(1, sum(len(c.text) for c in chunks))
        at = 0.0
        marks = []
        for chunk in chunks:
            self.downlink.chunk_nowait(self.turn, chunk)
            marks.append(SpokenMark("chunk_start", chunk.index, 0, 0, round(at), True))
            place = 0
            for word in chunk.text.split():
                place = chunk.text.index(word, place)
                marks.append(SpokenMark("word", chunk.index, place, place + len(word), round(at + place * per), True))
                place += len(word)
            at += len(chunk.text) * per
            marks.append(SpokenMark("chunk_end", chunk.index, 0, 0, round(at), True))
        self.downlink.finished_writing_nowait(self.turn)
        self.downlink.synth_nowait(SynthMarks(self.turn, tuple(marks)))
        return self.audio

    def voice(self, frames: int, *, turn: int | None = None) -> None:
        """The next frames come, whatever the credit."""
        begin = self.voiced * BYTES_PER_SAMPLE
        pcm = self.audio[begin : begin + frames * FRAME * BYTES_PER_SAMPLE]
        pcm += bytes(-len(pcm) % (FRAME * BYTES_PER_SAMPLE))
        self.downlink.synth_nowait(SynthAudio(turn or self.turn, self.voiced, pcm))
        self.voiced += frames * FRAME

    def finish(self) -> None:
        self.finished = True
        self.downlink.synth_nowait(SynthFinished(self.turn, len(self.audio) // BYTES_PER_SAMPLE, 0))

    def fail(self) -> None:
        self.finished = True
        self.downlink.synth_nowait(SynthFailed(self.turn, "unavailable", "the worker is gone"))

    # --- time

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until - 1e-9:
            self._step(min(STEP_S, until - self.now))

    def run_until(self, condition: Callable[[], bool], at_most_s: float = 60.0) -> None:
        until = self.now + at_most_s
        while not condition():
            assert self.now < until, f"it did not happen in {at_most_s} s; events: {self.events}"
            self._step(STEP_S)

    def _step(self, seconds: float) -> None:
        before = round(self.now * RATE)
        self.now += seconds
        self._work()
        for transport in self.transports:
            transport.pass_time(round(self.now * RATE) - before)
        if self.now >= self._tick_s:
            self._tick_s = self.now + 0.02
            self.ticker.tick(self.now)

    def _work(self) -> None:
        """The voice: whole frames, up to five at once, no further than its credit."""
        until = max((u for t, u in self.credits if t == self.turn), default=0)
        total = len(self.audio) // BYTES_PER_SAMPLE
        while not self.finished and self._work_s <= self.now:
            frames = min(5 if self.voiced else 1, (until - self.voiced) // FRAME, -(-(total - self.voiced) // FRAME))
            if frames > 0:
                self.voice(frames)
                self._work_s = max(self._work_s, self.now - 0.1) + frames * 0.02 / self.speed
            elif self.voiced >= total:
                self.finish()
            else:
                return

    def _credit(self, turn: int, until: int) -> None:
        self.credits.append((turn, until))

    # --- what happened

    def of(self, kind: type[Event]) -> list[Event]:
        return [e for e in self.events if isinstance(e, kind)]

    def outcome(self) -> ReplyEnded | ReplyStopped | ReplyFailed | None:
        """How the present turn ended."""
        over = [
            e for e in self.events if isinstance(e, ReplyEnded | ReplyStopped | ReplyFailed) and e.turn == self.turn
        ]
        assert len(over) <= 1
        return over[0] if over else None

    def first_audio(self) -> bool:
        return any(isinstance(e, FirstAudio) and e.turn == self.turn for e in self.events)

    def heard(self, transport: FarTransport | None = None) -> bytes:
        """The present turn's audio as it left the loudspeaker(s), one after the other."""
        chosen = [transport] if transport is not None else self.transports
        return b"".join(t.heard(self.turn) for t in chosen)

    def ahead(self) -> int:
        """Samples sent and not yet played, in truth."""
        end = max(
            (a.sample + len(a.pcm) // BYTES_PER_SAMPLE for a in self.transport.sent if a.turn == self.turn), default=0
        )
        return end - len(self.heard()) // BYTES_PER_SAMPLE
