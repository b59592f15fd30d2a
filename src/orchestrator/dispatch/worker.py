"""The agent worker: stays registered with a LiveKit server, takes jobs, and serves their rooms on this loop.

`run` is a child of whoever runs it; one task keeps the connection, one serves each room. The connection may go and
come: rooms have connections of their own, and go on. See docs/decisions/0011-livekit-dispatch.md.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from base import log as logs
from base.channels import Channel, ChannelClosed, ChannelFull, Policy
from base.errors import AntiphonError, BadRequest
from orchestrator.dispatch import wire
from orchestrator.dispatch.jobs import Answer, Job, Jobs, Load
from orchestrator.dispatch.retries import SLOW, Pause, Retries, Trouble
from orchestrator.messages import SessionStart
from orchestrator.ports import ClientSide, Hub, Peer, Transport

log = logs.get_logger("livekit")

STATUS_S = 2.0
"""LiveKit is told how full we are this often, and at once where we said yes or a room is over."""
CONNECT_S = 10.0
HEARTBEAT_S = 10.0
OUTBOX = 256
MOST_BYTES = 4 << 20
LEAVING_S = 2.0
"""How long a job waits for the room of the same name that we are just leaving."""
STOP_S = 5.0
"""How long rooms may take to be left at the end."""
MOST_SAID = 300
AGENT_NAME = "lk.agent.name"
"""The attribute by which LiveKit's components know which agent a participant is."""


class ServeRoom(Protocol):
    """Joins the room that `token` is for and serves it until it is over, or `stop` is set. `participant`: that one
    alone; empty: the first human.
    """

    def __call__(self, url: str, token: str, hub: Hub, *, participant: str, stop: asyncio.Event) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """`url` is the server's, ws:// or wss://; `places` is how many sessions there may be at once."""

    url: str
    key: str
    secret: str = field(repr=False)
    agent: str = ""
    per_participant: bool = False
    places: int = 100


@dataclass(frozen=True, slots=True)
class DispatchStatistics:
    registered: bool
    registrations: int
    jobs: int
    reserved: int
    accepted: int
    refused: int
    failed: int


@dataclass(frozen=True, slots=True)
class _Room:
    job: Job
    task: asyncio.Task[None]
    stop: asyncio.Event


