"""The copy kept for sinks that cannot hold, against a plain model of it."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestrator.resend import KEPT_S, Unplayed

pytestmark = pytest.mark.unit

RATE = 8_000


def voice(turn: int, first: int, count: int) -> bytes:
    return b"".join(((turn * 7919 + first + i) % 65_536).to_bytes(2, "little") for i in range(count))


def joined(pieces: list[tuple[int, bytes]], start: int) -> bytes:
    """The pieces as one; fails when they do not lie end to end from `start`."""
    out = b""
    for at, pcm in pieces:
        assert at == start + len(out) // 2
        out += pcm
    return out


class UnplayedMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.kept = Unplayed(RATE)
        self.turn = 0
        self.given = 0
        self.played = 0

    @rule(samples=st.integers(1, 400))
    def give(self, samples: int) -> None:
        self.kept.add(self.turn, self.given, voice(self.turn, self.given, samples))
        self.given += samples

    @rule()
    def next_turn(self) -> None:
        self.turn += 1
        self.played = 0
        self.given = 10
        self.kept.add(self.turn, 0, voice(self.turn, 0, 10))

    @rule(share=st.floats(0, 1))
    def play(self, share: float) -> None:
        self.played += int((self.given - self.played) * share)
        self.kept.played(self.turn, self.played)

    @rule(samples=st.integers(0, 10_000))
    def stale_news(self, samples: int) -> None:
        self.kept.played(self.turn - 1, samples)

    @precondition(lambda self: self.given > self.played)
    @rule(share=st.floats(0, 1))
    def resume(self, share: float) -> None:
        at = max(self.played + int((self.given - self.played) * share), self.given - int(KEPT_S * RATE))
        self.played = at
        rest = joined(self.kept.rest(self.turn, at), at)
        assert rest == voice(self.turn, at, self.given - at)
        assert joined(self.kept.rest(self.turn, at), at) == rest, "it stays kept for the next hold"

    @invariant()
    def other_turns_are_gone(self) -> None:
        assert self.kept.rest(self.turn - 1, 0) == []


TestUnplayed = UnplayedMachine.TestCase
TestUnplayed.settings = settings(max_examples=100, stateful_step_count=30)


def test_dropped_is_not_sent_again() -> None:
    kept = Unplayed(RATE)
    kept.add(3, 0, voice(3, 0, 100))
    kept.drop(3)
    assert kept.rest(3, 0) == []


def test_a_sink_that_never_tells_does_not_grow_the_copy() -> None:
    kept = Unplayed(RATE)
    for n in range(1000):
        kept.add(1, n * 160, voice(1, n * 160, 160))
    assert sum(len(pcm) for _, pcm in kept.rest(1, 0)) <= (KEPT_S * RATE + 160) * 2
