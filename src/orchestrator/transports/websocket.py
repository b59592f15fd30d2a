"""The WebSocket transport: `/v1/converse`, as docs/protocol.md states it.

A connection has one reader and one writer, both children of its handler. The writer takes control before audio, and
never lets more than a few frames into asyncio's and the kernel's buffers (TCP_NOTSENT_LOWAT): what waits, waits in our
outbox, where a hold can overtake it. The reader looks at every message's cost before its content and yields often, so
that a flood on one connection is that connection's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum

from aiohttp import WSMessage, WSMsgType, web

from base.audio import BYTES_PER_SAMPLE
from base.errors import BadRequest, TimedOut
from base.log import get_logger
from orchestrator.access import Network
from orchestrator.callers import peer_of
from orchestrator.connection import ClientTransport, Incoming, Limits, Link, Voice
from orchestrator.messages import (
    Audio,
    CloseCode,
    Error,
    ServerMessage,
    encoded,
    pack_audio,
    parse_client,
    unpack_audio,
)
from orchestrator.ports import Hub

log = get_logger("websocket")


class Kind(Enum):
    TEXT = "text"
    PONG = "pong"


class _Link(Link[tuple[Kind, bytes]]):
    """The writing half of a connection."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        wire: asyncio.Transport,
        drained: Callable[[], Awaitable[None]],
        limits: Limits,
    ) -> None:
        super().__init__()
        self._ws = ws
        self._wire = wire
        self._drained = drained
        self._limits = limits
        self._high = 0
        self.tune(48_000)

    def tune(self, rate: int) -> None:
        """Keeps what can no longer be overtaken short, for audio at `rate`."""
        self._high = round(rate * BYTES_PER_SAMPLE * self._limits.unsent_s)
        self._wire.set_write_buffer_limits(high=self._high, low=self._high // 2)
        sock = self._wire.get_extra_info("socket")
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if sock is not None and option is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, option, self._high)

    def send_nowait(self, message: ServerMessage) -> None:
        self._put_data(Kind.TEXT, encoded(message))

    def pong_nowait(self, data: bytes) -> None:
        self._put_data(Kind.PONG, data)

    def room(self, rate: int) -> int:
        waiting = self.outbox.audio_bytes + self._wire.get_write_buffer_size()
        return max(0, round(self._limits.waiting_s * rate) - waiting // BYTES_PER_SAMPLE)

    async def write(self) -> None:
        """Returns when a close was asked for and all else is written, or when nothing can be written any more."""
        try:
            while (item := await self.next()) is not None:
                await self._write_one(item)
        except ConnectionError:
            self._gone = True
        except TimeoutError:
            self._stalled()

    async def finish(self) -> None:
        """The closing handshake, as far as the other side takes part in it."""
        code, reason = self.closing or (CloseCode.ENDED, "")
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(self._limits.closing_s * 2):
                await self._ws.close(code=code, message=_short(reason), drain=False)
        if self._wire.get_write_buffer_size():
            # close() would wait for a peer that does not read, for as long as it likes.
            self._wire.abort()

    def _put_data(self, kind: Kind, data: bytes) -> None:
        self._put((kind, data), len(data))

    async def _write_one(self, item: tuple[Kind, bytes] | Audio) -> None:
        if isinstance(item, Audio):
            await self._ws.send_bytes(pack_audio(item))
        elif item[0] is Kind.TEXT:
            await self._ws.send_frame(item[1], WSMsgType.TEXT)
        else:
            await self._ws.pong(item[1])
        if self._wire.get_write_buffer_size() > self._high:
            async with asyncio.timeout(self._limits.stalled_s):
                await self._drained()

    def _stalled(self) -> None:
        self.closing = (CloseCode.POLICY, f"the client read nothing for {self._limits.stalled_s:g} s")
        self._gone = True
        self._wire.abort()


def _read_binary(data: bytes) -> Voice:
    audio = unpack_audio(data)
    if audio.turn:
        raise BadRequest(f"audio of turn {audio.turn}: the turn (bytes 4 to 7) is 0 in what a client sends")
    return Voice(audio.sample, audio.pcm)


def _nothing(_: object) -> None:
    """What aiohttp deals with."""


def _take(incoming: Incoming, link: _Link, message: WSMessage) -> None:
    if message.type is WSMsgType.BINARY:
        incoming.take(len(message.data), _read_binary, message.data)
    elif message.type is WSMsgType.TEXT:
        incoming.take(len(message.data), parse_client, message.data)
    elif message.type is WSMsgType.PING:
        incoming.take(len(message.data), link.pong_nowait, message.data)
    else:
        incoming.take(0, _nothing, None)


async def serve_websocket(
    request: web.Request,
    hub: Hub,
    *,
    limits: Limits | None = None,
    lead_s: float = 0.2,
    trusted: Sequence[Network] = (),
    clock: Callable[[], float] = time.monotonic,
) -> web.WebSocketResponse:
    """Handles one connection from handshake to close. Origin and Host were checked before. `trusted`: the proxies that
    are believed about where it came from."""
    limits = limits or Limits()
    ws = web.WebSocketResponse(
        heartbeat=limits.heartbeat_s,
        autoping=False,
        compress=False,
        max_msg_size=limits.message_bytes,
        # Waiting for a slow client is `_Link.write`'s business alone: pings and closes must not wait.
        writer_limit=1 << 30,
        timeout=limits.closing_s,
    )
    stream = await ws.prepare(request)
    wire = request.transport
    if wire is None:
        return ws
    link = _Link(ws, wire, stream.drain, limits)
    transport = functools.partial(ClientTransport, link, lead_s=lead_s)
    incoming = Incoming(hub, link, peer_of(request, "websocket", trusted), limits, transport, clock)
    try:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(_read(ws, incoming, link, limits))
            try:
                await link.write()
            finally:
                reader.cancel()
    finally:
        incoming.lost_nowait()
    await link.finish()
    code, reason = link.closing or (ws.close_code, "")
    log.info("connection.closed", code=code, reason=reason, refused=incoming.refused)
    return ws


async def _read(ws: web.WebSocketResponse, incoming: Incoming, link: _Link, limits: Limits) -> None:
    """Until the connection or the session ends. At most a few messages run before others get their turn."""
    try:
        async with asyncio.timeout(limits.start_s) as deadline:
            taken = 0
            while link.closing is None:
                message = await ws.receive()
                if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                    break
                _take(incoming, link, message)
                if incoming.started and deadline.when() is not None:
                    deadline.reschedule(None)
                taken += 1
                if taken % 16 == 0:
                    await asyncio.sleep(0)
            else:
                return
        link.gone_nowait()
    except TimeoutError:
        error = f"no session_start within {limits.start_s:g} s; send it first"
        link.fail_nowait(Error(code=TimedOut.code, message=error, fatal=True, reason="NO_SESSION"), CloseCode.POLICY)
    except Exception:
        log.exception("connection.fault")
        fault = Error(code="internal", message="a fault on our side; the session can be resumed", fatal=True)
        link.fail_nowait(fault, CloseCode.INTERNAL)


def _short(reason: str) -> bytes:
    """A close frame has room for 123 bytes; not half a character."""
    return reason.encode()[:120].decode(errors="ignore").encode()
