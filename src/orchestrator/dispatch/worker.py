"""The agent worker: registered with a LiveKit server, it takes jobs, and serves their rooms on this loop.

`run` is a child of whoever runs it; one task keeps the registration, one serves each room. The registration may go and
come: rooms have connections of their own, and go on. See docs/decisions/0011-livekit-dispatch.md.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from base import log as logs
from base.errors import AntiphonError
from orchestrator.dispatch import wire
from orchestrator.dispatch.jobs import Answer, Job, Jobs, Load
from orchestrator.dispatch.registration import MOST_SAID, Registration, Server
from orchestrator.leaving import Stop
from orchestrator.messages import SessionStart
from orchestrator.ports import ClientSide, Hub, Peer, Transport

log = logs.get_logger("livekit")

STATUS_S = 2.0
"""LiveKit is told how full we are this often, and at once where we said yes or a room is over."""
LEAVING_S = 2.0
"""How long a job waits for the room of the same name that we are just leaving."""
STOP_S = 5.0
"""How long rooms may take to be left at the end."""
AGENT_NAME = "lk.agent.name"
"""The attribute by which LiveKit's components know which agent a participant is."""


class ServeRoom(Protocol):
    """Joins the room that `token` is for and serves it until it is over, or `stop` is set; returns why it left.
    `participant`: that one alone; empty: the first human.
    """

    def __call__(self, url: str, token: str, hub: Hub, *, participant: str, stop: Stop) -> Awaitable[str]: ...


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
    stop: Stop


