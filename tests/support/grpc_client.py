"""The far end of a gRPC transport for tests: a client that listens, and one without manners."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from antiphon.lines.grpc import wire
from antiphon.lines.line import Closed, Unknown
from base import rpc
from base.errors import AntiphonError
from orchestrator.access import Network
from orchestrator.connection import Limits
from orchestrator.messages import (
    Audio,
    ClientMessage,
    Played,
    ServerMessage,
    SessionStart,
    SessionStarted,
)
from orchestrator.ports import Hub
from orchestrator.transports.grpc.servicer import ConversationServicer
from orchestrator.transports.memory import Listener
from pb.antiphon.v1 import conversation_pb2_grpc
from tests.support.transports import PATIENCE_S, until

METHOD = "/antiphon.v1.Conversation/Converse"
SMALL_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535))
"""A client that takes 64 KiB unread, which is what other libraries than gRPC's C core begin with."""


class CallClient:
    """A client on a real call. It reads all the time; what it hears passes by `advance`."""

    def __init__(self, call: Any, *, rate: int = 48_000, holds: bool = True, acknowledges: bool = True) -> None:
        self.call = call
        self.messages: list[ServerMessage] = []
        self.frames: list[Audio] = []
        self.unknown: list[Unknown] = []
        self.closing: Closed | None = None
        self.over = False
        """The call has ended; `failure` is its status, None for OK."""
        self.failure: AntiphonError | None = None
        self.listener = Listener(rate, holds=holds, report=self._report)
        self._acknowledges = acknowledges
        self._writing = asyncio.Lock()
        self._reports: asyncio.Queue[Played] = asyncio.Queue()

    async def send(self, message: ClientMessage | Audio) -> None:
        await self.write(wire.request_of(message))

    async def write(self, request: wire.ConverseRequest) -> None:
        """One at a time: gRPC takes no second while the first is under way."""
        async with self._writing:
            await self.call.write(request)

    async def send_audio(self, sample: int, pcm: bytes) -> None:
        await self.send(Audio(0, sample, pcm))

    async def leave(self) -> None:
        self.call.cancel()

    def got(self, kind: type[ServerMessage]) -> list[ServerMessage]:
        return [m for m in self.messages if isinstance(m, kind)]

    def close_code(self) -> tuple[int, str] | None:
        return (self.closing.code, self.closing.reason) if self.over and self.closing is not None else None

    async def read(self) -> None:
        try:
            async for response in self.call:
                message = wire.message_from(response)
                if isinstance(message, Unknown):
                    self.unknown.append(message)
                elif isinstance(message, Closed):
                    self.closing = message
                elif isinstance(message, Audio):
                    self.frames.append(message)
                    self.listener.take(message)
                else:
                    self.messages.append(message)
                    self.listener.take(message)
        except grpc.aio.AioRpcError as failed:
            self.failure = rpc.error_from_rpc(failed)
        self.over = True

    async def tell(self) -> None:
        while True:
            await self.send(await self._reports.get())

    def _report(self, turn: int, samples: int) -> None:
        if self._acknowledges:
            self._reports.put_nowait(Played(turn=turn, samples=samples))


@asynccontextmanager
async def grpc_serving(hub: Hub, limits: Limits | None = None, trusted: tuple[Network, ...] = ()) -> AsyncIterator[str]:
    """The transport alone, over whatever hub; gives its address."""
    server = rpc.server()
    servicer = ConversationServicer(hub, limits=limits, trusted=trusted)
    conversation_pb2_grpc.add_ConversationServicer_to_server(servicer, server)
    address = rpc.bind(server, "127.0.0.1", 0)
    await server.start()
    try:
        yield address
    finally:
        await server.stop(0)


@asynccontextmanager
async def grpc_channel(address: str, *options: tuple[str, int]) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(address, options=(*rpc.CHANNEL_OPTIONS, *options)) as channel:
        yield channel


async def code_of(call: Any) -> grpc.StatusCode:
    """With which a call ends; what comes before is read and dropped."""
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(grpc.aio.AioRpcError):
            while await call.read() is not grpc.aio.EOF:
                pass
        code: grpc.StatusCode = await call.code()
        return code


@asynccontextmanager
async def call_of(
    address: str,
    *,
    rate: int = 48_000,
    holds: bool = True,
    acknowledges: bool = True,
    start: bool = True,
    reads: bool = True,
    options: tuple[tuple[str, int], ...] = (),
    metadata: tuple[tuple[str, str], ...] = (),
) -> AsyncIterator[CallClient]:
    """A client that reads and reports until the block is left; `start`: it sent session_start."""
    async with grpc_channel(address, *options) as channel:
        call = conversation_pb2_grpc.ConversationStub(channel).Converse(metadata=metadata)
        client = CallClient(call, rate=rate, holds=holds, acknowledges=acknowledges)
        tasks = [asyncio.create_task(client.tell())]
        if reads:
            tasks.append(asyncio.create_task(client.read()))
        try:
            if start:
                await client.send(SessionStart(output_rate=rate, hold=holds))
                if reads:
                    await until(lambda: bool(client.got(SessionStarted)))
            yield client
        finally:
            call.cancel()
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)
