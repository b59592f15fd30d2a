"""What a sink that only has a queue is given: exact to the sample, whatever is held, resumed and cleared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestrator.transports.livekit.playout import Piece, Playout

pytestmark = pytest.mark.unit

RATE = 48_000
FRAME = 960
VOICE = np.random.default_rng(5).integers(-9000, 9000, FRAME * 400, dtype=np.int16).astype("<i2").tobytes()


def cut(sample: int, samples: int) -> bytes:
    return VOICE[sample * 2 : (sample + samples) * 2]


class FakeSink:
    """Plays what it is told to have played."""

    def __init__(self) -> None:
        self.queue: list[Piece] = []
        self.heard: dict[int, bytearray] = {}
        self.places: dict[int, int] = {}

    @property
    def queued(self) -> int:
        return sum(piece.samples for piece in self.queue)

    def advance(self, samples: int) -> None:
        while samples and self.queue:
            piece = self.queue.pop(0)
            now, rest = piece.cut(min(samples, piece.samples))
            if rest.samples:
                self.queue.insert(0, rest)
            samples -= now.samples
            self.heard.setdefault(now.turn, bytearray()).extend(now.pcm)
            self.places[now.turn] = now.end


def fill(playout: Playout, sink: FakeSink) -> list[int]:
    """Gives the sink what is due; returns the pieces' lengths."""
    sizes = []
    while (piece := playout.take(sink.queued)) is not None:
        sink.queue.append(piece)
        sizes.append(piece.samples)
    return sizes


def play(playout: Playout, turn: int, first: int, frames: int) -> None:
    for n in range(first, first + frames):
        playout.play(turn, n * FRAME, cut(n * FRAME, FRAME))


def test_the_first_sound_goes_out_at_once_and_later_ones_in_pieces_of_100_ms() -> None:
    playout, sink = Playout(RATE), FakeSink()
    play(playout, 1, 0, 1)
    assert fill(playout, sink) == [FRAME]
    play(playout, 1, 1, 3)
    assert fill(playout, sink) == [3 * FRAME]
    play(playout, 1, 4, 3)
    assert fill(playout, sink) == []
    play(playout, 1, 7, 3)
    assert fill(playout, sink) == [5 * FRAME]
    assert playout.waiting() == FRAME


def test_what_waits_goes_out_before_the_sink_runs_dry() -> None:
    playout, sink = Playout(RATE), FakeSink()
    play(playout, 1, 0, 5)
    assert fill(playout, sink) == [5 * FRAME]
    play(playout, 1, 5, 2)
    assert fill(playout, sink) == []
    assert playout.next_s(sink.queued) == pytest.approx(0.04)
    sink.advance(2 * FRAME)
    assert fill(playout, sink) == [2 * FRAME]


def test_the_sink_is_never_given_more_than_its_queue_takes() -> None:
    playout, sink = Playout(RATE), FakeSink()
    play(playout, 1, 0, 30)
    assert fill(playout, sink) == [5 * FRAME, 5 * FRAME]
    assert playout.next_s(sink.queued) == pytest.approx(0.1)
    assert playout.room(sink.queued) == 0


def test_reports_come_every_100_ms_and_at_the_end() -> None:
    playout, sink = Playout(RATE), FakeSink()
    play(playout, 1, 0, 8)
    fill(playout, sink)
    told = []
    for _ in range(20):
        sink.advance(480)
        told += playout.reports(sink.queued)
        fill(playout, sink)
    assert told == [(1, 4800), (1, 7680)]
    assert playout.reports(0) == []
    assert playout.next_s(0) is None


def test_a_turn_that_follows_another_is_reported_and_so_is_the_end_of_the_other() -> None:
    playout, sink = Playout(RATE), FakeSink()
    play(playout, 1, 0, 1)
    play(playout, 2, 0, 1)
    assert fill(playout, sink) == [FRAME, FRAME]
    sink.advance(2 * FRAME)
    assert playout.reports(sink.queued) == [(1, FRAME), (2, FRAME)]


