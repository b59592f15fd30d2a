"""The model managers of a running system's workers, for the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import grpc

from antiphon.places import worker_token
from antiphon.speech.client import workers
from base import rpc
from base.errors import AntiphonError, NotFound, Unavailable
from pb.antiphon.v1 import models_pb2_grpc
from registry.records import WorkerRecord
from worker import wire
from worker.wire import ModelReport

LOAD_S = 900.0
LIST_S = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """A worker and what it says of its models. `error`: why it says nothing."""

    worker: str
    models: tuple[ModelReport, ...]
    error: AntiphonError | None = None


Stub = models_pb2_grpc.ModelManagerStub
Call = Callable[[Stub], Awaitable[tuple[ModelReport, ...]]]


async def listed(registry: str, worker: str = "") -> list[Found]:
    """Every worker that has a model manager, or the one that was named. Raises NotFound, Unavailable."""
    records = await _records(registry, worker)
    return list(await asyncio.gather(*(_ask(record, _list) for record in records)))


async def load(registry: str, model: str, worker: str = "") -> list[Found]:
    """On every worker that has the model, or on the one that was named."""

    async def call(stub: Stub) -> tuple[ModelReport, ...]:
        answer = await stub.LoadModel(wire.LoadModelRequest(model=model), timeout=LOAD_S)
        return wire.reports_from([answer.model])

    return await _each(registry, model, worker, call)


async def unload(registry: str, model: str, worker: str = "", *, force: bool) -> list[Found]:
    async def call(stub: Stub) -> tuple[ModelReport, ...]:
        answer = await stub.UnloadModel(wire.UnloadModelRequest(model=model, force=force), timeout=LOAD_S)
        return wire.reports_from([answer.model])

    return await _each(registry, model, worker, call)


async def watched(registry: str, worker: str = "") -> AsyncIterator[Found]:
    """Each change, as it comes, of the workers that are there at the start; ends when all of them are gone."""
    records = await _records(registry, worker)
    news: asyncio.Queue[Found | None] = asyncio.Queue(maxsize=64)
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(_watch(record, news)) for record in records]
        left = len(watching)
        try:
            while left:
                found = await news.get()
                if found is None:
                    left -= 1
                else:
                    yield found
        finally:
            for task in watching:
                task.cancel()


async def _records(registry: str, worker: str) -> list[WorkerRecord]:
    everybody = await workers(registry)
    records = [r for r in everybody if not worker or worker in (r.id, r.address)]
    if not records and worker:
        known = ", ".join(r.id for r in everybody) or "none"
        raise NotFound(f"no worker {worker!r} is registered; there are {known}")
    if not records:
        raise Unavailable("no workers are registered")
    return sorted(records, key=lambda r: (r.kind.value, r.id))


async def _each(registry: str, model: str, worker: str, call: Call) -> list[Found]:
    records = await _records(registry, worker)
    having = [r for r in records if any(m.id == model for m in r.models)]
    if not having:
        known = ", ".join(sorted({m.id for r in records for m in r.models})) or "none"
        raise NotFound(f"no worker has a model {model!r}; there are {known}")
    return list(await asyncio.gather(*(_ask(record, call) for record in having)))


async def _list(stub: Stub) -> tuple[ModelReport, ...]:
    return wire.reports_from((await stub.ListModels(wire.ListModelsRequest(), timeout=LIST_S)).models)


async def _ask(record: WorkerRecord, call: Call) -> Found:
    async with rpc.channel(record.address, worker_token()) as channel:
        try:
            return Found(record.id, await call(models_pb2_grpc.ModelManagerStub(channel)))
        except grpc.aio.AioRpcError as failed:
            return Found(record.id, (), _why(failed))


async def _watch(record: WorkerRecord, news: asyncio.Queue[Found | None]) -> None:
    async with rpc.channel(record.address, worker_token()) as channel:
        call = models_pb2_grpc.ModelManagerStub(channel).WatchModels(wire.WatchModelsRequest())
        try:
            async for change in call:
                await news.put(Found(record.id, wire.reports_from(change.models)))
        except grpc.aio.AioRpcError as failed:
            await news.put(Found(record.id, (), _why(failed)))
        finally:
            call.cancel()
    await news.put(None)


def _why(failed: grpc.aio.AioRpcError) -> AntiphonError:
    if failed.code() is grpc.StatusCode.UNIMPLEMENTED:
        return Unavailable("it has no model manager", reason="NO_MANAGER")
    return rpc.error_from_rpc(failed)
