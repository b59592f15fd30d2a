"""Whose utterance is decoded next, and whether one more may come."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from asr.listening import Listening
from base.errors import AtCapacity

pytestmark = pytest.mark.unit

SECOND = 16_000


def listening(*, most: int = 8, behind_s: float = 3.0, cost_s: float = 0.0) -> Listening:
    return Listening(most=most, behind_s=behind_s, cost_s=cost_s)


def begun(many: Listening, *ids: int) -> Listening:
    for id in ids:
        many.begin(id)
    return many


def test_a_decode_is_due_every_700_ms_of_new_audio() -> None:
    one = begun(listening(), 1)
    one.audio(1, 11_000, loud=True, now=0.0)
    assert one.next(0.0) is None
    one.audio(1, 200, loud=True, now=0.1)
    assert one.next(0.0) == 1
    one.done(0.1, sure=True, last=False, now=0.2)
    assert one.next(0.0) is None


def test_one_decode_runs_at_a_time() -> None:
    many = begun(listening(), 1, 2)
    for id in (1, 2):
        many.audio(id, SECOND, loud=True, now=float(id))
    assert many.next(0.0) == 1
    assert many.next(0.0) is None
    many.done(0.1, sure=True, last=False, now=3.0)
    assert many.next(0.0) == 2


def test_what_ended_comes_before_what_goes_on_and_then_who_waits_longest() -> None:
    many = begun(listening(), 1, 2, 3, 4)
    for id, now in ((3, 1.0), (1, 2.0), (2, 3.0), (4, 4.0)):
        many.audio(id, SECOND, loud=True, now=now)
    many.finish(4, 5.0)
    many.finish(2, 6.0)
    order = []
    while (id := many.next(0.0)) is not None:
        order.append(id)
        many.done(0.1, sure=True, last=many.is_last(id), now=7.0)
        if id in (2, 4):
            many.drop(id)
    assert order == [4, 2, 3, 1]


def test_when_speech_ends_the_last_decode_is_due_at_once() -> None:
    one = begun(listening(), 1)
    one.audio(1, 1_000, loud=True, now=0.0)
    assert not one.finish(1, 0.1)
    assert one.next(0.0) == 1
    assert one.is_last(1)
    assert one.done(0.1, sure=False, last=True, now=0.2)


def test_an_utterance_without_audio_is_over_at_once() -> None:
    assert begun(listening(), 1).finish(1, 0.0)


def test_silence_after_the_last_decode_needs_no_other() -> None:
    one = begun(listening(), 1)
    one.audio(1, SECOND, loud=True, now=0.0)
    one.audio(1, 3_200, loud=False, now=0.1)
    one.next(0.0)
    one.done(0.1, sure=True, last=False, now=0.2)
    one.audio(1, 8_000, loud=False, now=0.5)
    assert one.finish(1, 0.6)


def test_a_decode_under_way_when_speech_ends_is_the_last_if_only_silence_came_since() -> None:
    one = begun(listening(), 1)
    one.audio(1, SECOND, loud=True, now=0.0)
    one.audio(1, 3_200, loud=False, now=0.1)
    one.next(0.0)
    one.audio(1, 3_200, loud=False, now=0.2)
    assert not one.finish(1, 0.3)
    assert one.done(0.1, sure=True, last=False, now=0.4)


@pytest.mark.parametrize(("loud", "sure"), [(True, True), (False, False)], ids=["a word came since", "not sure"])
def test_else_another_decode_follows(loud: bool, sure: bool) -> None:
    one = begun(listening(), 1)
    one.audio(1, SECOND, loud=True, now=0.0)
    one.next(0.0)
    one.audio(1, 4_000, loud=loud, now=0.2)
    one.finish(1, 0.3)
    assert not one.done(0.1, sure=sure, last=False, now=0.4)
    assert one.next(0.0) == 1
    assert one.is_last(1)


def test_half_as_many_again_are_heard_as_could_be_answered_in_time_if_they_stopped_together() -> None:
    many = begun(listening(cost_s=0.8, behind_s=1.7), 1, 2, 3)
    with pytest.raises(AtCapacity, match=r"3 are being heard.*0\.8 s"):
        many.begin(4)
    many.drop(2)
    many.begin(4)


def test_a_model_slower_than_the_limit_still_hears_one() -> None:
    slow = begun(listening(cost_s=9.0), 1)
    with pytest.raises(AtCapacity):
        slow.begin(2)


def test_what_decodes_take_is_learnt() -> None:
    many = begun(listening(cost_s=0.1), 1)
    assert many.slots == 8
    for now in range(40):
        many.audio(1, SECOND, loud=True, now=float(now))
        many.next(float(now))
        many.done(1.5, sure=True, last=False, now=now + 0.5)
    assert many.slots == 3


def test_what_counts_is_what_last_decodes_take() -> None:
    many = begun(listening(cost_s=0.05, most=99), 1)
    assert many.slots == 90
    many.audio(1, SECOND, loud=True, now=0.0)
    many.finish(1, 0.0)
    many.next(0.0)
    many.done(0.5, sure=True, last=True, now=0.5)
    assert many.last_s == 0.5
    assert many.slots == 9


def ended_together(many: Listening, *ids: int, now: float = 10.0) -> Listening:
    begun(many, *ids)
    for id in ids:
        many.audio(id, SECOND, loud=True, now=now)
        many.finish(id, now)
    return many


def test_who_stops_when_too_many_wait_is_told_at_once() -> None:
    many = ended_together(listening(cost_s=0.5, behind_s=2.0), 1, 2, 3, 4, 5, 6)
    assert many.late(10.0) == [5, 6]


def test_who_is_next_is_never_late_however_slow_the_model_is() -> None:
    assert ended_together(listening(cost_s=9.0, behind_s=2.0), 1).late(10.0) == []


def test_what_is_left_of_the_running_decode_is_reckoned_with() -> None:
    many = begun(listening(cost_s=0.5, behind_s=2.0), 9)
    many.audio(9, SECOND, loud=True, now=9.8)
    assert many.next(9.8) == 9
    ended_together(many, 1, 2, 3, 4)
    assert many.late(10.0) == [4]
    many.drop(4)
    assert many.late(10.1) == []


def test_who_waits_is_late_once_decodes_turn_out_to_take_longer() -> None:
    many = ended_together(listening(cost_s=0.5, behind_s=2.0), 1, 2, 3, 4)
    assert many.late(10.0) == []
    assert many.next(10.0) == 1
    many.done(0.8, sure=True, last=True, now=10.8)
    many.drop(1)
    assert many.late(10.8) == [3, 4]


def test_a_decode_that_may_be_the_last_is_not_reckoned_with_twice() -> None:
    many = begun(listening(cost_s=0.5, behind_s=1.0), 1)
    many.audio(1, SECOND, loud=True, now=10.0)
    many.audio(1, 3_200, loud=False, now=10.0)
    assert many.next(10.0) == 1
    many.finish(1, 10.0)
    ended_together(many, 2)
    assert many.late(10.0) == []


def test_while_there_was_no_model_nobodys_time_ran() -> None:
    many = ended_together(listening(cost_s=0.5, behind_s=2.0), 1, 2, 3, 4, 5, 6)
    assert many.late(20.0, since=20.0) == [5, 6]
    assert many.late(20.0) == [2, 3, 4, 5, 6]


def test_a_lost_decode_frees_the_model_and_names_whose_it_was() -> None:
    many = begun(listening(), 1, 2)
    for id in (1, 2):
        many.audio(id, SECOND, loud=True, now=0.0)
    assert many.next(0.0) == 1
    assert many.lost() == 1
    many.drop(1)
    assert many.next(0.0) == 2
    many.drop(2)
    assert many.lost() is None


class Room(RuleBasedStateMachine):
    """Many speakers: the model never rests while one is due, forgets nobody, and lets overtake by rule alone."""

    def __init__(self) -> None:
        super().__init__()
        self.many = Listening(most=5, behind_s=3.0, cost_s=0.1)
        self.now = 0.0
        self.new: dict[int, int] = {}
        """Audio of each that was not decoded."""
        self.ended: dict[int, float] = {}
        self.over: set[int] = set()
        self.last_id = 0
        self.started_last = False

    def tick(self) -> float:
        self.now += 0.01
        return self.now

    @rule()
    def begin(self) -> None:
        self.last_id += 1
        full = len(self.new) >= self.many.slots
        try:
            self.many.begin(self.last_id)
        except AtCapacity:
            assert full
        else:
            assert not full
            self.new[self.last_id] = 0

    def speaking(self) -> list[int]:
        return [id for id in self.new if id not in self.ended]

    @precondition(lambda self: self.speaking())
    @rule(data=st.data(), samples=st.integers(1, SECOND), loud=st.booleans())
    def audio(self, data: st.DataObject, samples: int, loud: bool) -> None:
        id = data.draw(st.sampled_from(self.speaking()))
        self.many.audio(id, samples, loud=loud, now=self.tick())
        self.new[id] += samples

    @precondition(lambda self: self.speaking())
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(self.speaking()))
        self.ended[id] = self.tick()
        if self.many.finish(id, self.now):
            self.drop(id)

    @precondition(lambda self: self.new)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.drop(data.draw(st.sampled_from(sorted(self.new))))

    def drop(self, id: int) -> None:
        self.many.drop(id)
        del self.new[id]
        self.ended.pop(id, None)

    @rule()
    def start(self) -> None:
        running = self.many.running
        id = self.many.next(self.tick())
        if running is not None:
            assert id is None
            return
        due = [i for i, new in self.new.items() if new >= 0.7 * SECOND or i in self.ended]
        assert (id is not None) == bool(due)
        if id is not None:
            if self.ended:
                assert id == min(self.ended, key=self.ended.__getitem__)
            self.new[id] = 0
            self.started_last = self.many.is_last(id)

    @rule()
    def let_go(self) -> None:
        late = self.many.late(self.tick())
        assert set(late) <= set(self.ended)
        waiting = sorted((at, id) for id, at in self.ended.items() if id != self.many.running)
        assert late == [id for _, id in waiting if id in late], "in the order in which they ended"
        assert not waiting or waiting[0][1] not in late, "who is next is never late"
        for id in late:
            self.drop(id)
        assert not self.many.late(self.now)

    @precondition(lambda self: self.many.running is not None)
    @rule(took_s=st.floats(0.01, 2.0), sure=st.booleans())
    def done(self, took_s: float, sure: bool) -> None:
        id = self.many.running
        assert id is not None
        over = self.many.done(took_s, sure=sure, last=self.started_last, now=self.tick())
        if id not in self.new:
            assert not over
        elif over:
            assert id in self.ended
            self.drop(id)
        else:
            assert not (self.started_last and id in self.ended)

    @precondition(lambda self: self.many.running is not None)
    @rule()
    def child_dies(self) -> None:
        id = self.many.running
        assert self.many.lost() == (id if id in self.new else None)
        if id in self.new:
            self.drop(id)

    @invariant()
    def it_counts_right(self) -> None:
        assert self.many.busy == len(self.new)
        assert all(self.many.behind(id) == new for id, new in self.new.items())
        assert 1 <= self.many.slots <= 5


TestRoom = Room.TestCase
TestRoom.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
