"""The loader on real threads: one load however many ask, leases, failures, hangs, ends."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from base.errors import AntiphonError, AtCapacity, Internal, NotFound, TimedOut, Unavailable
from tests.support.house import until
from worker.loader import Lease, Loader
from worker.residency_values import Limits, ModelPlan, State

pytestmark = pytest.mark.integration

SOON = Limits(wait_s=0.2, load_s=20.0, drain_s=0.1, backoff_s=30.0)


class Weights:
    def __init__(self, id: str) -> None:
        self.id = id


class Workshop:
    """Makes models; a gate a model holds its loads back, `fault` makes them fail."""

    def __init__(self) -> None:
        self.gates: dict[str, threading.Event] = {}
        self.faults: dict[str, Exception] = {}
        self.loaded: list[str] = []
        self.warmed: list[str] = []
        self.closed: list[str] = []
        self.killed: list[str] = []
        self.lost: dict[str, Callable[[AntiphonError], None]] = {}
        self.alive: list[weakref.ref[Weights]] = []

    def hold(self, id: str) -> threading.Event:
        return self.gates.setdefault(id, threading.Event())

    def start(self, id: str, lost: Callable[[AntiphonError], None]) -> Job:
        self.lost[id] = lost
        return Job(self, id)


class Job:
    def __init__(self, shop: Workshop, id: str) -> None:
        self.shop = shop
        self.id = id

    def load(self) -> Weights:
        if (gate := self.shop.gates.get(self.id)) is not None:
            assert gate.wait(30.0)
        if (fault := self.shop.faults.get(self.id)) is not None:
            raise fault
        self.shop.loaded.append(self.id)
        made = Weights(self.id)
        self.shop.alive.append(weakref.ref(made))
        return made

    def warm_up(self, model: Weights) -> int:
        self.shop.warmed.append(model.id)
        return 10

    def close(self, model: Weights) -> None:
        self.shop.closed.append(model.id)

    def kill(self) -> None:
        self.shop.killed.append(self.id)


@asynccontextmanager
async def loader(
    *plans: ModelPlan, limits: Limits = SOON, **more: Any
) -> AsyncIterator[tuple[Loader[Weights], Workshop]]:
    shop = Workshop()
    made: Loader[Weights] = Loader(plans, limits, shop.start, **more)
    try:
        yield made, shop
    finally:
        for gate in shop.gates.values():
            gate.set()
        await made.close(10.0)


async def state(made: Loader[Weights], id: str, wanted: State) -> None:
    await until(lambda: made.state(id) is wanted, f"{id} to be {wanted.value}")


async def test_a_thousand_who_want_one_model_get_it_from_one_load() -> None:
    async with loader(ModelPlan("a")) as (made, shop):
        leases = await asyncio.gather(*(made.acquire("a") for _ in range(1000)))
        assert shop.loaded == shop.warmed == ["a"]
        assert len({id(lease.model) for lease in leases}) == 1
        assert made.statuses()[0].leases == 1000
        for lease in leases:
            lease.release()
            lease.release()
        assert made.statuses()[0].leases == 0
        assert made.statuses()[0].size == 10


async def test_a_ready_model_is_answered_before_the_call_returns() -> None:
    async with loader(ModelPlan("a")) as (made, _):
        (await made.acquire("a")).release()
        got: list[object] = []
        made.acquire_nowait("a", got.append)
        assert isinstance(got[0], Lease)


async def test_what_loads_does_not_keep_what_is_ready_waiting() -> None:
    async with loader(ModelPlan("a"), ModelPlan("b")) as (made, shop):
        (await made.acquire("a")).release()
        shop.hold("b")
        waiting = asyncio.create_task(made.acquire("b"))
        await state(made, "b", State.LOADING)
        (await made.acquire("a")).release()
        shop.hold("b").set()
        (await waiting).release()


async def test_who_is_cancelled_while_waiting_leaves_nothing() -> None:
    async with loader(ModelPlan("a")) as (made, shop):
        shop.hold("a")
        waiting = [asyncio.create_task(made.acquire("a")) for _ in range(20)]
        await state(made, "a", State.LOADING)
        for task in waiting[:19]:
            task.cancel()
        shop.hold("a").set()
        lease = await waiting[19]
        assert made.statuses()[0].leases == 1
        lease.release()
        assert (made.statuses()[0].leases, made.statuses()[0].waiting) == (0, 0)


async def test_a_failure_is_everybodys_and_load_forgives_it() -> None:
    async with loader(ModelPlan("a")) as (made, shop):
        shop.faults["a"] = NotFound("model 'a' has no file")
        found = await asyncio.gather(*(made.acquire("a") for _ in range(5)), return_exceptions=True)
        assert all(isinstance(f, NotFound) and f.retry_after_s for f in found)
        del shop.faults["a"]
        with pytest.raises(NotFound):
            await made.acquire("a")
        await made.load("a")
        assert made.state("a") is State.READY


async def test_a_fault_of_the_engine_is_an_internal_error_without_its_words() -> None:
    async with loader(ModelPlan("a")) as (made, shop):
        shop.faults["a"] = RuntimeError("secret")
        with pytest.raises(Internal, match="RuntimeError") as failed:
            await made.acquire("a")
        assert "secret" not in failed.value.message


async def test_three_models_take_turns_under_a_cap_of_two() -> None:
    plans = [ModelPlan(id) for id in "abc"]
    async with loader(*plans, limits=Limits(most=2, wait_s=20.0)) as (made, shop):
        for id in "abcabcab":
            (await made.acquire(id)).release()
            assert sum(s.state is State.READY for s in made.statuses()) <= 2
        assert len(shop.loaded) == len(shop.closed) + 2


async def test_no_room_is_told_after_a_while_with_what_is_in_the_way() -> None:
    async with loader(ModelPlan("a"), ModelPlan("b"), limits=Limits(most=1, wait_s=0.1)) as (made, _):
        lease = await made.acquire("a")
        with pytest.raises(AtCapacity, match=r"a \(leased by 1 turn\)"):
            await made.acquire("b")
        lease.release()
        (await made.acquire("b")).release()


async def test_a_ttl_ends_by_itself_and_the_memory_is_given_back() -> None:
    async with loader(ModelPlan("a", ttl_s=0.05)) as (made, shop):
        (await made.acquire("a")).release()
        await state(made, "a", State.ABSENT)
        gc.collect()
        assert [ref() for ref in shop.alive] == [None]


async def test_unload_waits_until_it_is_out_and_by_force_revokes() -> None:
    async with loader(ModelPlan("a")) as (made, shop):
        told: list[AntiphonError] = []
        leases: list[Any] = []

        def revoked(error: AntiphonError) -> None:
            told.append(error)
            leases[0].release()

        made.acquire_nowait("a", leases.append, revoked)
        await until(lambda: leases, "a lease")
        with pytest.raises(AntiphonError, match="1 turn"):
            await made.unload("a", force=False)
        await made.unload("a", force=True)
        assert shop.closed == ["a"]
        assert isinstance(told[0], Unavailable)
        await made.unload("a", force=False)


async def test_a_load_that_hangs_in_our_process_is_told_to_the_worker() -> None:
    wedged: list[tuple[str, str]] = []
    plans = (ModelPlan("a"), ModelPlan("b"))
    limits = Limits(load_s=0.1)
    async with loader(*plans, limits=limits, wedged=lambda *what: wedged.append(what)) as (made, shop):
        shop.hold("a")
        with pytest.raises(TimedOut):
            await made.acquire("a")
        assert wedged == [("cpu", "a")]
        with pytest.raises(Unavailable, match="hangs"):
            await made.acquire("b")
        shop.hold("a").set()
        await until(lambda: shop.closed == ["a"], "the late one to be closed")


async def test_one_in_a_child_is_killed_and_the_next_loads() -> None:
    plans = (ModelPlan("a", isolated=True), ModelPlan("b"))
    async with loader(*plans, limits=Limits(load_s=0.1)) as (made, shop):
        shop.hold("a")
        with pytest.raises(TimedOut):
            await made.acquire("a")
        await until(lambda: shop.killed == ["a"], "it to be killed")
        (await made.acquire("b")).release()
        shop.hold("a").set()


async def test_a_process_that_dies_revokes_and_is_loaded_anew() -> None:
    async with loader(ModelPlan("a", isolated=True), limits=Limits(backoff_s=0.01)) as (made, shop):
        told: list[AntiphonError] = []
        leases: list[Any] = []
        made.acquire_nowait("a", leases.append, told.append)
        await until(lambda: leases, "a lease")
        threading.Thread(target=shop.lost["a"], args=(Unavailable("it died"),)).start()
        await until(lambda: told, "the news")
        leases[0].release()
        await state(made, "a", State.FAILED)
        await until(lambda: made.statuses()[0].retry_at_s, "a time to try again")
        await asyncio.sleep(0.02)
        (await made.acquire("a")).release()


async def test_changes_are_told_at_once_and_can_be_waited_for() -> None:
    seen: list[State] = []
    async with loader(ModelPlan("a"), changed=lambda: seen.append(made.state("a"))) as (made, _):
        change = asyncio.create_task(made.wait_change())
        await asyncio.sleep(0)
        (await made.acquire("a")).release()
        await change
        assert seen == [State.LOADING, State.WARMING, State.READY]


def test_timers_of_uvloop_are_timers_too() -> None:
    """Lingers of milliseconds, on the loop that workers run on: its handles do not always tell when they are due."""

    async def scene() -> None:
        async with loader(ModelPlan("a", ttl_s=0.002), ModelPlan("b"), limits=Limits(wait_s=0.01)) as (made, _):

            async def often(id: str, linger_s: float) -> None:
                for _ in range(50):
                    (await made.acquire(id)).release(linger_s)

            await asyncio.gather(*(often("ab"[n % 2], 0.0001 * (n % 8)) for n in range(20)))
            await state(made, "a", State.ABSENT)
            assert [s.leases + s.waiting for s in made.statuses()] == [0, 0]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())


async def test_closing_closes_all_and_what_comes_late() -> None:
    async with loader(ModelPlan("a"), ModelPlan("b")) as (made, shop):
        (await made.acquire("a")).release()
        shop.hold("b")
        made.prefetch_nowait("b")
        await state(made, "b", State.LOADING)
    await until(lambda: sorted(shop.closed) == ["a", "b"], "both to be closed")
