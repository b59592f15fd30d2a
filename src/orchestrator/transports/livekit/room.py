"""Serves a room: joins it as the agent, talks with its user, leaves. `serve_room` is the entry point.

The SDK gets a connection back by itself where it can; where it gives up, the room is joined anew, for as long as the
session would wait and the token is good. Sessions are the hub's: what is lost here goes on there, for its grace time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from base.errors import AntiphonError, BadRequest, Denied, Unavailable
from base.log import get_logger
from orchestrator.connection import error_message
from orchestrator.leaving import Stop
from orchestrator.messages import CloseCode, encoded
from orchestrator.ports import Hub
from orchestrator.transports.livekit.attendance import Attendance, Begin, Command, End, Leave, Open, Person
from orchestrator.transports.livekit.settings import RoomSettings
from orchestrator.transports.livekit.visit import Memory, Visit

if TYPE_CHECKING:
    from orchestrator.transports.livekit.connection import Connection, TextStream

__all__ = ["RoomSettings", "serve_room", "warm_up"]

log = get_logger("livekit")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
NAMELESS, NAMELESS_S = 32, 5.0
"""Packets kept, and how long, of whom LiveKit has not told yet: they are the next one's to join. Of somebody who
publishes nothing it tells up to three seconds late, and until then the SDK has no name for them.
"""
STRANGERS = 100
"""Others than the user who are told that they are not listened to; more are not."""


def warm_up() -> None:
    """Loads LiveKit's library, which takes a while (0.3 s): before the first room rather than in it."""
    from livekit.rtc._ffi_client import FfiClient

    from orchestrator.transports.livekit import connection

    del connection
    assert FfiClient.instance is not None


