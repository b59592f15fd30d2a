"""antiphon.v1.Registry over any store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from base.log import get_logger
from pb.antiphon.v1 import registry_pb2_grpc
from registry import wire
from registry.store import Store

log = get_logger("registry")


class RegistryServicer(registry_pb2_grpc.RegistryServicer):
    """Raises what the store raises; `base.rpc.server` makes rich status of it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def Register(self, request: wire.RegisterRequest, context: grpc.aio.ServicerContext) -> wire.RegisterResponse:
        record = wire.record_from(request.worker)
        granted = await self._store.put(record, request.ttl_s)
        log.info(
            "worker.registered",
            worker=record.id,
            kind=record.kind.value,
            address=record.address,
            epoch=record.epoch,
            ttl_s=granted,
        )
        return wire.RegisterResponse(ttl_s=granted)

    async def Renew(self, request: wire.RenewRequest, context: grpc.aio.ServicerContext) -> wire.RenewResponse:
        return wire.RenewResponse(ttl_s=await self._store.renew(wire.record_from(request.worker), request.ttl_s))

    async def Remove(self, request: wire.RemoveRequest, context: grpc.aio.ServicerContext) -> wire.RemoveResponse:
        await self._store.remove(request.id, request.epoch)
        log.info("worker.removed", worker=request.id, epoch=request.epoch)
        return wire.RemoveResponse()

    async def List(self, request: wire.ListRequest, context: grpc.aio.ServicerContext) -> wire.ListResponse:
        return wire.ListResponse(workers=[wire.record_to(w) for w in await self._store.snapshot()])

    async def Watch(
        self, request: wire.WatchRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[wire.WatchResponse]:
        async with aclosing(self._store.watch()) as news:
            async for one in news:
                yield wire.news_to(one)
