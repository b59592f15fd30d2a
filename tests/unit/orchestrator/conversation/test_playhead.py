from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestrator.conversation.chunker import Chunker
from orchestrator.conversation.playhead import MOST_LAG_S, SILENT_S, STALLED_S, Playhead
from orchestrator.ports import SpokenMark

pytestmark = pytest.mark.unit

RATE = 1000
FRAME = 20


def speaking(sent: int = 200, *, acknowledges: bool = True, holds: bool = True) -> Playhead:
    """A turn whose first `sent` samples went out at 10 s."""
    head = Playhead(1, RATE, acknowledges, holds)
    head.sent(sent, 10.0)
    return head


def test_the_clock_goes_on_from_the_first_sample_to_the_last_sent() -> None:
    head = Playhead(1, RATE)
    assert head.position(5.0) == 0
    head.sent(200, 10.0)
    assert [head.position(t) for t in (10.0, 10.1, 10.25)] == [0, 100, 200]


def test_the_listeners_word_puts_the_clock_right() -> None:
    head = speaking()
    assert head.played(30, 10.1)
    assert head.position(10.1) == 30
    assert head.position(10.15) == 80
    assert head.played(70, 10.2)
    assert head.position(10.2) == 70


def test_words_that_cannot_be_are_clamped_and_counted() -> None:
    head = speaking()
    assert head.played(100, 10.1)
    assert not head.played(90, 10.1)
    assert head.position(10.1) == 100
    assert not head.played(201, 10.1)
    assert head.position(10.1) == 200
    assert not head.played(2**62, 10.1)
    assert head.clamped == 3


def test_who_says_nothing_is_where_the_clock_is() -> None:
    head = speaking(200)
    head.finished(200)
    assert not head.ended(10.5)
    assert not head.ended(10.0 + SILENT_S)
    assert head.ended(10.01 + SILENT_S)
    blind = speaking(200, acknowledges=False)
    blind.finished(200)
    assert not blind.ended(10.19)
    assert blind.ended(10.201)


def test_a_hold_stops_the_clock_and_the_listener_says_where() -> None:
    head = speaking()
    head.played(90, 10.1)
    head.hold(10.15)
    assert head.position(11.0) == 140
    head.played(130, 10.155)
    assert not head.settled(10.155)
    head.played(145, 10.16)
    assert head.settled(10.16)
    assert head.position(12.0) == 145
    assert head.resume(12.0) == 145
    assert head.position(12.05) == 195


def test_what_comes_sooner_than_an_answer_can_is_no_answer_to_a_hold() -> None:
    head = speaking()
    head.played(20, 10.1)
    head.hold(10.1)
    head.played(40, 10.12)
    assert not head.settled(10.17)
    head.played(80, 10.17)
    assert head.settled(10.19)
    assert head.position(10.2) == 80


def test_an_answer_a_block_behind_the_clock_is_one() -> None:
    """It plays in blocks of 5 ms and is asked in the middle of one."""
    head = speaking()
    head.played(100, 10.104)
    head.hold(10.143)
    assert head.position(10.143) == 139
    head.played(135, 10.1435)
    assert not head.settled(10.15)
    assert head.settled(10.143 + 0.004 + 0.0201)
    assert head.position(10.2) == 135
    later = speaking()
    later.played(100, 10.104)
    later.hold(10.143)
    later.played(135, 10.148)
    assert later.settled(10.148), "no sooner than the way there and back"


def test_a_doubted_word_gives_way_to_the_next() -> None:
    head = speaking()
    head.played(90, 10.1)
    head.hold(10.15)
    head.played(120, 10.152)
    head.played(138, 10.168)
    assert head.settled(10.168)
    assert head.position(10.3) == 138


def test_who_keeps_its_queue_is_never_told_to_skip() -> None:
    head = speaking()
    head.played(50, 10.1)
    head.hold(10.15)
    assert head.resume(10.3) == 50
    silent = speaking()
    silent.hold(10.1)
    assert silent.resume(10.2) == 0
    copied = speaking(holds=False)
    copied.hold(10.1)
    assert copied.resume(10.2) == 100