async def serve_room(
    url: str,
    token: str,
    hub: Hub,
    *,
    settings: RoomSettings | None = None,
    stop: Stop,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Joins the room that `token` is for and serves it until it is over or `stop` is set; returns why it left.

    Raises Denied when LiveKit refuses the token, Unavailable when the room could not be joined in the grace time.
    """
    agent = RoomAgent(hub, settings or RoomSettings(), clock)
    return await agent.run(url, token, stop)


class RoomAgent:
    """One room's agent, over as many connections as it takes. It takes what happens there (`connection.Events`)."""

    def __init__(self, hub: Hub, settings: RoomSettings, clock: Callable[[], float]) -> None:
        self._hub = hub
        self._settings = settings
        self._clock = clock
        self._attendance = Attendance(settings, clock())
        self._memory = Memory()
        self._tasks = asyncio.TaskGroup()
        self._connection: Connection | None = None
        self._visit: Visit | None = None
        self._visits: set[asyncio.Task[None]] = set()
        self._strangers: set[str] = set()
        self._nameless: deque[tuple[float, bytes]] = deque(maxlen=NAMELESS)
        self._news = asyncio.Event()
        self._over: str | None = None
        self._gone = False
        self._wanted_state = ""
        self._state_news = asyncio.Event()

    async def run(self, url: str, token: str, stop: Stop) -> str:
        failure: AntiphonError | None = None
        async with self._tasks as tasks:
            stopping = tasks.create_task(self._stop_when(stop))
            try:
                await self._serve(url, token)
            except AntiphonError as error:
                failure = error
            finally:
                stopping.cancel()
        if failure is not None:
            raise failure
        return self._over or ""

    async def _serve(self, url: str, token: str) -> None:
        from orchestrator.transports.livekit.connection import joined

        begun, wait_s = self._clock(), FIRST_WAIT_S
        known = False
        while self._over is None:
            self._gone = False
            try:
                async with joined(url, token, self, self._settings, self._clock) as connection:
                    log.info("livekit.joined", room=connection.name, identity=connection.identity)
                    known, wait_s = True, FIRST_WAIT_S
                    await self._stay(connection)
                    token = connection.token or token
            except Denied:
                if not known:
                    raise
                self._leave("LiveKit does not take our token any more")
            except Unavailable as error:
                log.warning("livekit.away", message=error.message)
                if not known and self._clock() - begun > self._settings.grace_s:
                    raise
            self._do(self._attendance.down(self._clock()))
            await self._watch(until=self._clock() + wait_s * random.uniform(0.7, 1.0))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        log.info("livekit.left", reason=self._over)

    async def _stay(self, connection: Connection) -> None:
        """Until the connection is lost for good, or we leave."""
        self._connection = connection
        # A LiveKit that was restarted knows nothing of it any more, if we are the first to come back.
        self._memory.key = connection.key or self._memory.key
        announcing = self._tasks.create_task(self._announce(connection))
        try:
            self._state("initializing")
            self._do(self._attendance.up(connection.people(), self._clock()))
            await self._watch()
            if self._over is not None and self._visit is not None:
                self._visit.close_nowait(CloseCode.GOING_AWAY, self._over)
        finally:
            if self._gone:
                self._do(self._attendance.down(self._clock()))
            await self._visits_over()
            self._connection = self._visit = None
            announcing.cancel()

    async def _watch(self, until: float | None = None) -> None:
        """Carries out what time brings, until we leave or the connection is gone; or, without one, until `until`."""
        while self._over is None and not (self._gone and until is None):
            now = self._clock()
            self._do(self._attendance.handle_timer(now))
            if self._over is not None or (until is not None and now >= until):
                return
            deadline = self._attendance.next_deadline()
            waits = [at - now for at in (deadline, until) if at is not None]
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.001, min(waits)) if waits else None):
                    await self._news.wait()

    async def _stop_when(self, stop: Stop) -> None:
        await stop.wait()
        self._leave(stop.why)

    async def _visits_over(self) -> None:
        """They end by themselves; one that LiveKit keeps waiting is not waited for."""
        if self._visits:
            _, late = await asyncio.wait(self._visits, timeout=2 * self._settings.last_words_s)
            for visit in late:
                visit.cancel()

    # --- what the attendance commands -------------------------------------------------------------------------------

    def _do(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Begin():
                    self._begin(command)
                case Open() if self._visit is not None:
                    self._visit.open_nowait()
                case End():
                    visit, self._visit = self._visit, None
                    if visit is not None:
                        visit.end_nowait()
                    self._state("idle")
                case Leave():
                    self._leave(command.reason)
        self._news.set()

    def _begin(self, command: Begin) -> None:
        assert self._connection is not None
        if not command.again:
            self._memory.forget()
        visit = Visit(
            self._connection,
            self._hub,
            command.person,
            self._memory,
            self._settings,
            opened=self._attendance.opened,
            closed=self._closed,
            state=self._state,
            clock=self._clock,
        )
        self._visit = visit
        task = self._tasks.create_task(visit.run())
        self._visits.add(task)
        task.add_done_callback(self._visits.discard)

    def _closed(self, visit: Visit, code: int, reason: str) -> None:
        if visit is self._visit:
            self._visit = None
            self._do(self._attendance.closed(code, reason, self._clock()))

    def _leave(self, reason: str) -> None:
        if self._over is None:
            self._over = reason
            self._news.set()

    # --- what happens in the room -----------------------------------------------------------------------------------

    def joined_nowait(self, person: Person) -> None:
        now, before = self._clock(), self._visit
        self._do(self._attendance.joined(person, now))
        if self._visit is not before and self._visit is not None and person.native:
            for at, data in self._nameless:
                if now - at < NAMELESS_S:
                    self._visit.data_nowait(data)
            self._nameless.clear()

    def ready_nowait(self, person: Person) -> None:
        self._do(self._attendance.ready(person, self._clock()))

    def left_nowait(self, identity: str) -> None:
        self._strangers.discard(identity)
        self._do(self._attendance.left(identity, self._clock()))

    def subscribed_nowait(self) -> None:
        self._do(self._attendance.subscribed(self._clock()))

    def tracks_nowait(self, identity: str) -> None:
        visit = self._visit
        if visit is not None and visit.person.identity == identity:
            visit.tracks_nowait()

    def data_nowait(self, identity: str, data: bytes) -> None:
        if not identity:
            self._nameless.append((self._clock(), data))
            return
        visit = self._visit
        if visit is not None and visit.person.identity == identity:
            visit.data_nowait(data)
        elif identity != self._attendance.user:
            self._refuse(identity)

    def stream_nowait(self, identity: str, stream: TextStream) -> None:
        visit = self._visit
        if visit is not None and visit.person.identity == identity:
            visit.stream_nowait(stream)
            return
        stream.drop()
        if identity != self._attendance.user:
            self._refuse(identity)

    def down_nowait(self) -> None:
        log.info("livekit.reconnecting")
        self._do(self._attendance.down(self._clock()))

    def up_nowait(self) -> None:
        log.info("livekit.reconnected")
        if self._connection is not None:
            self._do(self._attendance.up(self._connection.people(), self._clock()))

    def gone_nowait(self, reason: str, over: bool) -> None:
        log.info("livekit.disconnected", reason=reason)
        self._gone = True
        if over:
            self._leave(f"the room is over for us: {reason}")
        self._news.set()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _refuse(self, identity: str) -> None:
        """Once for everybody who is not the user and writes to the agent nevertheless."""
        connection = self._connection
        if connection is None or identity in self._strangers or len(self._strangers) >= STRANGERS:
            return
        self._strangers.add(identity)
        error = BadRequest("the agent talks with another participant of this room", reason="NOT_THE_USER")
        self._tasks.create_task(self._tell(connection, identity, encoded(error_message(error, fatal=False))))

    async def _tell(self, connection: Connection, identity: str, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            await connection.publish(data, identity, self._settings.packet_bytes)

    def _state(self, state: str) -> None:
        self._wanted_state = state
        self._state_news.set()

    async def _announce(self, connection: Connection) -> None:
        """Keeps the agent's attribute what it should be; the newest is enough."""
        told_state = ""
        while True:
            while self._wanted_state != told_state:
                told_state = self._wanted_state
                with contextlib.suppress(Exception):
                    await connection.announce(told_state)
            self._state_news.clear()
            await self._state_news.wait()
