"""Agent workers for tests, and rooms that they join: nothing is heard or said there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.leaving import Stop
from orchestrator.messages import SessionStart
from orchestrator.ports import ClientSide, Hub, Peer, Transport
from tests.support.livekit import LiveKitServer

LIMIT_S = 60.0


class CountingHub:
    """As many sessions as were opened; they are of no use."""

    def __init__(self) -> None:
        self.sessions = 0

    def open_nowait(self, start: SessionStart, transport: Transport, peer: Peer) -> ClientSide:
        self.sessions += 1
        return None  # type: ignore[return-value]


@dataclass
class Rooms:
    """Joins rooms as the real one does, and stays until it is told to leave, or the room is over."""

    opens: bool = False
    joined: list[str] = field(default_factory=list)
    participants: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    fault: Exception | None = None

    async def serve(self, url: str, token: str, hub: Hub, *, participant: str, stop: Stop) -> str:
        from livekit import rtc

        if self.fault is not None:
            raise self.fault
        room = rtc.Room()
        room.on("disconnected", lambda *_: stop.set())
        await room.connect(url, token)
        self.joined.append(room.name)
        self.participants.append(participant)
        try:
            if self.opens:
                hub.open_nowait(SessionStart(), None, Peer("livekit"))  # type: ignore[arg-type]
            await stop.wait()
        finally:
            await room.disconnect()
            self.left.append(room.name)
        return "told to"


async def until(condition: Callable[[], object], what: str = "") -> None:
    try:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never came: {what}") from None


@asynccontextmanager
async def dispatch(
    server: LiveKitServer, rooms: Rooms, hub: CountingHub | None = None, *, places: int = 100, **settings: object
) -> AsyncIterator[Any]:
    from orchestrator.dispatch.registration import Server
    from orchestrator.dispatch.worker import Dispatch

    hub = hub or CountingHub()
    chosen = replace(Server(server.url, server.key, server.secret), **settings)  # type: ignore[arg-type]
    worker = Dispatch(chosen, hub, rooms.serve, places=places, sessions=lambda: hub.sessions, jitter=lambda: 0.0)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(worker.run())
        try:
            yield worker
        except AssertionError as error:
            error.add_note(f"LiveKit's last words: {server.log()[-6000:]}")
            raise
        finally:
            worker.close()
            await running


async def create(server: LiveKitServer, *names: str) -> None:
    from livekit import api

    async with server.api() as client:
        await asyncio.gather(*(client.room.create_room(api.CreateRoomRequest(name=name)) for name in names))


async def agents_in(server: LiveKitServer, room: str) -> list[str]:
    from livekit import api

    async with server.api() as client:
        listed = await client.room.list_participants(api.ListParticipantsRequest(room=room))
    return [p.identity for p in listed.participants if p.kind == api.ParticipantInfo.Kind.AGENT]