def test_a_hold_before_the_first_sample_has_nothing_to_wait_for() -> None:
    head = Playhead(1, RATE)
    head.hold(10.0)
    assert head.settled(10.0)
    assert head.resume(11.0) == 0
    head.sent(100, 11.0)
    assert head.position(11.05) == 50


def test_silence_during_a_hold_is_not_held_against_the_listener() -> None:
    head = speaking()
    head.played(100, 10.1)
    head.hold(10.1)
    head.played(100, 10.1)
    head.resume(20.0)
    head.finished(200)
    assert not head.ended(20.5)
    head.played(200, 20.6)
    assert head.ended(20.6)


def test_audio_in_hand_leaves_out_the_way_there_and_back() -> None:
    head = speaking(200)
    assert head.ahead(10.05) == 150
    head.played(20, 10.07)
    assert head.ahead(10.07) == pytest.approx(200 - 20 - 50, abs=1)
    lying = speaking(5000)
    lying.played(1, 12.0)
    assert lying.ahead(12.0) == 5000 - 1 - MOST_LAG_S * RATE


def test_underruns_are_counted() -> None:
    head = speaking(100)
    head.sent(200, 10.15)
    assert (head.underruns, head.dry_samples) == (1, 50)
    assert head.position(10.15) == 100
    head.sent(300, 10.2)
    assert head.underruns == 1


def test_when_the_last_of_what_was_sent_sounds_is_known_and_when_it_did() -> None:
    head = speaking()
    assert head.through_s(10.0) == pytest.approx(10.2)
    head.played(30, 10.1)
    assert head.through_s(10.1) == pytest.approx(10.27)
    assert head.through_s(10.5) == 10.5, "its word is late"
    assert head.through_s(11.5) == pytest.approx(10.27), "it says nothing"
    for now in (10.3, 10.4, 10.5):  # it says so again and again
        head.played(200, now)
    assert head.through_s(10.5) == pytest.approx(10.3)
    head.sent(300, 10.6)
    assert head.through_s(10.6) == pytest.approx(10.7)


def test_who_rounds_its_last_word_has_heard_all() -> None:
    head = speaking(200)
    head.finished(200)
    head.played(185, 10.2)
    assert not head.ended(10.3)
    for t in (10.3, 10.4, 10.5, 10.6):
        head.played(185, t)
    assert head.ended(10.6)
    assert head.heard(10.6).samples == 200


def test_who_stands_still_is_found_out() -> None:
    head = speaking(200)
    now = 10.0
    while not head.stalled(now) and now < 30:
        now += 0.1
        head.played(0, now)
    assert now == pytest.approx(10.1 + STALLED_S, abs=0.2)


def test_waiting_for_more_audio_is_no_standing_still() -> None:
    head = speaking(200)
    head.played(200, 10.2)
    head.played(200, 30.0)
    assert not head.stalled(30.0)
    head.sent(400, 30.0)
    head.played(200, 30.1)
    assert not head.stalled(30.1)


def test_another_transport_goes_on_from_what_was_heard() -> None:
    head = speaking(200)
    head.played(110, 10.1)
    head.lose(10.15)
    assert head.position(20.0) == 110
    assert head.restart(FRAME, 0, True, True) == 100
    assert head.least == 110
    head.sent(300, 20.0)
    assert head.position(20.0) == 110
    assert head.played(100, 20.05)
    assert head.position(20.05) == 110
    assert head.played(150, 20.06)
    assert head.position(20.06) == 150
    assert head.clamped == 0


def test_who_comes_back_may_say_what_it_had_played_meanwhile() -> None:
    head = speaking(200)
    head.played(110, 10.1)
    head.lose(10.15)
    assert head.played(180, 12.0)
    assert head.restart(FRAME, 0, True, True) == 180


