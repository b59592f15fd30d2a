"""The registry as a server of its own, or inside another process: the only place here that picks a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from base import rpc
from base.lifecycle import Serving, serve
from pb.antiphon.v1 import registry_pb2_grpc
from registry import wire
from registry.leases import Leases
from registry.servicer import RegistryServicer
from registry.settings import RegistrySettings
from registry.store import Store
from registry.stores.memory import MemoryStore


@asynccontextmanager
async def serving(settings: RegistrySettings, store: Store | None = None) -> AsyncIterator[Serving]:
    """A running registry over `store` (None: one in memory), until the context ends.

    Watches never end by themselves, so draining only says NOT_SERVING; `settings.drain_s` bounds the rest.
    """
    token = rpc.read_token(settings.worker_token_file, host=settings.host)
    if store is None:
        store = MemoryStore(
            Leases(max_ttl_s=settings.max_ttl_s, capacity=settings.max_workers, size=wire.size_in_snapshot)
        )
    server = rpc.server(token)
    registry_pb2_grpc.add_RegistryServicer_to_server(RegistryServicer(store), server)
    health = await rpc.add_standard_services(server, [wire.SERVICE])
    address = rpc.bind(server, settings.host, settings.port)
    await server.start()
    try:
        await health.set_serving(True)

        async def drain() -> None:
            await health.set_serving(False)

        yield Serving(address, drain)
    finally:
        await server.stop(settings.drain_s)


async def run(settings: RegistrySettings, *, ready: Callable[[str], None] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; `ready` gets "host:port". Returns the exit code."""
    return await serve("registry", serving(settings), ready=ready, drain_s=settings.drain_s)
