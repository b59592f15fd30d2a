from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from registry.records import WorkerRecord
from registry.store import Put, Removed, Snapshot
from registry.view import View
from tests.support.records import worker

pytestmark = pytest.mark.unit

A, B, C = worker("a"), worker("b"), worker("c")


def test_the_last_word_stays_in_force_while_the_registry_is_away() -> None:
    view = View()
    assert view.stale
    view.apply(Snapshot((A, B)), now=0.0)
    assert list(view.workers) == [A, B]
    assert not view.stale
    view.lost()
    view.handle_timer(now=1e6)
    assert view.stale
    assert list(view.workers) == [A, B]


def test_a_registry_started_anew_gets_time_to_hear_from_everyone() -> None:
    view = View(settle_s=10)
    view.apply(Snapshot((A, B, C)), now=0.0)
    view.lost()
    view.lost()
    view.apply(Snapshot((C,)), now=100.0)
    assert not view.stale
    assert list(view.workers) == [A, B, C]
    newer = worker("a", slots_used=2)
    view.apply(Put(newer), now=105.0)
    assert view.next_deadline() == 110.0
    view.handle_timer(109.9)
    assert list(view.workers) == [newer, B, C]
    view.handle_timer(110.0)
    assert list(view.workers) == [newer, C]
    assert view.next_deadline() is None


def test_what_leaves_while_the_registry_is_there_is_gone_at_once() -> None:
    view = View()
    view.apply(Snapshot((A, B)), now=0.0)
    view.apply(Removed("a"), now=1.0)
    view.apply(Removed("nobody"), now=1.0)
    assert view.workers == (B,)
    view.apply(Snapshot((C,)), now=2.0)
    assert view.workers == (C,)


class ViewMachine(RuleBasedStateMachine):
    """A registry that comes and goes, forgetting or not; the view never loses who is live, nor keeps who isn't long."""

    def __init__(self) -> None:
        super().__init__()
        self.view = View(settle_s=10)
        self.now = 0.0
        self.registry: dict[str, WorkerRecord] = {}
        self.connected = False
        self.gone_at: dict[str, float] = {}

    @rule(id=st.sampled_from(("a", "b", "c")), used=st.integers(0, 2))
    def register(self, id: str, used: int) -> None:
        record = worker(id, slots_used=used)
        self.registry[id] = record
        self.gone_at.pop(id, None)
        if self.connected:
            self.view.apply(Put(record), self.now)

    @precondition(lambda self: self.registry)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.registry)))
        del self.registry[id]
        if self.connected:
            self.view.apply(Removed(id), self.now)
        else:
            self.gone_at[id] = self.now

    @precondition(lambda self: self.connected)
    @rule(forgets=st.booleans())
    def lose(self, forgets: bool) -> None:
        self.connected = False
        self.view.lost()
        if forgets:
            self.gone_at |= dict.fromkeys(self.registry, self.now)
            self.registry.clear()

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        self.connected = True
        self.view.apply(Snapshot(tuple(self.registry.values())), self.now)
        self.gone_at = dict.fromkeys(self.gone_at, self.now)

    @rule(seconds=st.sampled_from((1.0, 5.0, 10.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.view.handle_timer(self.now)

    @invariant()
    def nobody_live_is_missing_and_nobody_dead_stays(self) -> None:
        seen = {record.id: record for record in self.view.workers}
        assert list(seen) == sorted(seen)
        assert self.view.stale is not self.connected
        if not self.connected:
            return
        for id, record in self.registry.items():
            assert seen[id] == record
        for id in seen.keys() - self.registry.keys():
            assert self.now < self.gone_at[id] + 10


ViewMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestView = ViewMachine.TestCase
