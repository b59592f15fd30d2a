"""The gRPC door: `antiphon.v1.Conversation` on a port of its own, with health and reflection.

It is where plain HTTP is, and speaks TLS where HTTPS has taken that one's place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from base import rpc
from orchestrator.access import networks
from orchestrator.ports import Hub
from orchestrator.settings import OrchestratorSettings
from orchestrator.transports.grpc import wire
from orchestrator.transports.grpc.servicer import ConversationServicer
from pb.antiphon.v1 import conversation_pb2_grpc

SPARE_CALLS = 100
"""Calls beyond two a session: health, reflection, and clients who are told that all places are taken."""
IDLE_S = 180.0
"""How long a connection is kept without a call; over HTTP it is the same."""
GOODBYE_S = 1.0
"""How long a client may take to read the last of a call."""


@dataclass(frozen=True, slots=True)
class GrpcDoor:
    """`address` ("host:port") is empty where there is none."""

    address: str
    drain: Callable[[], Awaitable[None]]


@asynccontextmanager
async def grpc_door(settings: OrchestratorSettings, hub: Hub) -> AsyncIterator[GrpcDoor]:
    """Open while the block lasts. Raises Misconfigured where the port is taken."""
    if settings.grpc_port < 0:
        yield GrpcDoor("", _nothing)
        return
    at_once = 2 * settings.max_sessions + SPARE_CALLS
    server = rpc.server(at_once=at_once, handshake_s=settings.request_s, idle_s=IDLE_S)
    trusted = networks(settings.trusted_proxies, "trusted_proxies")
    servicer = ConversationServicer(hub, lead_s=settings.lead_ms / 1000, trusted=trusted)
    conversation_pb2_grpc.add_ConversationServicer_to_server(servicer, server)
    health = await rpc.add_standard_services(server, [wire.SERVICE])
    address = rpc.bind(server, settings.host, settings.grpc_port, tls=await asyncio.to_thread(_tls, settings))
    await server.start()
    try:
        await health.set_serving(True)
        yield GrpcDoor(address, lambda: health.set_serving(False))
    finally:
        await server.stop(GOODBYE_S)


def _tls(settings: OrchestratorSettings) -> tuple[bytes, bytes] | None:
    """Certificate and key, which were found good before."""
    if not settings.tls_cert or settings.tls_port >= 0:
        return None
    return Path(settings.tls_cert).read_bytes(), Path(settings.tls_key).read_bytes()


async def _nothing() -> None:
    pass
