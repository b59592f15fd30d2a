"""A session over gRPC: docs/grpc.md, `antiphon.v1.Conversation`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import grpc

from antiphon.lines.grpc import wire
from antiphon.lines.line import CONNECT_S, FINAL, Broken, Closed, Line, Opener, Unknown, one_line
from base import rpc
from base.errors import BadRequest, Internal, Unavailable
from orchestrator.messages import Audio, ClientMessage, ServerMessage
from pb.antiphon.v1 import conversation_pb2_grpc

COME_BACK = frozenset({rpc.UNREACHABLE, "GOING_AWAY", Internal.default_reason, "CLIENT_GONE"})
"""Reasons of a status that says nothing against the session."""


class GrpcLine:
    def __init__(self, call: Any) -> None:
        self._call = call

    async def send(self, message: ClientMessage | Audio) -> None:
        # When the call is over, its status, which `received` reads, says why.
        with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
            await self._call.write(wire.request_of(message))

    async def received(self) -> AsyncGenerator[ServerMessage | Audio | Unknown, None]:
        closed: Closed | None = None
        try:
            async for response in self._call:
                message = wire.message_from(response)
                if isinstance(message, Closed):
                    closed = message
                else:
                    yield message
        except grpc.aio.AioRpcError as failed:
            if closed is None:
                raise _ended(failed) from None
        if closed is not None and closed.code not in FINAL:
            raise Broken(f"the connection was lost ({one_line(closed.reason)})")


def _ended(failed: grpc.aio.AioRpcError) -> Exception:
    """Of a call that ended without a last word: somebody between us broke it, or we did not read."""
    error = rpc.error_from_rpc(failed)
    if error.reason in COME_BACK and isinstance(error, Unavailable | Internal):
        return Broken(f"the connection was lost ({one_line(error.message)})")
    return error


def _why(failed: grpc.aio.AioRpcError) -> str:
    """What the system said, without what gRPC puts before it."""
    return one_line((failed.details() or failed.code().name).rpartition(": ")[2])


def target(url: str) -> str:
    """ "host:port" of grpc://host:port and grpcs://host:port. Raises BadRequest."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.path not in ("", "/"):
        raise BadRequest(f"address {url!r} is not one of a gRPC server; it looks like grpc://127.0.0.1:50060")
    return rpc.join_address(host, port)


@asynccontextmanager
async def dial(url: str) -> AsyncIterator[Opener]:
    """grpcs:// is TLS. Certificates are those that gRPC trusts: GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names others."""
    address = target(url)
    async with rpc.secure_channel(address) if url.startswith("grpcs://") else rpc.channel(address) as channel:
        yield lambda: _open(url, channel)


@asynccontextmanager
async def _open(url: str, channel: grpc.aio.Channel) -> AsyncIterator[Line]:
    call = conversation_pb2_grpc.ConversationStub(channel).Converse()
    try:
        try:
            async with asyncio.timeout(CONNECT_S):
                await call.wait_for_connection()
        except grpc.aio.AioRpcError as failed:
            raise Broken(f"nothing answers at {url} ({_why(failed)})") from failed
        except TimeoutError as error:
            raise Broken(f"nothing answers at {url}") from error
        yield GrpcLine(call)
    finally:
        call.cancel()
