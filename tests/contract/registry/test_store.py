"""What every registry store promises: in memory, and somebody else's over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest

from base.errors import BadRequest, NotFound, WrongState
from registry import app
from registry.leases import SUPERSEDED
from registry.records import WorkerRecord
from registry.settings import RegistrySettings
from registry.store import News, Put, Removed, Snapshot, Store
from registry.stores.memory import MemoryStore
from registry.stores.remote import remote_store
from tests.support.records import worker

pytestmark = pytest.mark.contract

LONG = 60.0
SHORT = 0.25
LIMIT_S = 30


@pytest.fixture(params=["memory", "remote"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield MemoryStore()
        else:
            serving = await stack.enter_async_context(app.serving(RegistrySettings(port=0, drain_s=0)))
            yield await stack.enter_async_context(remote_store(serving.address, deadline_s=LIMIT_S))


class Watcher:
    """Follows a store in a task; `workers` is what it has been told."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._news = asyncio.Condition()
        self.heard: list[News] = []
        self.workers: dict[str, WorkerRecord] = {}

    async def run(self) -> None:
        async with aclosing(self._store.watch()) as news:
            async for one in news:
                async with self._news:
                    self.heard.append(one)
                    self._apply(one)
                    self._news.notify_all()

    def _apply(self, one: News) -> None:
        match one:
            case Snapshot(workers):
                self.workers = {w.id: w for w in workers}
            case Put(record):
                self.workers[record.id] = record
            case Removed(id):
                del self.workers[id]

    async def sees(self, *workers: WorkerRecord) -> None:
        async with asyncio.timeout(LIMIT_S), self._news:
            await self._news.wait_for(lambda: self.heard and self.workers == {w.id: w for w in workers})


@pytest.fixture
async def watcher(store: Store) -> AsyncIterator[Watcher]:
    made = Watcher(store)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.run())
        yield made
        task.cancel()


async def test_what_is_put_is_there_until_it_is_removed(store: Store) -> None:
    assert await store.snapshot() == ()
    assert await store.put(worker("b"), LONG) == LONG
    await store.put(worker("a"), LONG)
    assert await store.snapshot() == (worker("a"), worker("b"))
    await store.remove("b")
    await store.remove("b")
    assert await store.snapshot() == (worker("a"),)


async def test_a_renewal_replaces_the_record(store: Store) -> None:
    await store.put(worker(), LONG)
    assert await store.renew(worker(slots_used=3), LONG) == LONG
    assert await store.snapshot() == (worker(slots_used=3),)


async def test_a_lease_that_is_lost_is_said_and_can_be_taken_again(store: Store, watcher: Watcher) -> None:
    with pytest.raises(NotFound):
        await store.renew(worker(), LONG)
    await store.put(worker(), SHORT)
    await watcher.sees(worker())
    await watcher.sees()
    with pytest.raises(NotFound):
        await store.renew(worker(), LONG)
    await store.put(worker(), LONG)
    await watcher.sees(worker())


async def test_a_renewed_lease_outlives_its_first_ttl(store: Store, watcher: Watcher) -> None:
    await store.put(worker("short"), SHORT)
    await store.put(worker("long"), SHORT)
    await store.renew(worker("long"), LONG)
    await watcher.sees(worker("long"))
    assert await store.snapshot() == (worker("long"),)


async def test_a_lease_cut_short_ends_when_it_says(store: Store, watcher: Watcher) -> None:
    await store.put(worker(), LONG)
    await watcher.sees(worker())
    await store.renew(worker(), SHORT)
    await watcher.sees()


async def test_a_new_life_takes_over_and_the_old_one_learns_it(store: Store) -> None:
    old, new = worker(epoch="old"), worker(epoch="new")
    await store.put(old, LONG)
    await store.put(new, LONG)
    with pytest.raises(WrongState) as caught:
        await store.renew(old, LONG)
    assert caught.value.reason == SUPERSEDED
    await store.remove(old.id, old.epoch)
    assert await store.snapshot() == (new,)
    await store.remove(new.id, new.epoch)
    assert await store.snapshot() == ()


async def test_a_ttl_that_is_none_is_refused_and_a_long_one_cut(store: Store) -> None:
    with pytest.raises(BadRequest, match="ttl_s is -1"):
        await store.put(worker(), -1)
    assert await store.put(worker(), 1e9) < 1e9


async def test_a_watcher_hears_everything_that_matters_and_nothing_else(store: Store, watcher: Watcher) -> None:
    await watcher.sees()
    await store.put(worker("a"), LONG)
    await watcher.sees(worker("a"))
    await store.renew(worker("a"), LONG)
    await store.renew(worker("a", slots_used=1), LONG)
    await watcher.sees(worker("a", slots_used=1))
    await store.remove("a")
    await watcher.sees()
    assert watcher.heard == [Snapshot(()), Put(worker("a")), Put(worker("a", slots_used=1)), Removed("a")]


async def test_a_watcher_that_comes_later_gets_the_whole_first(store: Store) -> None:
    await store.put(worker("a"), LONG)
    await store.put(worker("b"), LONG)
    for _ in range(2):
        async with asyncio.timeout(LIMIT_S), aclosing(store.watch()) as news:
            assert await anext(news) == Snapshot((worker("a"), worker("b")))


async def test_a_slow_watcher_holds_nothing_up_and_gets_the_last_state(store: Store) -> None:
    async with asyncio.timeout(LIMIT_S), aclosing(store.watch()) as news:
        assert await anext(news) == Snapshot(())
        for used in range(300):
            await store.put(worker(slots=1_000, slots_used=used), LONG)
        async for one in news:
            assert isinstance(one, Put)
            if one.worker.slots_used == 299:
                break
