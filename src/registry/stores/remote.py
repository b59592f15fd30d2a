"""A store that is somebody else's: the registry's own server, over gRPC.

The channel connects again by itself, so after `Unavailable` the next call may well succeed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc

from base import rpc, tracing
from base.errors import Unavailable
from pb.antiphon.v1 import registry_pb2_grpc
from registry import wire
from registry.records import WorkerRecord
from registry.store import News

T = TypeVar("T")


class RemoteStore:
    """`channel` stays the caller's to close; `deadline_s` bounds each call but `watch`."""

    def __init__(self, channel: grpc.aio.Channel, *, address: str, deadline_s: float = 2.0) -> None:
        self._stub = registry_pb2_grpc.RegistryStub(channel)
        self._address = address
        self._deadline_s = deadline_s

    async def put(self, record: WorkerRecord, ttl_s: float) -> float:
        request = wire.RegisterRequest(worker=wire.record_to(record), ttl_s=ttl_s)
        return (await self._ask(self._stub.Register, request)).ttl_s

    async def renew(self, record: WorkerRecord, ttl_s: float) -> float:
        request = wire.RenewRequest(worker=wire.record_to(record), ttl_s=ttl_s)
        return (await self._ask(self._stub.Renew, request)).ttl_s

    async def remove(self, id: str, epoch: str = "") -> None:
        await self._ask(self._stub.Remove, wire.RemoveRequest(id=id, epoch=epoch))

    async def snapshot(self) -> tuple[WorkerRecord, ...]:
        return wire.records_from((await self._ask(self._stub.List, wire.ListRequest())).workers)

    async def watch(self) -> AsyncGenerator[News, None]:
        call = self._stub.Watch(wire.WatchRequest(), metadata=tracing.metadata())
        try:
            async for message in call:
                news = wire.news_from(message)
                if news is not None:
                    yield news
        except grpc.aio.AioRpcError as failed:
            raise self._error(failed) from failed
        finally:
            call.cancel()
        raise Unavailable(f"the registry at {self._address} ended its news; it is stopping", reason=rpc.UNREACHABLE)

    async def _ask(self, method: Callable[..., Awaitable[T]], request: object) -> T:
        try:
            return await method(request, timeout=self._deadline_s, metadata=tracing.metadata())
        except grpc.aio.AioRpcError as failed:
            raise self._error(failed) from failed

    def _error(self, failed: grpc.aio.AioRpcError) -> Exception:
        error = rpc.error_from_rpc(failed)
        if isinstance(error, Unavailable) and error.reason == rpc.UNREACHABLE:
            return Unavailable(f"the registry at {self._address} cannot be reached ({error})", reason=rpc.UNREACHABLE)
        return error


@asynccontextmanager
async def remote_store(
    address: str, *, token: rpc.Token = rpc.NONE, deadline_s: float = 2.0
) -> AsyncIterator[RemoteStore]:
    """A store at "host:port" with a channel of its own, closed at the end. Opening it does not connect."""
    async with rpc.channel(address, token) as channel:
        yield RemoteStore(channel, address=address, deadline_s=deadline_s)
