"""Both ends of a transport for tests: a session that records, a hub that opens it, a client that listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestServer

from base.errors import AntiphonError
from orchestrator.connection import Limits
from orchestrator.messages import (
    Audio,
    ClientMessage,
    Played,
    ServerMessage,
    SessionStart,
    SessionStarted,
    pack_audio,
    server_decoder,
    unpack_audio,
)
from orchestrator.ports import Hub, Peer, Transport
from orchestrator.transports.memory import Listener
from orchestrator.transports.websocket import serve_websocket

PATIENCE_S = 15.0


async def until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Waits for it, generously."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.002)


async def fill(transport: Transport, turn: int = 1) -> tuple[int, int]:
    """Plays silence for as long as there is room, or a while; returns the samples taken and the least room there was.

    One whose connection has ended takes everything and has room for ever.
    """
    sample, least = 0, transport.room()
    for _ in range(200):
        for _ in range(20):
            if transport.room() < 960:
                break
            transport.play_nowait(turn, sample, bytes(1920))
            sample += 960
        least = min(least, transport.room())
        await asyncio.sleep(0.001)
    return sample, least


@dataclass
class RecordingSide:
    """A session that writes down what its transport tells it."""

    audio: list[tuple[int, bytes]] = field(default_factory=list)
    messages: list[ClientMessage] = field(default_factory=list)
    played: list[tuple[int, int]] = field(default_factory=list)
    lost: list[Transport] = field(default_factory=list)
    next_input_sample: int = 0

    def audio_nowait(self, sample: int, pcm: bytes, now: float) -> None:
        self.audio.append((sample, pcm))

    def message_nowait(self, message: ClientMessage) -> None:
        self.messages.append(message)

    def played_nowait(self, turn: int, samples: int) -> None:
        self.played.append((turn, samples))

    def lost_nowait(self, transport: Transport) -> None:
        self.lost.append(transport)


def started(start: SessionStart, session: str = "s-1") -> SessionStarted:
    return SessionStarted(
        session=session,
        protocol=1,
        resume="token",
        resumed=bool(start.resume),
        input_rate=start.input_rate,
        output_rate=start.output_rate,
        voice="en",
        language="en",
        hears=["en"],
        speaks=["en"],
        can_hear=True,
        responder="echo",
        grace_s=30.0,
        next_input_sample=0,
    )


class RecordingHub:
    """Opens a RecordingSide for everybody, or refuses with `refusal` whom `refuses` says."""

    def __init__(self, refusal: AntiphonError | None = None) -> None:
        self.refusal = refusal
        self.refuses: Callable[[SessionStart], bool] = lambda _: True
        self.next_input_sample = 0
        self.opened: list[tuple[SessionStart, Transport, Peer, RecordingSide]] = []

    def open_nowait(self, start: SessionStart, transport: Transport, peer: Peer) -> RecordingSide:
        if self.refusal is not None and self.refuses(start):
            raise self.refusal
        side = RecordingSide(next_input_sample=self.next_input_sample)
        self.opened.append((start, transport, peer, side))
        transport.send_nowait(started(start))
        return side


class SocketClient:
    """A client on a real WebSocket. It reads all the time; what it hears passes by `advance`."""

    def __init__(self, ws: ClientWebSocketResponse, *, rate: int, holds: bool, acknowledges: bool) -> None:
        self.ws = ws
        self.messages: list[ServerMessage] = []
        self.frames: list[Audio] = []
        self.listener = Listener(rate, holds=holds, report=self._report)
        self._acknowledges = acknowledges
        self._reports: asyncio.Queue[Played] = asyncio.Queue()

    async def send(self, message: ClientMessage) -> None:
        await self.ws.send_str(msgspec.json.encode(message).decode())

    async def send_audio(self, sample: int, pcm: bytes) -> None:
        await self.ws.send_bytes(pack_audio(Audio(0, sample, pcm)))

    def got(self, kind: type[ServerMessage]) -> list[ServerMessage]:
        return [m for m in self.messages if isinstance(m, kind)]

    async def read(self) -> None:
        async for message in self.ws:
            if message.type is WSMsgType.BINARY:
                audio = unpack_audio(message.data)
                self.frames.append(audio)
                self.listener.take(audio)
            elif message.type is WSMsgType.TEXT:
                decoded = server_decoder.decode(message.data)
                self.messages.append(decoded)
                self.listener.take(decoded)

    async def tell(self) -> None:
        while True:
            await self.send(await self._reports.get())

    def _report(self, turn: int, samples: int) -> None:
        if self._acknowledges:
            self._reports.put_nowait(Played(turn=turn, samples=samples))


@asynccontextmanager
async def serving(hub: Hub, limits: Limits | None = None) -> AsyncIterator[TestServer]:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await serve_websocket(request, hub, limits=limits)

    app = web.Application()
    app.router.add_get("/v1/converse", handler)
    async with TestServer(app) as server:
        yield server


@asynccontextmanager
async def client_of(
    server: TestServer, *, rate: int = 48_000, holds: bool = True, acknowledges: bool = True, start: bool = True
) -> AsyncIterator[SocketClient]:
    """A client that reads and reports until the block is left; `start`: it sent session_start."""
    async with ClientSession() as http, http.ws_connect(server.make_url("/v1/converse")) as ws:
        client = SocketClient(ws, rate=rate, holds=holds, acknowledges=acknowledges)
        tasks = [asyncio.create_task(client.read()), asyncio.create_task(client.tell())]
        try:
            if start:
                await client.send(SessionStart(output_rate=rate, hold=holds))
                await until(lambda: bool(client.got(SessionStarted)))
            yield client
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
