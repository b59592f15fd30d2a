from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from antiphon.player import Player
from orchestrator.messages import Played

pytestmark = pytest.mark.unit

RATE = 8_000
FRAME = 160


def audio(turn: int, start: int, samples: int) -> bytes:
    """Sample `i` of turn `t` has a value of its own, never zero, so that what is heard says what it is."""
    index = np.arange(start, start + samples)
    return ((turn * 7_919 + index * 31) % 32_000 + 1).astype("<i2").tobytes()


def reports(player: Player) -> list[tuple[int, int]]:
    return [(p.turn, p.samples) for p in player.take_reports()]


def test_plays_what_came_then_silence() -> None:
    player = Player(RATE)
    player.push(0, 0, audio(0, 0, FRAME))
    assert player.read(FRAME + 40) == audio(0, 0, FRAME) + bytes(80)
    assert reports(player) == [(0, FRAME)], "the end is told at once"
    assert player.statistics().dry == 40


def test_a_hold_keeps_the_place_to_the_sample() -> None:
    player = Player(RATE)
    player.push(0, 0, audio(0, 0, 3 * FRAME))
    first = player.read(100)
    player.hold(0)
    assert reports(player) == [(0, 100)]
    assert player.read(500) == bytes(1000)
    player.resume(0, 100)
    assert first + player.read(3 * FRAME - 100) == audio(0, 0, 3 * FRAME)


def test_a_resume_may_name_a_sample_a_little_back() -> None:
    player = Player(RATE)
    player.push(0, 0, audio(0, 0, FRAME))
    player.read(100)
    player.hold(0)
    player.resume(0, 60)
    assert player.read(100) == audio(0, 60, 100)


def test_a_clear_drops_the_rest_and_what_still_comes_of_it() -> None:
    player = Player(RATE)
    player.push(3, 0, audio(3, 0, FRAME))
    player.read(40)
    player.clear(3)
    player.push(3, FRAME, audio(3, FRAME, FRAME))
    assert reports(player) == [(3, 40)]
    assert player.read(FRAME) == bytes(2 * FRAME)
    assert player.statistics().late == FRAME
    player.push(4, 0, audio(4, 0, FRAME))
    assert player.read(FRAME) == audio(4, 0, FRAME)


def test_a_clear_of_a_turn_that_never_sounded_is_answered_with_zero() -> None:
    player = Player(RATE)
    player.clear(5)
    assert reports(player) == [(5, 0)]


def test_a_hold_ends_with_its_turn() -> None:
    player = Player(RATE)
    player.push(1, 0, audio(1, 0, 2 * FRAME))
    player.read(FRAME)
    player.hold(1)
    player.push(2, 0, audio(2, 0, FRAME))
    assert not player.held
    assert player.read(FRAME) == audio(2, 0, FRAME)
    player.hold(1)
    assert not player.held, "a turn that is over holds nothing"


def test_a_hold_may_come_before_the_first_audio_of_its_turn() -> None:
    player = Player(RATE)
    player.hold(2)
    player.push(2, 0, audio(2, 0, FRAME))
    assert player.read(FRAME) == bytes(2 * FRAME)
    player.resume(2, 0)
    assert player.read(FRAME) == audio(2, 0, FRAME)


def test_what_the_sound_card_has_not_played_yet_is_not_reported_until_a_hold() -> None:
    player = Player(RATE, latency=400)
    player.push(0, 0, audio(0, 0, 2_000))
    player.read(800)
    assert reports(player) == [(0, 400)]
    player.hold(0)
    assert reports(player) == [(0, 800)], "what the card has taken will sound"
    player.resume(0, 800)
    player.read(1_200)
    assert reports(player)[-1] == (0, 1_600)
    player.read(399)
    player.read(1)
    assert reports(player)[-1] == (0, 2_000)


def test_played_comes_every_100_ms() -> None:
    player = Player(RATE)
    player.push(0, 0, audio(0, 0, RATE))
    heard = []
    for _ in range(40):
        player.read(FRAME)
        heard += reports(player)
    assert heard == [(0, n) for n in range(800, 6_401, 800)]


def test_after_a_lost_connection_the_server_sends_again_from_what_was_heard() -> None:
    player = Player(RATE)
    player.push(0, 0, audio(0, 0, 4 * FRAME))
    heard = player.read(100)
    player.disconnected()
    assert player.read(FRAME) == bytes(2 * FRAME)
    (turn, sample) = reports(player)[-1]
    player.reconnected()
    player.push(turn, sample, audio(0, sample, 4 * FRAME - sample))
    assert heard + player.read(4 * FRAME - 100) == audio(0, 0, 4 * FRAME)


