"""A session over WebSocket: docs/protocol.md."""

from __future__ import annotations

import contextlib
from asyncio import timeout
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from antiphon import wire
from antiphon.lines.line import CONNECT_S, FINAL, Broken, Line, Opener, Unknown, one_line
from base.errors import BadRequest, Denied
from orchestrator.messages import Audio, ClientMessage, ServerMessage, pack_audio, unpack_audio


class WebSocketLine:
    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws

    async def send(self, message: ClientMessage | Audio) -> None:
        if isinstance(message, Audio):
            await self._ws.send_bytes(pack_audio(message))
        else:
            await self._ws.send_str(wire.encode(message))

    async def received(self) -> AsyncGenerator[ServerMessage | Audio | Unknown, None]:
        async for message in self._ws:
            if message.type is aiohttp.WSMsgType.BINARY:
                with contextlib.suppress(BadRequest):  # a type of a later version
                    yield unpack_audio(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                yield wire.decode(message.data)
        if self._ws.close_code not in FINAL:
            raise Broken(f"the connection was lost (code {self._ws.close_code})")


@asynccontextmanager
async def dial(url: str) -> AsyncIterator[Opener]:
    """`url` as `wire.socket_url` gives it."""
    async with aiohttp.ClientSession() as http:
        yield lambda: _open(url, http)


@asynccontextmanager
async def _open(url: str, http: aiohttp.ClientSession) -> AsyncIterator[Line]:
    try:
        async with timeout(CONNECT_S):
            ws = await http.ws_connect(url, heartbeat=15.0, compress=0, max_msg_size=1 << 20)
    except aiohttp.WSServerHandshakeError as error:
        if error.status in (403, 421):
            raise Denied(f"{url} refused the connection ({error.status}): this address may not be used") from error
        raise Broken(f"{url} answered {error.status} {one_line(error.message)}") from error
    except aiohttp.ClientResponseError as error:
        raise Broken(f"what answers at {url} is no web server: {one_line(error.message)}") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Broken(f"nothing answers at {url}{_why(error)}") from error
    try:
        yield WebSocketLine(ws)
    finally:
        # A server that does not take part in closing is not waited for.
        with contextlib.suppress(TimeoutError, aiohttp.ClientError, ConnectionError):
            async with timeout(2.0):
                await ws.close()


def _why(error: BaseException) -> str:
    """What the system said, without what aiohttp puts around it."""
    said = error.os_error.strerror if isinstance(error, aiohttp.ClientConnectorError) else str(error)
    return f" ({one_line(said)})" if said else ""