def test_a_hold_says_where_and_a_resume_goes_on_there() -> None:
    playout, sink = Playout(RATE), FakeSink()
    play(playout, 1, 0, 6)
    fill(playout, sink)
    sink.advance(1234)
    assert playout.hold(1, sink.queued) == 1234
    sink.queue.clear()
    assert playout.room(0) == 0
    assert playout.next_s(0) is None
    play(playout, 1, 6, 1)
    assert fill(playout, sink) == []
    playout.resume(1, 1234)
    for _ in range(9):
        fill(playout, sink)
        sink.advance(FRAME)
    assert bytes(sink.heard[1]) == cut(0, 7 * FRAME)


def test_a_hold_of_one_turn_gives_back_what_the_sink_had_of_another() -> None:
    playout, sink = Playout(RATE), FakeSink()
    play(playout, 1, 0, 2)
    play(playout, 2, 0, 3)
    fill(playout, sink)
    assert playout.clear(1, sink.queued) == 0
    sink.queue.clear()
    fill(playout, sink)
    sink.advance(9 * FRAME)
    assert 1 not in sink.heard
    assert bytes(sink.heard[2]) == cut(0, 3 * FRAME)


def test_a_later_turn_is_not_held() -> None:
    playout, sink = Playout(RATE), FakeSink()
    play(playout, 1, 0, 2)
    playout.hold(1, 0)
    play(playout, 2, 0, 2)
    assert playout.held is None
    fill(playout, sink)
    sink.advance(9 * FRAME)
    assert bytes(sink.heard[2]) == cut(0, 2 * FRAME)


@given(st.lists(st.integers(1, 3000), max_size=30), st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_however_time_passes_all_is_heard_in_order(steps: list[int], frames: int) -> None:
    playout, sink = Playout(RATE), FakeSink()
    play(playout, 1, 0, min(frames, 15))
    for step in [*steps, *[FRAME] * 40]:
        fill(playout, sink)
        assert sink.queued <= 0.2 * RATE
        sink.advance(step)
    assert bytes(sink.heard[1]) == cut(0, min(frames, 15) * FRAME)


class AnyOrder(RuleBasedStateMachine):
    """A session that does what it likes, a listener whose time passes as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.playout, self.sink = Playout(RATE), FakeSink()
        self.turn, self.sent, self.held = 1, 0, False
        self.told = 0

    def tell(self, reports: list[tuple[int, int]]) -> None:
        for turn, samples in reports:
            assert samples == self.sink.places.get(turn, 0)
            assert turn != self.turn or samples >= self.told
            self.told = samples if turn == self.turn else self.told

    @precondition(lambda self: self.playout.room(self.sink.queued) >= 3 * FRAME and self.sent < 300 * FRAME)
    @rule(frames=st.integers(1, 3))
    def speak(self, frames: int) -> None:
        play(self.playout, self.turn, self.sent // FRAME, frames)
        self.sent += frames * FRAME

    @rule(samples=st.integers(1, 12_000))
    def pass_time(self, samples: int) -> None:
        self.sink.advance(samples)
        self.tell(self.playout.reports(self.sink.queued))

    @rule()
    def give(self) -> None:
        fill(self.playout, self.sink)

    @rule()
    def hold(self) -> None:
        at = self.playout.hold(self.turn, self.sink.queued)
        self.sink.queue.clear()
        assert at == self.sink.places.get(self.turn, 0)
        self.held, self.told = True, at

    @precondition(lambda self: self.held)
    @rule()
    def resume(self) -> None:
        self.playout.resume(self.turn, self.told)
        self.held = False

    @rule()
    def next_turn(self) -> None:
        at = self.playout.clear(self.turn, self.sink.queued)
        self.sink.queue.clear()
        assert at == self.sink.places.get(self.turn, 0)
        self.turn, self.sent, self.held, self.told = self.turn + 1, 0, False, 0

    @invariant()
    def what_was_heard_is_what_was_said_without_a_gap(self) -> None:
        for heard in self.sink.heard.values():
            assert bytes(heard) == VOICE[: len(heard)]

    @invariant()
    def a_hold_is_silent(self) -> None:
        if self.held:
            assert self.playout.take(self.sink.queued) is None
            assert not self.sink.queue


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