def test_a_silent_listener_that_is_lost_was_where_the_clock_was() -> None:
    head = Playhead(1, RATE)
    for k in range(20):
        head.sent((k + 1) * 100 + 100, 10.0 + k * 0.1)
    head.lose(12.0)
    assert head.position(30.0) == 2000
    assert head.restart(FRAME, 0, True, True) == 2000
    kept = Playhead(1, RATE, False, False)
    kept.sent(100, 10.0)
    kept.lose(10.05)
    assert kept.restart(FRAME, 80, True, True) == 80


def test_heard_is_told_in_the_responders_words() -> None:
    text = "Five, six, seven, eight."
    head = Playhead(3, RATE)
    head.wrote(text)
    chunker = Chunker("en")
    for chunk in chunker.push(text) + chunker.flush():
        head.chunk(chunk)
    for chunk, begin, end in ((0, 0, 1000), (1, 1000, 2000)):
        head.mark(SpokenMark("chunk_start", chunk, 0, 0, begin, True))
        head.mark(SpokenMark("chunk_end", chunk, 0, 0, end, True))
    head.received(2000)
    head.sent(2000, 10.0)
    head.played(1200, 11.2)
    heard = head.heard(11.2)
    assert (heard.turn, heard.samples, heard.text, heard.unheard) == (3, 1200, "Five, six,", "seven, eight.")
    assert not heard.complete
    head.finished(2000)
    head.played(2000, 12.0)
    assert not head.heard(12.0).complete
    head.finished_writing()
    assert head.heard(12.0).complete
    assert head.heard(12.0).text == text


class PlayheadMachine(RuleBasedStateMachine):
    """Any order of sending, playing, lying, holding, losing: what was heard never exceeds what was sent, and what the
    listener said stands."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.head = Playhead(1, RATE)
        self.end = 0
        self.furthest = 0
        self.said = 0
        self.held = self.lost = False

    @rule(frames=st.integers(1, 20))
    @precondition(lambda self: not self.held and not self.lost)
    def send(self, frames: int) -> None:
        self.end += frames * FRAME
        self.furthest = max(self.furthest, self.end)
        self.head.sent(self.end, self.now)

    @rule(s=st.floats(0, 2.0))
    def wait(self, s: float) -> None:
        before = self.head.position(self.now)
        self.now += s
        after = self.head.position(self.now)
        assert before <= after <= before + s * RATE + 1
        if self.held or self.lost:
            assert before == after

    @rule(samples=st.integers(0, 5_000))
    def say(self, samples: int) -> None:
        most = self.furthest if self.lost else self.end
        self.head.played(samples, self.now)
        if self.said <= samples <= most:
            self.said = samples
            assert self.head.position(self.now) >= samples
        assert self.head.position(self.now) <= self.furthest

    @rule()
    def hold(self) -> None:
        if not self.held:
            self.head.hold(self.now)
            self.held = True

    @rule()
    @precondition(lambda self: self.held and not self.lost)
    def resume(self) -> None:
        before = self.head.position(self.now)
        assert self.head.resume(self.now) <= before
        assert self.head.position(self.now) == before
        self.held = False

    @rule()
    def lose(self) -> None:
        self.head.lose(self.now)
        self.lost = True

    @rule(acknowledges=st.booleans(), holds=st.booleans())
    @precondition(lambda self: self.lost)
    def restart(self, acknowledges: bool, holds: bool) -> None:
        heard = self.head.position(self.now)
        place = self.head.restart(FRAME, 0, acknowledges, holds)
        assert place % FRAME == 0
        assert place <= heard < place + FRAME
        assert self.head.position(self.now) == heard
        self.end = place
        self.said = 0
        self.held = self.lost = False

    @invariant()
    def bounds(self) -> None:
        position = self.head.position(self.now)
        assert 0 <= position <= self.furthest
        assert self.head.past(self.now) <= max(position, self.head.least, self.furthest)
        assert self.head.heard(self.now).samples == position
        assert not self.head.ended(self.now)


TestPlayheadMachine = PlayheadMachine.TestCase
TestPlayheadMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
