"""A WebSocket client that costs next to nothing, so that 50 users fit beside what is measured.

It masks with a key of zeros: what is sent is what was encoded, and a frame is one write. It takes unfragmented frames,
which is what our server and the floor's send; anything else ends the connection with an error.
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from collections.abc import Callable
from typing import cast

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_NO_MASK = bytes(4)


def encode(kind: int, payload: bytes) -> bytes:
    """A client's frame."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | kind, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", 0x80 | kind, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | kind, 0x80 | 127, size)
    return head + _NO_MASK + payload


class Frames:
    """A server's frames out of a stream of bytes. Pure."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, data: bytes) -> list[tuple[int, bytes]]:
        """Whole frames as (kind, payload). Raises ValueError for a fragment or a masked frame."""
        data = self._rest + data if self._rest else data
        out = []
        at, end = 0, len(data)
        while end - at >= 2:
            first, size = data[at], data[at + 1]
            if first & 0xF0 != 0x80 or size & 0x80 or not first & 0x0F:
                raise ValueError(f"frame begins with {first:#x} {size:#x}: not one whole, unmasked frame")
            start = at + 2
            if size == 126:
                start += 2
                if end < start:
                    break
                size = int.from_bytes(data[at + 2 : start])
            elif size == 127:
                start += 8
                if end < start:
                    break
                size = int.from_bytes(data[at + 2 : start])
            if end < start + size:
                break
            out.append((first & 0x0F, data[start : start + size]))
            at = start + size
        self._rest = data[at:]
        return out


class Connection(asyncio.Protocol):
    """`take(kind, payload)` gets each text and binary message, `gone(why)` is called once, at its end."""

    def __init__(self, take: Callable[[int, bytes], None], gone: Callable[[str], None]) -> None:
        self._take = take
        self._gone = gone
        self._frames = Frames()
        self._head = b""
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._ended = False

    async def wait_open(self, host: str, path: str) -> None:
        """Asks for the upgrade. Raises ConnectionError when it is refused."""
        assert self._transport is not None
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self._opened

    def send(self, kind: int, payload: bytes) -> None:
        if self._transport is not None and not self._ended:
            self._transport.write(encode(kind, payload))

    def close(self) -> None:
        if self._transport is not None and not self._ended:
            self.send(CLOSE, struct.pack("!H", 1000))
            self._transport.close()

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._opened.done():
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self._end("the upgrade was refused: " + head.split(b"\r\n", 1)[0].decode(errors="replace"))
                return
            self._opened.set_result(None)
        try:
            for kind, payload in self._frames.push(data):
                self._frame(kind, payload)
        except ValueError as error:
            self._end(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"lost: {exc}" if exc else "closed")

    def _frame(self, kind: int, payload: bytes) -> None:
        if kind in (TEXT, BINARY):
            self._take(kind, payload)
        elif kind == PING:
            self.send(PONG, payload)
        elif kind == CLOSE:
            code = int.from_bytes(payload[:2]) if len(payload) >= 2 else 1005
            self._end(f"the server closed with {code} {payload[2:].decode(errors='replace')}".rstrip())

    def _end(self, why: str) -> None:
        if self._ended:
            return
        self._ended = True
        if self._transport is not None:
            self._transport.close()
        if not self._opened.done():
            self._opened.set_exception(ConnectionError(why))
        self._gone(why)


async def connect(
    address: str, take: Callable[[int, bytes], None], gone: Callable[[str], None], path: str = "/v1/converse"
) -> Connection:
    """Opens ws://address/path. Raises OSError when there is nobody, or who is there refuses."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(take, gone), host.strip("[]"), int(port))
    await connection.wait_open(address, path)
    return connection