def test_after_a_lost_connection_what_the_server_did_not_know_to_be_heard_is_not_heard_again() -> None:
    player = Player(RATE)
    player.push(0, 0, audio(0, 0, 4 * FRAME))
    heard = player.read(3 * FRAME // 2)
    player.disconnected()
    player.reconnected()
    player.resume(0, FRAME)
    player.push(0, FRAME, audio(0, FRAME, 3 * FRAME))
    assert heard + player.read(5 * FRAME // 2) == audio(0, 0, 4 * FRAME)


def test_audio_that_comes_twice_is_played_once_and_a_hole_is_silence() -> None:
    player = Player(RATE)
    player.push(0, 0, audio(0, 0, FRAME))
    player.push(0, FRAME // 2, audio(0, FRAME // 2, FRAME))
    player.push(0, 2 * FRAME, audio(0, 2 * FRAME, 10))
    assert player.read(2 * FRAME + 10) == audio(0, 0, 240) + bytes(160) + audio(0, 2 * FRAME, 10)
    assert player.statistics().gaps == 80


class PlayerMachine(RuleBasedStateMachine):
    """A server that sends turns one after another; the loudspeaker must hear each gapless, from its start on, once."""

    def __init__(self) -> None:
        super().__init__()
        self.player = Player(RATE, latency=200)
        self.turn = 0
        self.sent = 0
        self.held = False
        self.heard: dict[int, bytes] = {}
        self.told: dict[int, int] = {}
        self.position: dict[int, int] = {}

    @rule(samples=st.integers(1, 700))
    def send(self, samples: int) -> None:
        self.player.push(self.turn, self.sent, audio(self.turn, self.sent, samples))
        self.sent += samples

    @rule(samples=st.integers(1, 700))
    def send_again(self, samples: int) -> None:
        start = max(0, self.sent - samples)
        self.player.push(self.turn, start, audio(self.turn, start, self.sent - start))

    @rule(samples=st.integers(1, 900))
    def play(self, samples: int) -> None:
        before = self.player.position
        out = self.player.read(samples)
        assert len(out) == samples * 2
        if self.held:
            assert out == bytes(samples * 2)
        sound = np.frombuffer(out, "<i2")
        n = int(np.count_nonzero(sound))
        assert np.all(sound[:n] != 0), "no hole within the sound"
        if before is not None and n:
            turn = before[0]
            parts = self.heard.setdefault(turn, b"")
            rest = out[: n * 2]
            # A read may cross from one turn into the next.
            own = audio(turn, len(parts) // 2, n)
            same = next((i for i in range(n) if own[2 * i : 2 * i + 2] != rest[2 * i : 2 * i + 2]), n)
            self.heard[turn] = parts + rest[: 2 * same]
            if same < n:
                assert turn < self.turn
                following = self.heard.setdefault(self.turn, b"") + rest[2 * same :]
                self.heard[self.turn] = following
        self.collect()

    @precondition(lambda self: not self.held)
    @rule()
    def hold(self) -> None:
        self.player.hold(self.turn)
        self.held = True
        self.collect()

    @precondition(lambda self: self.held)
    @rule()
    def resume(self) -> None:
        self.player.resume(self.turn, len(self.heard.get(self.turn, b"")) // 2)
        self.held = False

    @rule()
    def stop(self) -> None:
        self.player.clear(self.turn)
        self.collect()
        heard = len(self.heard.get(self.turn, b"")) // 2
        assert self.told.get(self.turn) == heard, "after clear the server knows what was heard"
        self.turn += 1
        self.sent = 0
        self.held = False

    @precondition(lambda self: not self.held and (self.player.position or (self.turn,))[0] == self.turn)
    @rule()
    def next_turn(self) -> None:
        self.turn += 1
        self.sent = 0

    @precondition(lambda self: not self.held and self.player.waiting == 0)
    @rule()
    def connection_lost_and_back(self) -> None:
        self.player.disconnected()
        assert self.player.read(50) == bytes(100)
        self.player.reconnected()
        self.collect()

    def collect(self) -> None:
        for played in self.player.take_reports():
            assert played.samples >= self.told.get(played.turn, 0), "never backwards"
            self.told[played.turn] = played.samples

    @invariant()
    def each_turn_is_heard_from_its_start_without_gap_or_repeat(self) -> None:
        for turn, heard in self.heard.items():
            assert heard == audio(turn, 0, len(heard) // 2)

    @invariant()
    def nothing_is_reported_that_was_not_played(self) -> None:
        for turn, samples in self.told.items():
            assert samples <= len(self.heard.get(turn, b"")) // 2


TestPlayerMachine = PlayerMachine.TestCase
TestPlayerMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_reports_are_messages() -> None:
    player = Player(RATE)
    player.push(1, 0, audio(1, 0, 10))
    player.hold(1)
    assert player.take_reports() == [Played(turn=1, samples=0)]
