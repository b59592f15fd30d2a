"""The registry's server and what depends on it, with the server lost and found again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from base import rpc
from base.errors import AtCapacity, BadRequest, Misconfigured, Unavailable
from registry import app, wire
from registry.directory import Directory, directory
from registry.records import ModelRecord, Voice, WorkerRecord
from registry.settings import RegistrySettings
from registry.stores.memory import MemoryStore
from registry.stores.remote import remote_store
from tests.support.records import worker

pytestmark = pytest.mark.integration

LIMIT_S = 30.0


def settings(port: int = 0) -> RegistrySettings:
    return RegistrySettings(port=port, drain_s=0)


@asynccontextmanager
async def following(address: str, **options: Any) -> AsyncIterator[Directory]:
    async with remote_store(address) as store, directory(store, **options) as made:
        yield made


async def until_stale(seen: Directory, stale: bool) -> None:
    async with asyncio.timeout(LIMIT_S):
        while seen.stale is not stale:
            await asyncio.sleep(0.01)


async def test_run_announces_its_address_and_serves_health() -> None:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(app.run(settings(), ready=address.set_result))
    async with asyncio.timeout(LIMIT_S), rpc.channel(await address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=wire.SERVICE))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_taken_port_is_said() -> None:
    async with app.serving(settings()) as first:
        _, port = rpc.split_address(first.address)
        with pytest.raises(Misconfigured, match=f"port {port}"):
            async with app.serving(settings(port)):
                pass


async def test_a_bad_record_is_refused_with_words() -> None:
    async with app.serving(settings()) as serving, remote_store(serving.address, deadline_s=LIMIT_S) as store:
        with pytest.raises(BadRequest, match=r"'nowhere' is not host:port") as caught:
            await store.put(worker(address="nowhere"), 5)
        assert caught.value.reason == "BAD_RECORD"


async def test_what_is_taken_fits_into_a_snapshot() -> None:
    def big(id: str, voices: int) -> WorkerRecord:
        found = tuple(Voice(f"voice-{i}", "x" * 80) for i in range(voices))
        return worker(id, models=(ModelRecord("m", "e", voices=found),))

    async with app.serving(settings()) as serving, remote_store(serving.address, deadline_s=LIMIT_S) as store:
        with pytest.raises(BadRequest, match="fewer voices"):
            await store.put(big("w", 5_000), 60)
        taken = 0

        async def fill() -> None:
            nonlocal taken
            while True:
                await store.put(big(f"w{taken}", 2_000), 60)
                taken += 1

        with pytest.raises(AtCapacity, match="the registry holds"):
            await fill()
        assert taken > 10
        assert len(await store.snapshot()) == taken
        async with aclosing(store.watch()) as news:
            assert len((await anext(news)).workers) == taken


async def test_nobody_there_is_unavailable_not_lost() -> None:
    async with app.serving(settings()) as serving:
        address = serving.address
    async with remote_store(address, deadline_s=LIMIT_S) as store:
        for attempt in (store.put(worker(), 5), store.renew(worker(), 5), store.remove("w1"), store.snapshot()):
            with pytest.raises(Unavailable, match=address):
                await attempt
        with pytest.raises(Unavailable, match=address):
            await anext(store.watch())


async def test_the_directory_keeps_the_last_word_and_recovers() -> None:
    remembered = MemoryStore()
    async with app.serving(settings(), remembered) as serving, following(serving.address) as seen:
        assert seen.stale
        await remembered.put(worker("a"), 60)
        assert await seen.wait_for(lambda w: w == (worker("a"),), LIMIT_S)
        assert not seen.stale
    _, port = rpc.split_address(serving.address)
    async with following(serving.address) as seen:
        async with app.serving(settings(port), remembered):
            assert await seen.wait_for(lambda w: w == (worker("a"),), LIMIT_S)
        await until_stale(seen, True)
        assert seen.snapshot() == (worker("a"),)
        assert seen.statistics().losses == 1
        await remembered.remove("a")
        await remembered.put(worker("b"), 60)
        async with app.serving(settings(port), remembered):
            await until_stale(seen, False)
            assert seen.snapshot() == (worker("a"), worker("b"))


async def test_a_registry_started_anew_costs_no_worker_but_those_that_stay_away() -> None:
    async with app.serving(settings()) as serving:
        _, port = rpc.split_address(serving.address)
    async with following(serving.address, settle_s=0.3) as seen:
        first = MemoryStore()
        await first.put(worker("a"), 60)
        await first.put(worker("b"), 60)
        async with app.serving(settings(port), first):
            assert await seen.wait_for(lambda w: len(w) == 2, LIMIT_S)
        await until_stale(seen, True)
        second = MemoryStore()
        await second.put(worker("a", epoch="again"), 60)
        async with app.serving(settings(port), second):
            assert await seen.wait_for(lambda w: w == (worker("a", epoch="again"),), LIMIT_S)


async def test_waiting_for_a_worker_ends_with_it_or_in_time() -> None:
    store = MemoryStore()
    async with directory(store) as seen:
        assert not await seen.wait_for(lambda w: bool(w), 0.05)
        waiting = asyncio.create_task(seen.wait_for(lambda w: bool(w), LIMIT_S))
        await store.put(worker(), 60)
        assert await waiting


async def test_many_watchers_come_and_go() -> None:
    """A watcher that leaves is forgotten, however it leaves."""
    store = MemoryStore()
    async with app.serving(settings(), store) as serving:
        async with rpc.channel(serving.address) as channel:
            calls = []
            for _ in range(20):
                call: Any = channel.unary_stream(
                    f"/{wire.SERVICE}/Watch",
                    request_serializer=wire.WatchRequest.SerializeToString,
                    response_deserializer=wire.WatchResponse.FromString,
                )(wire.WatchRequest())
                assert await call.read() is not grpc.aio.EOF
                calls.append(call)
            assert len(store._watchers) == 20
            for call in calls[:10]:
                call.cancel()
        async with asyncio.timeout(LIMIT_S):
            while store._watchers:
                await asyncio.sleep(0.01)
