"""Slots: never more than there are, each released once."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from base.errors import AtCapacity
from worker.admission import Slot, Slots

pytestmark = pytest.mark.unit


def test_a_refusal_says_what_to_do_and_when() -> None:
    slots = Slots(1, retry_after_s=0.25)
    slots.reserve()
    with pytest.raises(AtCapacity, match="all 1 slots") as refused:
        slots.reserve()
    assert refused.value.reason == "AT_CAPACITY"
    assert refused.value.retry_after_s == 0.25


def test_releasing_twice_frees_one() -> None:
    slots = Slots(2)
    first, second = slots.reserve(), slots.reserve()
    first.release()
    first.release()
    assert slots.used == 1
    assert second.held
    assert not first.held


def test_changes_are_told() -> None:
    seen: list[int] = []
    slots = Slots(2, changed=lambda: seen.append(slots.used))
    slot = slots.reserve()
    slots.reserve()
    slot.release()
    slot.release()
    assert seen == [1, 2, 1]


def test_a_worker_has_at_least_one_slot() -> None:
    with pytest.raises(ValueError, match="not 0"):
        Slots(0)


class SlotsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.slots = Slots(3)
        self.held: list[Slot] = []
        self.gone: list[Slot] = []
        self.high = 0

    @rule()
    def reserve(self) -> None:
        if len(self.held) < 3:
            self.held.append(self.slots.reserve())
            self.high = max(self.high, len(self.held))
        else:
            with pytest.raises(AtCapacity):
                self.slots.reserve()

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        slot = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        slot.release()
        self.gone.append(slot)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def release_again(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.gone)).release()

    @invariant()
    def counts_agree(self) -> None:
        statistics = self.slots.statistics()
        assert statistics.used == len(self.held)
        assert statistics.high_water == self.high


SlotsMachine.TestCase.settings = settings(max_examples=50, deadline=None)
TestSlots = SlotsMachine.TestCase