class Dispatch:
    """See the module. `places` is how many sessions there may be at once, `sessions()` how many there are now, whatever
    they came in by.
    """

    def __init__(
        self,
        server: Server,
        hub: Hub,
        serve: ServeRoom,
        *,
        places: int,
        sessions: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._server = server
        self._hub = hub
        self._serve_room = serve
        self._sessions = sessions
        self._clock = clock
        self._jobs = Jobs(places)
        self._registration = Registration(server, self, clock=clock, wall_clock=wall_clock, jitter=jitter)
        self._tasks: asyncio.TaskGroup | None = None
        self._rooms: dict[str, _Room] = {}
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._accepted = self._refused = self._failed = 0

    async def run(self) -> None:
        """Until `close`; then every room is left, and awaited. Cancelled, it drops them."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            own = [tasks.create_task(self._registration.run()), tasks.create_task(self._keep_status())]
            await self._closing.wait()
            for task in own:
                task.cancel()
            for room in self._rooms.values():
                room.stop.set()
            if serving := [room.task for room in self._rooms.values()]:
                _, slow = await asyncio.wait(serving, timeout=STOP_S)
                for task in slow:
                    log.warning("livekit.room_left_late", after_s=STOP_S)
                    task.cancel()

    def close(self) -> None:
        self._closing.set()

    def drain(self) -> None:
        """LiveKit gives us no room any more; those that we have go on."""
        self._jobs.drain()
        self._changed.set()

    @property
    def is_registered(self) -> bool:
        return bool(self._registration)

    def load(self) -> Load:
        return self._jobs.load(self._sessions())

    def statistics(self) -> DispatchStatistics:
        return DispatchStatistics(
            registered=self.is_registered,
            registrations=self._registration.count,
            jobs=len(self._rooms),
            reserved=self._jobs.reserved(),
            accepted=self._accepted,
            refused=self._refused,
            failed=self._failed,
        )

    # --- Listener: what the server says -------------------------------------------------------------------------------

    def registered(self) -> None:
        if running := self._jobs.running():
            self._registration.send_nowait(wire.still_ours(running))
        # Before it can ask: it thinks that we are empty.
        self._send_status()

    def take(self, news: wire.News) -> None:
        match news:
            case wire.Offered(job):
                if self._offered(job) is Answer.HERE and self._tasks is not None:
                    self._tasks.create_task(self._settle(job))
            case wire.Assigned(job_id, url, token):
                self._assigned(job_id, url or self._server.url, token)
            case wire.Terminated(job_id):
                if room := self._rooms.get(job_id):
                    room.stop.why = "LiveKit ended the agent's job"
                    room.stop.set()
            case _:
                log.debug("livekit.ignored", what=str(news)[:100])

    def lost(self) -> None:
        for job in self._jobs.lost():
            log.info("livekit.job_not_assigned", job=job.id, room=job.room, why="the server is gone")

    def _offered(self, job: Job) -> Answer:
        answer = self._jobs.offered(job, self._sessions(), self._clock())
        if answer is Answer.ACCEPT:
            self._accepted += 1
            name = self._server.agent
            attributes = {AGENT_NAME: name} if name else {}
            yes = wire.accept(job.id, identity=f"agent-{job.id}", name=name or "Antiphon", attributes=attributes)
            self._registration.send_nowait(yes)
        elif answer is not Answer.HERE:
            self._refused += 1
            self._registration.send_nowait(wire.refuse(job.id, settled=False))
            load = self.load()
            log.warning("livekit.job_refused", job=job.id, room=job.room, why=answer.value, load=load.load)
        self._changed.set()
        return answer

    async def _settle(self, job: Job) -> None:
        """A job for a room that we are in. When LiveKit was restarted, our connection to the room comes back by
        itself, and the job has its agent; when we are just leaving a room of that name, the job is for the new one.
        """
        if ours := [room.task for room in self._rooms.values() if room.job.place == job.place]:
            await asyncio.wait(ours, timeout=LEAVING_S)
        if self._offered(job) is Answer.HERE:
            log.info("livekit.job_here", job=job.id, room=job.room)
            self._registration.send_nowait(wire.refuse(job.id, settled=True))

    def _assigned(self, job_id: str, url: str, token: str) -> None:
        job = self._jobs.assigned(job_id)
        if job is None or self._tasks is None or self._closing.is_set():
            log.warning("livekit.assigned_late", job=job_id)
            self._registration.send_nowait(wire.job_over(job_id, "assigned too late"))
            return
        stop = Stop()
        task = self._tasks.create_task(self._serve(job, url, token, stop))
        self._rooms[job_id] = _Room(job, task, stop)
        # Not in the task: one that is cancelled before it runs has no chance to do anything.
        task.add_done_callback(lambda _: self._over(job))
        self._registration.send_nowait(wire.job_runs(job_id))

    # --- rooms --------------------------------------------------------------------------------------------------------

    async def _serve(self, job: Job, url: str, token: str, stop: Stop) -> None:
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
        self._registration.send_nowait(wire.job_over(job.id, error[:MOST_SAID]))
        log.info("livekit.room_over", job=job.id, room=job.room, why=why, after_s=round(self._clock() - began, 1))

    def _opened(self, job_id: str) -> None:
        self._jobs.opened(job_id)
        self._changed.set()

    def _over(self, job: Job) -> None:
        self._rooms.pop(job.id, None)
        self._jobs.ended(job.id)
        self._changed.set()

    # --- how full we are ----------------------------------------------------------------------------------------------

    def _send_status(self) -> None:
        self._registration.send_nowait(wire.status(self.load()))

    async def _keep_status(self) -> None:
        while True:
            for job in self._jobs.handle_timer(self._clock()):
                log.warning("livekit.job_not_assigned", job=job.id, room=job.room, why="the server did not assign it")
            self._changed.clear()
            self._send_status()
            with suppress(TimeoutError):
                async with asyncio.timeout(STATUS_S):
                    await self._changed.wait()


class _CountingHub:
    """The hub, which tells us when the room's session counts there."""

    def __init__(self, hub: Hub, opened: Callable[[], None]) -> None:
        self._hub = hub
        self._opened = opened

    def open_nowait(self, start: SessionStart, transport: Transport, peer: Peer) -> ClientSide:
        side = self._hub.open_nowait(start, transport, peer)
        self._opened()
        return side
