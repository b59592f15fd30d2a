"""The connection to LiveKit's server by which a worker is registered there: kept, or taken up again.

What comes over it goes to a `Listener`. What is sent while there is none is dropped: the server has forgotten us then,
and asks anew when we are back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from base import log as logs
from base.channels import Channel, ChannelClosed, ChannelFull, Policy
from base.errors import BadRequest
from orchestrator.dispatch import wire
from orchestrator.dispatch.retries import SLOW, Pause, Retries, Trouble

log = logs.get_logger("livekit")

CONNECT_S = 10.0
HEARTBEAT_S = 10.0
OUTBOX = 256
MOST_BYTES = 4 << 20
MOST_SAID = 300


@dataclass(frozen=True, slots=True)
class Server:
    """`url` is ws:// or wss://. `agent` is the name that the worker registers by; empty: for every room."""

    url: str
    key: str
    secret: str = field(repr=False)
    agent: str = ""
    per_participant: bool = False


class Listener(Protocol):
    """None of these may wait."""

    def registered(self) -> None: ...

    def take(self, news: wire.News) -> None: ...

    def lost(self) -> None:
        """The server is gone, and with it what it asked."""
        ...


@dataclass(slots=True)
class _Connection:
    socket: aiohttp.ClientWebSocketResponse
    outbox: Channel[bytes]


class Registration:
    """See the module. `run` goes on until it is cancelled."""

    def __init__(
        self,
        server: Server,
        listener: Listener,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._server = server
        self._listener = listener
        self._clock = clock
        self._wall_clock = wall_clock
        self._retries = Retries(jitter)
        self._connection: _Connection | None = None
        self.count = 0
        """Times registered."""

    def __bool__(self) -> bool:
        """Whether it is registered now."""
        return self._connection is not None

    def send_nowait(self, message: bytes) -> None:
        if (connection := self._connection) is None:
            return
        try:
            connection.outbox.put_nowait(message)
        except ChannelFull:
            log.warning("livekit.server_does_not_read", waiting=OUTBOX)
            connection.outbox.close()
        except ChannelClosed:
            pass

    async def run(self) -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                trouble, said = await self._connect(http)
                pause = self._retries.failed(trouble, self._clock())
                if pause.tell:
                    self._tell_operator(trouble, said, pause)
                await asyncio.sleep(pause.seconds)

    async def _connect(self, http: aiohttp.ClientSession) -> tuple[Trouble, str]:
        """One life of the connection; returns why it ended."""
        before = self.count
        trouble = Trouble.UNREACHABLE
        try:
            async with asyncio.timeout(CONNECT_S):
                socket = await http.ws_connect(
                    agent_url(self._server.url),
                    headers=self._headers(),
                    # The server may be slow to close; it has nothing to tell us any more.
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                    heartbeat=HEARTBEAT_S,
                    max_msg_size=MOST_BYTES,
                )
            async with socket:
                said = await self._converse(socket)
        except aiohttp.WSServerHandshakeError as error:
            said = await self._why(http) or f"HTTP {error.status}"
            if error.status in (401, 403):
                trouble = Trouble.REFUSED
            elif error.status < 500 and error.status != 429:
                trouble = Trouble.STRANGER
        except TimeoutError:
            said = f"no answer within {CONNECT_S:g} s"
        except BadRequest as error:
            said, trouble = error.message, Trouble.STRANGER
        except (aiohttp.ClientError, OSError) as error:
            said = str(error) or type(error).__name__
        finally:
            self._connection = None
            self._listener.lost()
        return Trouble.LOST if self.count > before else trouble, said

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        """Registers, and listens to the end. Raises BadRequest for a server that does not let us."""
        server = self._server
        async with asyncio.timeout(CONNECT_S):
            await socket.send_bytes(wire.register(server.agent, per_participant=server.per_participant))
            news = wire.read(await _next(socket))
        if not isinstance(news, wire.Registered):
            raise BadRequest(f"its first message is not our registration but {news!r:.100}")
        self.count += 1
        self._retries.succeeded()
        connection = _Connection(socket, Channel("livekit_outbox", OUTBOX, Policy.REJECT))
        self._connection = connection
        agent = server.agent or "every room"
        log.info("livekit.registered", url=server.url, worker=news.worker_id, server=news.server_version, agent=agent)
        self._listener.registered()
        said = ""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_write(connection))
            try:
                while (data := await _next_or_end(socket)) is not None:
                    self._listener.take(wire.read(data))
            except BadRequest as error:
                said = error.message
            finally:
                connection.outbox.close()
        return said or f"the server closed it{f' ({socket.close_code})' if socket.close_code else ''}"

    def _headers(self) -> dict[str, str]:
        token = wire.token(self._server.key, self._server.secret, self._wall_clock())
        return {"Authorization": f"Bearer {token}"}

    async def _why(self, http: aiohttp.ClientSession) -> str:
        """What the server says to the same request without an upgrade; empty where that helps nobody."""
        url = "http" + agent_url(self._server.url).removeprefix("ws")
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_S), http.get(url, headers=self._headers()) as answer:
                said = (await answer.content.read(MOST_SAID)).decode("utf-8", "replace").strip()
                return said if "<" not in said else ""
        return ""

    def _tell_operator(self, trouble: Trouble, said: str, pause: Pause) -> None:
        url, key = self._server.url, self._server.key
        again = f"tried again every {pause.seconds:.0f} s or so" if trouble in SLOW else "tried again"
        match trouble:
            case Trouble.REFUSED:
                message = (
                    f"LiveKit at {url} does not take our API key {key!r} ({said}); key and secret (livekit_key_file, "
                    f"or LIVEKIT_API_KEY and LIVEKIT_API_SECRET) must be a pair of its own `keys`; {again}"
                )
            case Trouble.STRANGER:
                message = f"what answers at {url} is no LiveKit server ({said}); check livekit_url; {again}"
            case Trouble.LOST:
                message = f"the connection to LiveKit at {url} was lost: {said}; rooms go on as long as theirs last"
            case Trouble.UNREACHABLE:
                message = (
                    f"LiveKit at {url} is not there: {said}; {again}, and served over WebSocket meanwhile. Start it, "
                    "or leave livekit_url empty"
                )
        tell = log.error if trouble in SLOW else log.warning
        tell("livekit.not_registered", trouble=trouble.value, message=message)


def agent_url(url: str) -> str:
    """Where workers register: ws://host/path becomes ws://host/path/agent, http is ws."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/agent", "", ""))


async def _write(connection: _Connection) -> None:
    try:
        while True:
            await connection.socket.send_bytes(await connection.outbox.get())
    except (ChannelClosed, aiohttp.ClientError, OSError):
        await connection.socket.close()


async def _next(socket: aiohttp.ClientWebSocketResponse) -> bytes:
    data = await _next_or_end(socket)
    if data is None:
        raise BadRequest(f"it closed the connection before we were registered ({socket.close_code})")
    return data


async def _next_or_end(socket: aiohttp.ClientWebSocketResponse) -> bytes | None:
    """The next message's bytes; None at the end. Raises BadRequest for text, which no LiveKit server sends."""
    message = await socket.receive()
    match message.type:
        case aiohttp.WSMsgType.BINARY:
            data: bytes = message.data
            return data
        case aiohttp.WSMsgType.TEXT:
            raise BadRequest(f"it sent text: {str(message.data)[:100]!r}")
        case _:
            return None
