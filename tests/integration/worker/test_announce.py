"""A worker's announcement against a real registry process that is killed and started again."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from base import rpc
from base.errors import NotFound
from registry import app
from registry.directory import Directory, directory
from registry.records import WorkerRecord
from registry.settings import RegistrySettings
from registry.stores.memory import MemoryStore
from registry.stores.remote import remote_store
from tests.support.records import worker
from worker.announce import Announcer, Standing, announced, new_epoch

pytestmark = pytest.mark.integration

LIMIT_S = 30.0
SRC = Path(__file__).resolve().parents[3] / "src"

REGISTRY = """
import asyncio, sys
from registry.app import run
from registry.settings import RegistrySettings
asyncio.run(run(RegistrySettings(port=int(sys.argv[1])), ready=lambda address: print(address, flush=True)))
"""


@asynccontextmanager
async def registry_process(port: int = 0) -> AsyncIterator[str]:
    """A registry in a process of its own, killed outright at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", REGISTRY, str(port), env={**os.environ, "PYTHONPATH": str(SRC)}, stdout=-1
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_S):
            address = (await process.stdout.readline()).decode().strip()
        yield address
    finally:
        process.kill()
        await process.wait()


async def until(announcer: Announcer, standing: Standing) -> None:
    async with asyncio.timeout(LIMIT_S):
        while announcer.standing is not standing:
            await asyncio.sleep(0.01)


async def shows(seen: Directory, *workers: WorkerRecord) -> None:
    assert await seen.wait_for(lambda w: w == workers, LIMIT_S), seen.snapshot()


async def test_a_killed_registry_is_outlived_and_registered_with_again() -> None:
    async with registry_process() as address, remote_store(address) as ours:
        _, port = rpc.split_address(address)
        async with announced(ours, worker(), ttl_s=1) as announcer, directory(ours) as seen:
            await shows(seen, worker())
            announcer.update(worker(slots_used=1))
            await shows(seen, worker(slots_used=1))
        assert await ours.snapshot() == ()  # removed on exit

    async with remote_store(address) as ours, announced(ours, worker(), ttl_s=1) as announcer:
        await until(announcer, Standing.UNREACHABLE)
        async with registry_process(port):
            await until(announcer, Standing.REGISTERED)
        await until(announcer, Standing.UNREACHABLE)
        announcer.update(worker(slots_used=2))
        async with registry_process(port), remote_store(address) as theirs, directory(theirs) as seen:
            await shows(seen, worker(slots_used=2))


async def test_a_change_is_published_long_before_the_next_renewal() -> None:
    store = MemoryStore()
    async with announced(store, worker(), ttl_s=100) as announcer, directory(store) as seen:
        await shows(seen, worker())
        for used in range(1, 4):
            announcer.update(worker(slots_used=used))
        await shows(seen, worker(slots_used=3))


class Counting(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.renewals = 0

    async def renew(self, record: WorkerRecord, ttl_s: float) -> float:
        self.renewals += 1
        return await super().renew(record, ttl_s)


async def test_a_burst_of_changes_becomes_few_renewals() -> None:
    store = Counting()
    async with announced(store, worker(), ttl_s=100) as announcer, directory(store) as seen:
        await shows(seen, worker())
        for used in range(1_000):
            announcer.update(worker(slots_used=used))
            await asyncio.sleep(0)
        await shows(seen, worker(slots_used=999))
    assert 1 <= store.renewals < 100


async def test_a_lease_is_renewed_without_any_change() -> None:
    store = Counting()
    async with announced(store, worker(), ttl_s=0.2), asyncio.timeout(LIMIT_S):
        while store.renewals < 5:
            await asyncio.sleep(0.01)
        assert await store.snapshot() == (worker(),)


async def test_a_lost_lease_is_taken_again_at_once() -> None:
    """Not at the next renewal, which is far away."""
    store = MemoryStore()
    async with announced(store, worker(), ttl_s=100) as announcer, directory(store) as seen:
        await shows(seen, worker())
        await store.remove("w1")
        await shows(seen)
        with pytest.raises(NotFound):
            await store.renew(worker(), 100)
        announcer.update(worker(slots_used=1))
        await shows(seen, worker(slots_used=1))


async def test_an_id_in_use_is_left_to_its_holder_until_it_goes() -> None:
    store = MemoryStore()
    other = worker(epoch="other")
    async with announced(store, worker(), ttl_s=0.4) as announcer:
        await until(announcer, Standing.REGISTERED)
        await store.put(other, 60)
        await until(announcer, Standing.REFUSED)
        assert await store.snapshot() == (other,)
        await store.remove("w1", "other")
        await until(announcer, Standing.REGISTERED)
        assert await store.snapshot() == (worker(),)
    assert await store.snapshot() == ()


async def test_leaving_takes_bounded_time_when_the_registry_hangs() -> None:
    """A registry that takes connections and never answers."""
    held: list[asyncio.StreamWriter] = []
    deaf = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    host, port = deaf.sockets[0].getsockname()
    async with (
        asyncio.timeout(LIMIT_S),
        remote_store(f"{host}:{port}", deadline_s=0.2) as store,
        announced(store, worker()) as announcer,
    ):
        await until(announcer, Standing.UNREACHABLE)
    deaf.close()
    for writer in held:
        writer.close()


async def test_a_record_keeps_its_identity() -> None:
    announcer = Announcer(MemoryStore(), worker())
    with pytest.raises(ValueError, match="keeps its id"):
        announcer.update(worker("w2"))
    assert new_epoch() != new_epoch()


async def test_cancelled_at_any_moment_it_leaves_nothing_behind() -> None:
    for steps in range(12):
        store = MemoryStore()
        before = asyncio.all_tasks()
        task = asyncio.create_task(Announcer(store, worker()).run())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await store.snapshot() == ()
        assert asyncio.all_tasks() == before


async def test_a_registry_inside_this_process_will_do_as_well() -> None:
    async with app.serving(RegistrySettings(port=0, drain_s=0)) as serving, remote_store(serving.address) as store:
        async with announced(store, worker()) as announcer:
            await until(announcer, Standing.REGISTERED)
            assert await store.snapshot() == (worker(),)
        assert await store.snapshot() == ()
