from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from base.errors import AtCapacity, BadRequest, NotFound, WrongState
from registry.leases import SUPERSEDED, Leases
from registry.records import WorkerRecord
from registry.store import Put, Removed
from tests.support.records import worker

pytestmark = pytest.mark.unit


def test_a_lease_is_over_at_its_deadline_whether_or_not_anyone_looked() -> None:
    leases = Leases()
    assert leases.put(worker(), 6, now=100.0) == [Put(worker())]
    assert leases.snapshot(105.9) == (worker(),)
    assert leases.snapshot(106.0) == ()
    with pytest.raises(NotFound, match="'w1' has no lease"):
        leases.renew(worker(), 6, now=106.0)
    assert leases.expire(106.0) == [Removed("w1")]
    assert leases.expire(106.0) == []


def test_a_renewal_is_news_only_if_it_says_something_new() -> None:
    leases = Leases()
    leases.put(worker(), 6, now=0.0)
    assert leases.renew(worker(), 6, now=5.0) == []
    busier = worker(slots_used=1)
    assert leases.renew(busier, 6, now=10.0) == [Put(busier)]
    assert leases.next_deadline() == 16.0


def test_a_new_life_replaces_the_old_which_cannot_renew_or_remove_it() -> None:
    leases = Leases()
    old, new = worker(epoch="1"), worker(epoch="2")
    leases.put(old, 6, now=0.0)
    assert leases.put(new, 6, now=1.0) == [Put(new)]
    with pytest.raises(WrongState, match="another process") as caught:
        leases.renew(old, 6, now=2.0)
    assert caught.value.reason == SUPERSEDED
    assert leases.remove("w1", "1", now=2.0) == []
    assert leases.remove("w1", "2", now=2.0) == [Removed("w1")]


def test_ttls_are_kept_in_bounds_and_nonsense_is_refused() -> None:
    leases = Leases(min_ttl_s=1, max_ttl_s=10)
    assert [leases.grant(t) for t in (0.001, 5, 1e9)] == [1, 5, 10]
    for nonsense in (0, -1, math.nan, math.inf):
        with pytest.raises(BadRequest, match="ttl_s"):
            leases.put(worker(), nonsense, now=0.0)


def test_records_are_bounded_one_by_one_and_together() -> None:
    leases = Leases(size=lambda record: len(record.host), largest=5, capacity_bytes=9)
    with pytest.raises(BadRequest, match="'w1' has 6 bytes; at most 5") as large:
        leases.put(worker(host="123456"), 6, now=0.0)
    assert large.value.reason == "RECORD_TOO_LARGE"
    leases.put(worker(host="12345"), 6, now=0.0)
    for record in (worker("w2", host="12345"), worker("w3", host="12345")):
        with pytest.raises(AtCapacity, match="10 bytes") as full:
            leases.put(record, 6, now=0.0)
        assert full.value.reason == "REGISTRY_FULL"
    leases.put(worker("w2", host="1234"), 6, now=0.0)
    with pytest.raises(AtCapacity):
        leases.renew(worker("w2", host="12345"), 6, now=1.0)
    leases.renew(worker("w1", host="1"), 6, now=1.0)
    leases.renew(worker("w2", host="12345"), 6, now=1.0)
    assert [len(w.host) for w in leases.snapshot(1.0)] == [1, 5]


def test_one_worker_too_many_is_refused_until_there_is_room() -> None:
    leases = Leases(capacity=1)
    leases.put(worker("a"), 6, now=0.0)
    leases.put(worker("a", epoch="2"), 6, now=0.0)
    with pytest.raises(AtCapacity, match="1 workers"):
        leases.put(worker("b"), 6, now=1.0)
    assert leases.put(worker("b"), 6, now=6.0) == [Removed("a"), Put(worker("b"))]


IDS = st.sampled_from(("a", "b", "c"))
EPOCHS = st.sampled_from(("1", "2"))
TTLS = st.sampled_from((1.0, 3.0, 10.0))


class LeaseMachine(RuleBasedStateMachine):
    """Against a plain model: who is in, since when, until when. Watchers fed with the changes see the same."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = Leases(min_ttl_s=1, max_ttl_s=10, capacity=2)
        self.now = 0.0
        self.model: dict[str, tuple[WorkerRecord, float]] = {}
        self.watched: dict[str, WorkerRecord] = {}

    def told(self, changes: list[Put | Removed]) -> None:
        for change in changes:
            match change:
                case Put(record):
                    assert self.watched.get(record.id) != record, "news that is none"
                    self.watched[record.id] = record
                case Removed(id):
                    del self.watched[id]

    def live(self) -> dict[str, WorkerRecord]:
        return {id: record for id, (record, until) in self.model.items() if until > self.now}

    @rule(id=IDS, epoch=EPOCHS, ttl=TTLS, used=st.integers(0, 2))
    def put(self, id: str, epoch: str, ttl: float, used: int) -> None:
        record = worker(id, epoch=epoch, slots_used=used)
        live = self.live()
        if id not in live and len(live) >= 2:
            with pytest.raises(AtCapacity):
                self.leases.put(record, ttl, self.now)
            return
        self.told(self.leases.put(record, ttl, self.now))
        self.model[id] = (record, self.now + ttl)

    @rule(id=IDS, epoch=EPOCHS, ttl=TTLS, used=st.integers(0, 2))
    def renew(self, id: str, epoch: str, ttl: float, used: int) -> None:
        record = worker(id, epoch=epoch, slots_used=used)
        held = self.live().get(id)
        if held is None:
            with pytest.raises(NotFound):
                self.leases.renew(record, ttl, self.now)
        elif held.epoch != epoch:
            with pytest.raises(WrongState):
                self.leases.renew(record, ttl, self.now)
        else:
            self.told(self.leases.renew(record, ttl, self.now))
            self.model[id] = (record, self.now + ttl)

    @rule(id=IDS, epoch=st.just("") | EPOCHS)
    def remove(self, id: str, epoch: str) -> None:
        self.told(self.leases.remove(id, epoch, self.now))
        held = self.live().get(id)
        if held is not None and epoch in ("", held.epoch):
            del self.model[id]

    @rule(seconds=st.sampled_from((0.5, 1.0, 2.0, 7.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.leases.next_deadline() is not None)
    @rule()
    def wait_for_the_next_deadline(self) -> None:
        deadline = self.leases.next_deadline()
        assert deadline is not None
        self.now = max(self.now, deadline)
        changes = self.leases.expire(self.now)
        assert changes, "the next deadline was none"
        self.told(list(changes))

    @invariant()
    def the_snapshot_is_who_is_live(self) -> None:
        live = self.live()
        assert self.leases.snapshot(self.now) == tuple(live[id] for id in sorted(live))

    @invariant()
    def a_watcher_that_waits_for_deadlines_sees_the_same(self) -> None:
        self.told(self.leases.expire(self.now))
        assert self.watched == self.live()
        deadline = self.leases.next_deadline()
        assert deadline is None or deadline > self.now


LeaseMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestLeases = LeaseMachine.TestCase


def test_the_same_record_of_another_life_is_news() -> None:
    leases = Leases()
    leases.put(worker(), 6, now=0.0)
    assert leases.put(replace(worker(), epoch="e2"), 6, now=0.0) == [Put(worker(epoch="e2"))]
