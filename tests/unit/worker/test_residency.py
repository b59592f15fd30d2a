"""Residency, rule by rule, and then anything in any order."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from base.errors import AtCapacity, Internal, NotFound, TimedOut, Unavailable, WrongState
from tests.support.residency import Loader
from worker.residency import FOLLOWS
from worker.residency_values import Granted, Kill, Limits, Load, ModelPlan, State, Unload

pytestmark = pytest.mark.unit

MIB = 2**20
LIMITS = Limits(wait_s=5.0, load_s=60.0, drain_s=10.0, backoff_s=1.0, backoff_max_s=8.0)


def plan(id: str, **more: object) -> ModelPlan:
    more.setdefault("estimate", 100 * MIB)
    return ModelPlan(id, **more)  # type: ignore[arg-type]


def loader(*plans: ModelPlan, **limits: float) -> Loader:
    values = {name: getattr(LIMITS, name) for name in Limits.__dataclass_fields__} | limits
    return Loader(list(plans), Limits(**values))  # type: ignore[arg-type]


def ready(made: Loader, *models: str) -> None:
    """One after another, each idle from then on; a second apart."""
    for model in models:
        ticket = made.acquire(model)
        made.warm()
        made.release(ticket)
        made.pass_time(1.0)


def test_a_model_is_loaded_for_who_wants_it_and_leased_when_it_is_warm() -> None:
    made = loader(plan("a"))
    ticket = made.acquire("a")
    assert made.commands == [Load("a", 1)]
    assert made.state("a") is State.LOADING
    made.warm()
    assert made.commands[-1] == Granted(ticket)
    assert made.state("a") is State.READY


def test_a_thousand_at_once_cause_one_load() -> None:
    made = loader(plan("a"))
    tickets = [made.acquire("a") for _ in range(1000)]
    made.warm()
    assert made.loads == 1
    assert set(made.leases) == set(tickets)


def test_a_ready_model_is_leased_at_once() -> None:
    made = loader(plan("a"))
    ready(made, "a")
    assert made.acquire("a") in made.leases


def test_one_load_at_a_time_a_device_while_what_is_ready_serves() -> None:
    made = loader(plan("a"), plan("b"), plan("c"), plan("g", device="cuda:0"))
    ready(made, "a")
    made.acquire("b")
    made.acquire("c")
    made.acquire("g")
    assert set(made.loading.values()) == {"b", "g"}
    assert made.acquire("a") in made.leases
    made.warm(next(n for n, m in made.loading.items() if m == "b"))
    assert set(made.loading.values()) == {"c", "g"}


def test_who_gives_up_waiting_gets_nothing_and_the_load_goes_on() -> None:
    made = loader(plan("a"))
    made.release(made.acquire("a"))
    made.warm()
    assert made.leases == {}
    assert made.state("a") is State.READY


def test_the_one_released_longest_ago_goes_first() -> None:
    made = loader(plan("a"), plan("b"), plan("c"), most=2)
    ready(made, "a", "b")
    made.release(made.acquire("a"))
    made.acquire("c")
    assert made.commands[-1] == Unload("b", 2)
    made.unloaded()
    assert made.loading == {3: "c"}


def test_as_little_goes_as_will_do() -> None:
    sizes = {"small": 50, "big": 300, "other": 100, "new": 250}
    made = loader(*(plan(id, estimate=size * MIB) for id, size in sizes.items()), budget=450 * MIB)
    ready(made, "small", "big", "other")
    made.acquire("new")
    assert [c.model for c in made.commands if isinstance(c, Unload)] == ["big"]


def test_leased_lingering_and_pinned_models_stay_and_are_named_when_there_is_no_room() -> None:
    made = loader(plan("a"), plan("b"), plan("c", pinned=True), plan("d"), most=3)
    ready(made, "a", "b", "c")
    made.acquire("a")
    made.release(made.acquire("b"), linger_s=100.0)
    ticket = made.acquire("d")
    made.pass_time(4.9)
    assert ticket in made.waiting
    made.pass_time(0.2)
    error = made.refused[ticket].error
    assert isinstance(error, AtCapacity)
    assert error.retry_after_s
    for part in ("a (leased by 1 turn)", "b (kept warm)", "c (pinned)", "'d'"):
        assert part in error.message


def test_room_that_comes_in_time_is_taken() -> None:
    made = loader(plan("a"), plan("b"), most=1)
    first = made.acquire("a")
    made.warm()
    made.acquire("b")
    made.pass_time(3.0)
    made.release(first)
    made.unloaded()
    assert made.loading == {2: "b"}


def test_room_that_comes_while_the_device_loads_another_is_waited_for_in_peace() -> None:
    made = loader(plan("a", isolated=True), plan("slow"), plan("c"), most=2)
    made.acquire("a")
    made.warm()
    made.acquire("slow")
    waits = made.acquire("c")
    made.pass_time(1.0)
    made.lose(1)
    # Longer than anybody waits for room, of which there is enough; the loader checks that no deadline is past.
    made.pass_time(30.0)
    assert waits in made.waiting
    made.warm()
    made.warm()
    assert waits in made.leases


def test_lingering_ends() -> None:
    made = loader(plan("a"), plan("b"), most=1)
    ready(made, "a")
    made.release(made.acquire("a"), linger_s=2.0)
    ticket = made.acquire("b")
    made.pass_time(1.9)
    assert made.state("a") is State.READY
    made.pass_time(0.2)
    assert made.state("a") is State.UNLOADING
    made.unloaded()
    made.warm()
    assert ticket in made.leases


def test_ten_idle_sessions_pin_nothing() -> None:
    made = loader(plan("a"), plan("b"), most=1)
    for _ in range(10):
        made.prefetch("a", linger_s=3.0)
    made.warm()
    made.pass_time(3.1)
    made.acquire("b")
    assert made.state("a") is State.UNLOADING


def test_what_fits_may_pass_what_waits_for_room() -> None:
    made = loader(plan("a", estimate=80), plan("big", estimate=90), plan("small", estimate=10), budget=100)
    made.acquire("a")
    made.warm()
    big = made.acquire("big")
    small = made.acquire("small")
    made.warm()
    assert small in made.leases
    assert big in made.waiting


@pytest.mark.parametrize(("ttl", "stays", "goes"), [(30.0, 29.9, 0.2), (3.0, 2.9, 0.2)])
def test_ttl_counts_from_the_last_release(ttl: float, stays: float, goes: float) -> None:
    made = loader(plan("a", ttl_s=ttl))
    ready(made, "a")
    ticket = made.acquire("a")
    made.pass_time(1000.0)
    assert made.state("a") is State.READY
    made.release(ticket)
    made.pass_time(stays)
    assert made.state("a") is State.READY
    made.pass_time(goes)
    assert made.state("a") is State.UNLOADING


def test_ttl_zero_goes_at_once_when_idle_and_minus_one_never() -> None:
    made = loader(plan("zero", ttl_s=0.0), plan("ever"))
    first, second = made.acquire("zero"), made.acquire("zero")
    made.warm()
    made.release(first)
    assert made.state("zero") is State.READY
    made.release(second)
    assert made.state("zero") is State.UNLOADING
    ready(made, "ever")
    made.pass_time(1e6)
    assert made.state("ever") is State.READY


def test_ttl_counts_from_the_end_of_lingering() -> None:
    made = loader(plan("a", ttl_s=10.0))
    ready(made, "a")
    made.release(made.acquire("a"), linger_s=5.0)
    made.pass_time(14.9)
    assert made.state("a") is State.READY
    made.pass_time(0.2)
    assert made.state("a") is State.UNLOADING


def test_a_pinned_model_has_no_ttl() -> None:
    made = loader(plan("a", ttl_s=0.0, pinned=True))
    ready(made, "a")
    made.pass_time(1e6)
    assert made.state("a") is State.READY


def test_a_failure_is_told_to_all_and_not_tried_again_before_its_time() -> None:
    made = loader(plan("a"))
    tickets = [made.acquire("a") for _ in range(3)]
    made.fail()
    assert all(isinstance(made.refused[t].error, Internal) for t in tickets)
    made.pass_time(0.5)
    late = made.acquire("a")
    assert made.refused[late].error.retry_after_s == pytest.approx(0.5)
    assert made.loads == 1
    made.pass_time(0.6)
    made.acquire("a")
    assert made.loads == 2


def test_back_off_doubles_up_to_its_most_and_a_success_ends_it() -> None:
    made = loader(plan("a"))
    waits = []
    for _ in range(5):
        ticket = made.acquire("a")
        made.fail()
        waits.append(made.refused[ticket].error.retry_after_s)
        made.pass_time(waits[-1])
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0]
    ready(made, "a")
    made.unload("a")
    made.unloaded()
    ticket = made.acquire("a")
    made.fail()
    assert made.refused[ticket].error.retry_after_s == 1.0


def test_reset_forgives_a_failure() -> None:
    made = loader(plan("a"))
    made.acquire("a")
    made.fail()
    made.reset("a")
    assert made.state("a") is State.ABSENT
    made.acquire("a")
    assert made.loads == 2


def test_a_pinned_model_is_tried_again_by_itself() -> None:
    made = loader(plan("a", pinned=True))
    made.prefetch("a")
    made.fail()
    made.pass_time(1.1)
    assert made.loads == 2


def test_an_estimate_beyond_the_budget_is_refused_before_anything_is_loaded() -> None:
    made = loader(plan("a", estimate=300 * MIB), budget=200 * MIB)
    error = made.refused[made.acquire("a")].error
    assert isinstance(error, WrongState)
    assert error.reason == "MODEL_TOO_LARGE"
    assert "300 MiB" in error.message
    assert "200 MiB" in error.message
    assert made.loads == 0


def test_an_estimate_may_come_later_unless_the_plan_has_one() -> None:
    made = loader(plan("a", estimate=0), plan("b", estimate=10 * MIB), budget=200 * MIB)
    made.residency.estimate("a", 300 * MIB)
    made.residency.estimate("b", 300 * MIB)
    assert made.refused[made.acquire("a")].error.reason == "MODEL_TOO_LARGE"
    made.acquire("b")
    assert made.loading == {1: "b"}


def test_what_proves_too_large_goes_again_and_is_remembered() -> None:
    made = loader(plan("a", estimate=0), budget=200 * MIB)
    ticket = made.acquire("a")
    made.warm(size=300 * MIB)
    assert made.refused[ticket].error.reason == "MODEL_TOO_LARGE"
    made.unloaded()
    made.pass_time(100.0)
    assert made.refused[made.acquire("a")].error.reason == "MODEL_TOO_LARGE"
    assert made.loads == 1


def test_what_proves_larger_than_thought_sends_idle_ones_away() -> None:
    made = loader(plan("a", estimate=100), plan("b", estimate=50), budget=200)
    ready(made, "a")
    ticket = made.acquire("b")
    made.warm(size=150)
    assert ticket in made.leases
    assert made.state("a") is State.UNLOADING


def test_or_itself_when_the_others_are_in_use() -> None:
    made = loader(plan("a", estimate=100), plan("b", estimate=50), budget=200)
    made.acquire("a")
    made.warm()
    ticket = made.acquire("b")
    made.warm(size=150)
    assert isinstance(made.refused[ticket].error, AtCapacity)
    assert made.state("b") is State.UNLOADING


def test_a_load_of_our_own_process_that_hangs_wedges_the_device() -> None:
    made = loader(plan("a"), plan("b"), plan("c"), plan("g", device="cuda:0"))
    ready(made, "a")
    ticket = made.acquire("b")
    other = made.acquire("c")
    made.pass_time(61.0)
    assert isinstance(made.refused[ticket].error, TimedOut)
    assert made.refused[other].error.reason == "DEVICE_WEDGED"
    assert [w.device for w in made.wedged] == ["cpu"]
    assert isinstance(made.refused[made.acquire("c")].error, Unavailable)
    assert made.acquire("a") in made.leases
    made.acquire("g")
    made.warm()
    # The load ends after all: what it loaded is not wanted any more.
    (hung,) = made.hung
    made.end_hung(hung)
    assert made.commands[-1] == Unload("b", hung)


def test_a_load_of_a_process_of_its_own_is_killed_and_the_next_goes_on() -> None:
    made = loader(plan("a", isolated=True), plan("b"))
    ticket = made.acquire("a")
    made.pass_time(60.0)
    assert Kill("a", 1) in made.commands
    assert isinstance(made.refused[ticket].error, TimedOut)
    made.unloaded()
    assert made.state("a") is State.FAILED
    assert made.wedged == []
    made.acquire("b")
    made.warm()


def test_the_deadline_is_for_loading_and_warming_together() -> None:
    made = loader(plan("a", isolated=True))
    made.acquire("a")
    made.pass_time(40.0)
    from worker.residency_values import Loaded

    made.tell(Loaded(1))
    made.pass_time(20.0)
    assert Kill("a", 1) in made.commands


def test_a_leased_model_is_unloaded_only_by_force() -> None:
    made = loader(plan("a"))
    ticket = made.acquire("a")
    made.warm()
    error = made.residency.unload_refusal("a", force=False)
    assert isinstance(error, WrongState)
    assert "1 turn" in error.message
    assert made.unload("a", force=True)
    assert made.state("a") is State.DRAINING
    waits = made.acquire("a")
    assert waits in made.waiting
    made.release(ticket)
    assert made.state("a") is State.UNLOADING
    made.unloaded()
    made.warm()
    assert waits in made.leases


def test_by_force_leases_have_their_time_and_are_then_revoked() -> None:
    made = loader(plan("a"))
    ticket = made.acquire("a")
    made.warm()
    made.unload("a", force=True)
    made.pass_time(9.9)
    assert made.revoked == []
    made.pass_time(0.2)
    assert [r.ticket for r in made.revoked] == [ticket]
    made.release(ticket)
    assert made.state("a") is State.UNLOADING


def test_unloading_what_loads_lets_it_finish_and_go() -> None:
    made = loader(plan("a"))
    ticket = made.acquire("a")
    assert made.unload("a", force=True)
    assert ticket in made.refused
    made.warm()
    assert made.state("a") is State.UNLOADING


def test_an_idle_model_is_unloaded_though_it_lingers() -> None:
    made = loader(plan("a"))
    ready(made, "a")
    made.release(made.acquire("a"), linger_s=60.0)
    assert made.unload("a")
    assert made.state("a") is State.UNLOADING


def test_an_adapter_brings_its_base_and_holds_it() -> None:
    made = loader(plan("base", ttl_s=0.0), plan("x", base="base"), plan("other"), most=2)
    ticket = made.acquire("x")
    assert made.loading == {1: "base"}
    made.warm()
    assert made.loading == {2: "x"}
    made.warm()
    assert ticket in made.leases
    blocked = made.acquire("other")
    made.pass_time(6.0)
    assert blocked in made.refused
    made.release(ticket)
    assert made.state("base") is State.READY
    made.acquire("other")
    assert made.state("x") is State.UNLOADING
    assert made.state("base") is State.READY


def test_a_base_goes_after_its_adapters() -> None:
    made = loader(plan("base"), plan("x", base="base"), plan("other", estimate=200 * MIB), budget=250 * MIB)
    ticket = made.acquire("x")
    made.warm()
    made.warm()
    made.release(ticket)
    made.acquire("other")
    assert made.state("x") is State.UNLOADING
    assert made.state("base") is State.READY
    made.unloaded()
    assert made.state("base") is State.UNLOADING
    made.unloaded()
    made.warm()
    assert made.state("other") is State.READY


def test_an_adapter_of_a_base_that_fails_is_told_why() -> None:
    made = loader(plan("base"), plan("x", base="base"))
    ticket = made.acquire("x")
    made.fail()
    assert made.refused[ticket].error.message == "base broke"
    assert made.refused[made.acquire("x")].error.retry_after_s


def test_a_process_that_dies_takes_its_leases_with_it() -> None:
    made = loader(plan("a", isolated=True))
    ticket = made.acquire("a")
    made.warm()
    made.lose(1)
    assert [r.ticket for r in made.revoked] == [ticket]
    assert made.state("a") is State.FAILED
    made.release(ticket)
    made.acquire("a")
    made.warm()


def lose_and_come_back(made: Loader) -> float:
    """How long its next user had to wait before it was even loaded."""
    made.lose(made.loads)
    began = made.now
    while (ticket := made.acquire("a")) in made.refused:
        made.pass_time(made.refused[ticket].error.retry_after_s or 0.0)
    made.warm()
    made.release(ticket)
    return made.now - began


def test_one_that_is_lost_is_had_back_at_once_and_later_each_time_if_it_does_not_last() -> None:
    made = loader(plan("a", isolated=True))
    ready(made, "a")
    assert [lose_and_come_back(made) for _ in range(4)] == [0.0, 2.0, 4.0, 8.0]
    made.pass_time(made.limits.backoff_max_s)
    assert [lose_and_come_back(made) for _ in range(2)] == [0.0, 2.0]


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    made = loader(plan("a"), plan("b"))
    error = made.refused[made.acquire("c")].error
    assert isinstance(error, NotFound)
    assert "'c'" in error.message
    assert "a, b" in error.message


def test_statuses_say_how_each_stands() -> None:
    made = loader(plan("a", ttl_s=30.0), plan("b"))
    ready(made, "a")
    made.acquire("b")
    a, b = made.residency.statuses(made.now)
    assert (a.state, a.size, a.leases, a.ttl_left_s) == (State.READY, 100 * MIB, 0, pytest.approx(29.0))
    assert (b.state, b.size, b.waiting) == (State.LOADING, 0, 1)


@pytest.mark.parametrize("base", ["nobody", "x"])
def test_a_base_that_is_none_is_our_own_mistake(base: str) -> None:
    with pytest.raises(ValueError, match="base"):
        loader(plan("x", base=base))


def test_every_state_can_be_left() -> None:
    assert set(FOLLOWS) == set(State)
    assert all(FOLLOWS.values())


PLANS = (
    plan("a", estimate=100, ttl_s=20.0),
    plan("b", estimate=120, ttl_s=0.0),
    plan("c", estimate=60, isolated=True),
    plan("d", estimate=80, pinned=True),
    plan("base", estimate=100, ttl_s=5.0),
    plan("x", estimate=10, base="base", ttl_s=30.0),
    plan("y", estimate=20, base="base"),
    plan("huge", estimate=1000),
    plan("g", estimate=200, device="cuda:0", isolated=True),
    plan("h", estimate=150, device="cuda:0", isolated=True, ttl_s=3.0),
)
"""Nothing on "cpu" but c is isolated: its loads hang only where a test lets them."""


class Anything:
    """One random step after another; the loader checks each command, and the end checks that nobody was forgotten."""

    def __init__(self, seed: int, *, most: int = 3, budget: int = 300) -> None:
        self.random = random.Random(seed)
        self.loader = loader(*PLANS, most=most, budget=budget)
        self.ids = [p.id for p in PLANS]

    def step(self) -> None:
        made, pick = self.loader, self.random
        what = pick.random()
        live = [*made.waiting, *made.leases]
        if what < 0.28:
            made.acquire(pick.choice(self.ids))
        elif what < 0.53 and live:
            made.release(pick.choice(live), pick.choice((0.0, 0.0, 0.5, 4.0)))
        elif what < 0.58:
            made.prefetch(pick.choice(self.ids), pick.choice((0.0, 2.0)))
        elif what < 0.72 and made.loading:
            self.end_a_load(pick.choice(list(made.loading)))
        elif what < 0.84 and made.leaving:
            made.unloaded(pick.choice(list(made.leaving)))
        elif what < 0.87:
            made.unload(pick.choice(self.ids), force=pick.random() < 0.5)
        elif what < 0.88:
            made.reset(pick.choice(self.ids))
        elif what < 0.89 and made.memory:
            self.lose(pick.choice(list(made.memory)))
        else:
            self.wait(pick.choice((0.01, 0.3, 1.0, 3.0, 12.0, 70.0)))

    def end_a_load(self, load: int) -> None:
        if self.random.random() < 0.75:
            self.loader.warm(load)
        else:
            self.loader.fail(load)

    def lose(self, load: int) -> None:
        if self.loader.plans[self.loader.memory[load]].isolated:
            self.loader.lose(load)

    def wait(self, seconds: float) -> None:
        """Loads of our own process end before they wedge the device; unloading takes a moment at most."""
        made = self.loader
        if seconds > 10:
            for load, model in list(made.loading.items()):
                if not made.plans[model].isolated:
                    self.end_a_load(load)
            while made.leaving:
                made.unloaded()
            for ticket, model in list(made.leases.items()):
                if made.state(model) is State.DRAINING:
                    made.release(ticket)
        made.pass_time(min(seconds, 9.0) if self.draining() else seconds)

    def draining(self) -> bool:
        made = self.loader
        return any(made.state(m) in (State.DRAINING, State.UNLOADING) for m in made.plans) or any(
            not made.plans[m].isolated for m in made.loading.values()
        )

    def finish(self) -> None:
        """Everybody lets go and everything ends: nobody still waits, and what has a TTL is gone."""
        made = self.loader
        for _ in range(2000):
            for ticket in list(made.leases):
                made.release(ticket)
            if made.loading:
                made.warm(next(iter(made.loading)))
            elif made.leaving:
                made.unloaded()
            elif made.waiting:
                made.pass_time(1.0)
            else:
                break
        assert not made.waiting, "somebody waits for ever"
        assert not made.leases
        for _ in range(50):
            made.pass_time(5.0)
            while made.loading:
                made.warm(next(iter(made.loading)))
            while made.leaving:
                made.unloaded()
        for status in made.residency.statuses(made.now):
            above = [p.id for p in PLANS if p.base == status.model and made.state(p.id) is State.READY]
            finite = made.plans[status.model].ttl_s >= 0 and not above
            assert not finite or status.state is State.ABSENT or status.state is State.FAILED, status


def test_a_hundred_thousand_steps_lose_no_lease_and_exceed_no_cap() -> None:
    steps = 0
    for seed in range(60):
        world = Anything(seed, most=2 + seed % 3, budget=(0, 300, 260)[seed % 3])
        for _ in range(2000):
            world.step()
            steps += 1
        world.finish()
    assert steps >= 100_000


class ResidencyMachine(RuleBasedStateMachine):
    """The same, where Hypothesis chooses, and finds the shortest way to what breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Anything(0)
        self.made = self.world.loader

    @rule(model=st.sampled_from([p.id for p in PLANS]))
    def acquire(self, model: str) -> None:
        self.made.acquire(model)

    @rule(number=st.integers(0, 40), linger_s=st.sampled_from([0.0, 1.0, 5.0]))
    def release(self, number: int, linger_s: float) -> None:
        if live := [*self.made.waiting, *self.made.leases]:
            self.made.release(live[number % len(live)], linger_s)

    @rule(model=st.sampled_from([p.id for p in PLANS]))
    def prefetch(self, model: str) -> None:
        self.made.prefetch(model, 1.0)

    @rule(number=st.integers(0, 3), works=st.booleans())
    def end_load(self, number: int, works: bool) -> None:
        if loads := list(self.made.loading):
            load = loads[number % len(loads)]
            if works:
                self.made.warm(load)
            else:
                self.made.fail(load)

    @rule()
    def unloaded(self) -> None:
        if self.made.leaving:
            self.made.unloaded()

    @rule(model=st.sampled_from([p.id for p in PLANS]), force=st.booleans())
    def unload(self, model: str, force: bool) -> None:
        self.made.unload(model, force=force)

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    def teardown(self) -> None:
        self.world.finish()


TestResidencyMachine = ResidencyMachine.TestCase
TestResidencyMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