@dataclass(slots=True)
class _Connection:
    socket: aiohttp.ClientWebSocketResponse
    outbox: Channel[bytes]
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Dispatch:
    """See the module. `sessions()` is how many sessions there are now, whatever they came in by."""

    def __init__(
        self,
        settings: DispatchSettings,
        hub: Hub,
        serve: ServeRoom,
        *,
        sessions: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._serve_room = serve
        self._sessions = sessions
        self._clock = clock
        self._wall_clock = wall_clock
        self._jobs = Jobs(settings.places)
        self._retries = Retries(jitter)
        self._connection: _Connection | None = None
        self._rooms: asyncio.TaskGroup | None = None
        self._running: dict[str, _Room] = {}
        self._closing = asyncio.Event()
        self._registrations = self._accepted = self._refused = self._failed = 0

    async def run(self) -> None:
        """Until `close`; then every room is left, and awaited. Cancelled, it drops them."""
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as rooms:
            self._rooms = rooms
            connecting = rooms.create_task(self._stay_registered(http))
            await self._closing.wait()
            connecting.cancel()
            tasks = [room.task for room in self._running.values()]
            for room in self._running.values():
                room.stop.set()
            if tasks:
                _, slow = await asyncio.wait(tasks, timeout=STOP_S)
                for task in slow:
                    log.warning("livekit.room_left_late", after_s=STOP_S)
                    task.cancel()

    def close(self) -> None:
        self._closing.set()

    def drain(self) -> None:
        """LiveKit gives us no room any more; those that we have go on."""
        self._jobs.drain()
        self._changed()

    @property
    def registered(self) -> bool:
        return self._connection is not None

    def statistics(self) -> DispatchStatistics:
        return DispatchStatistics(
            registered=self.registered,
            registrations=self._registrations,
            jobs=len(self._running),
            reserved=self._jobs.reserved(),
            accepted=self._accepted,
            refused=self._refused,
            failed=self._failed,
        )

    def load(self) -> Load:
        return self._jobs.load(self._sessions())

    # --- the connection -----------------------------------------------------------------------------------------------

    async def _stay_registered(self, http: aiohttp.ClientSession) -> None:
        while True:
            trouble, said = await self._connect(http)
            pause = self._retries.failed(trouble, self._clock())
            if pause.tell:
                self._tell_operator(trouble, said, pause)
            await asyncio.sleep(pause.seconds)

    async def _connect(self, http: aiohttp.ClientSession) -> tuple[Trouble, str]:
        """One life of the connection; returns why it ended."""
        before = self._registrations
        trouble = Trouble.UNREACHABLE
        try:
            async with asyncio.timeout(CONNECT_S):
                socket = await http.ws_connect(
                    agent_url(self._settings.url),
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
            for job in self._jobs.lost():
                log.info("livekit.job_not_assigned", job=job.id, room=job.room, why="the server is gone")
        return Trouble.LOST if self._registrations > before else trouble, said

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        # Within which the server must have taken our registration.
        async with asyncio.timeout(CONNECT_S):
            per_participant = self._settings.per_participant
            await socket.send_bytes(wire.register(self._settings.agent, per_participant=per_participant))
            news = wire.read(await _next(socket))
        if not isinstance(news, wire.Registered):
            raise BadRequest(f"its first message is not our registration but {news!r:.100}")
        self._registrations += 1
        self._retries.succeeded()
        connection = _Connection(socket, Channel("livekit_outbox", OUTBOX, Policy.REJECT))
        self._connection = connection
        log.info(
            "livekit.registered",
            url=self._settings.url,
            worker=news.worker_id,
            server=news.server_version,
            agent=self._settings.agent or "every room",
        )
        if running := self._jobs.running():
            self._send(wire.still_ours(running))
        said = ""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_write(connection))
            keeping = tasks.create_task(self._keep_status(connection))
            settling: set[asyncio.Task[None]] = set()
            try:
                while (data := await _next_or_end(socket)) is not None:
                    if (job := self._take(wire.read(data))) is not None:
                        task = tasks.create_task(self._settle(job))
                        settling.add(task)
                        task.add_done_callback(settling.discard)
            except BadRequest as error:
                said = error.message
            finally:
                connection.outbox.close()
                for task in (keeping, *settling):
                    task.cancel()
        return said or f"the server closed it{f' ({socket.close_code})' if socket.close_code else ''}"

    def _headers(self) -> dict[str, str]:
        s = self._settings
        return {"Authorization": f"Bearer {wire.token(s.key, s.secret, self._wall_clock())}"}

    async def _why(self, http: aiohttp.ClientSession) -> str:
        """What the server says to the same request without an upgrade; empty where that helps nobody."""
        url = agent_url(self._settings.url)
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_S), http.get(_as_http(url), headers=self._headers()) as answer:
                said = (await answer.content.read(MOST_SAID)).decode("utf-8", "replace").strip()
                return said if "<" not in said else ""
        return ""

    def _tell_operator(self, trouble: Trouble, said: str, pause: Pause) -> None:
        s = self._settings
        again = f"tried again every {pause.seconds:.0f} s or so" if trouble in SLOW else "tried again"
        match trouble:
            case Trouble.REFUSED:
                message = (
                    f"LiveKit at {s.url} does not take our API key {s.key!r} ({said}); key and secret "
                    "(livekit_key_file, or LIVEKIT_API_KEY and LIVEKIT_API_SECRET) must be a pair of its own `keys`; "
                    f"{again}"
                )
            case Trouble.STRANGER:
                message = f"what answers at {s.url} is no LiveKit server ({said}); check livekit_url; {again}"
            case Trouble.LOST:
                message = f"the connection to LiveKit at {s.url} was lost: {said}; rooms go on as long as theirs last"
            case Trouble.UNREACHABLE:
                message = (
                    f"LiveKit at {s.url} is not there: {said}; {again}, and served over WebSocket meanwhile. Start it, "
                    "or leave livekit_url empty"
                )
        tell = log.error if trouble in SLOW else log.warning
        tell("livekit.not_registered", trouble=trouble.value, message=message)

    # --- what the server says -----------------------------------------------------------------------------------------

    def _take(self, news: wire.News) -> Job | None:
        """Returns a job that is for a room where we are already."""
        match news:
            case wire.Offered(job):
                return job if self._offered(job) is Answer.HERE else None
            case wire.Assigned(job_id, url, token):
                self._assigned(job_id, url, token)
            case wire.Terminated(job_id):
                if room := self._running.get(job_id):
                    room.stop.set()
            case _:
                log.debug("livekit.ignored", what=str(news)[:100])
        return None

    def _offered(self, job: Job) -> Answer:
        answer = self._jobs.offered(job, self._sessions(), self._clock())
        if answer is Answer.ACCEPT:
            self._accepted += 1
            name = self._settings.agent
            attributes = {AGENT_NAME: name} if name else {}
            self._send(wire.accept(job.id, identity=f"agent-{job.id}", name=name or "Antiphon", attributes=attributes))
            self._changed()
        elif answer is not Answer.HERE:
            self._refused += 1
            self._send(wire.refuse(job.id, settled=False))
            log.warning("livekit.job_refused", job=job.id, room=job.room, why=answer.value, **_facts(self.load()))
            self._changed()
        return answer

    async def _settle(self, job: Job) -> None:
        """A job for a room that we are in. When LiveKit was restarted, our connection to the room comes back by
        itself, and the job has its agent; when we are just leaving a room of that name, the job is for the new one.
        """
        ours = [room.task for room in self._running.values() if room.job.place == job.place]
        if ours:
            await asyncio.wait(ours, timeout=LEAVING_S)
        if self._offered(job) is not Answer.HERE:
            return
        log.info("livekit.job_here", job=job.id, room=job.room)
        self._send(wire.refuse(job.id, settled=True))

    def _assigned(self, job_id: str, url: str, token: str) -> None:
        job = self._jobs.assigned(job_id)
        if job is None or self._rooms is None or self._closing.is_set():
            log.warning("livekit.assigned_late", job=job_id)
            self._send(wire.job_over(job_id, "assigned too late"))
            return
        stop = asyncio.Event()
        task = self._rooms.create_task(self._serve(job, url or self._settings.url, token, stop))
        self._running[job_id] = _Room(job, task, stop)
        # Not in the task: one that is cancelled before it runs has no chance to do anything.
        task.add_done_callback(lambda _: self._over(job))
        self._send(wire.job_runs(job_id))

    # --- rooms --------------------------------------------------------------------------------------------------------

    async def _serve(self, job: Job, url: str, token: str, stop: asyncio.Event) -> None:
        """A fault ends its room, never the process."""
        began = self._clock()
        error = why = ""
        log.info("livekit.room", job=job.id, room=job.room, participant=job.participant)
        hub = _CountingHub(self._hub, lambda: self._opened(job.id))
        try:
            why = await self._serve_room(url, token, hub, participant=job.participant, stop=stop)
        except AntiphonError as fault:
            error = fault.message
            log.warning("livekit.room_failed", job=job.id, room=job.room, reason=fault.reason, message=error)
        except Exception as fault:
            error = f"{type(fault).__name__}: {fault}"
            log.error("livekit.room_failed", job=job.id, room=job.room, exc_info=fault)
        self._failed += bool(error)
        self._send(wire.job_over(job.id, error[:MOST_SAID]))
        log.info("livekit.room_over", job=job.id, room=job.room, why=why, after_s=round(self._clock() - began, 1))

    def _opened(self, job_id: str) -> None:
        self._jobs.opened(job_id)
        self._changed()

    def _over(self, job: Job) -> None:
        self._running.pop(job.id, None)
        self._jobs.ended(job.id)
        self._changed()

    # --- what the server is told --------------------------------------------------------------------------------------

    def _send(self, message: bytes) -> None:
        """Dropped where there is no server: it has forgotten us, and asks anew when we are back."""
        if (connection := self._connection) is None:
            return
        try:
            connection.outbox.put_nowait(message)
        except ChannelFull:
            log.warning("livekit.server_does_not_read", waiting=OUTBOX)
            connection.outbox.close()
        except ChannelClosed:
            pass

    def _changed(self) -> None:
        if self._connection is not None:
            self._connection.changed.set()

    async def _keep_status(self, connection: _Connection) -> None:
        while True:
            for job in self._jobs.handle_timer(self._clock()):
                log.warning("livekit.job_not_assigned", job=job.id, room=job.room, why="the server did not assign it")
            connection.changed.clear()
            self._send(wire.status(self.load()))
            with suppress(TimeoutError):
                async with asyncio.timeout(STATUS_S):
                    await connection.changed.wait()


class _CountingHub:
    """The hub, which tells us when the room's session counts there."""

    def __init__(self, hub: Hub, opened: Callable[[], None]) -> None:
        self._hub = hub
        self._opened = opened

    def open_nowait(self, start: SessionStart, transport: Transport, peer: Peer) -> ClientSide:
        side = self._hub.open_nowait(start, transport, peer)
        self._opened()
        return side


def agent_url(url: str) -> str:
    """Where workers register: ws://host/path becomes ws://host/path/agent, http is ws."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/agent", "", ""))


def _as_http(url: str) -> str:
    return "http" + url.removeprefix("ws")


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


def _facts(load: Load) -> Mapping[str, float | int]:
    return {"load": round(load.load, 3), "jobs": load.jobs}
