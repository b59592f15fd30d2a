"""The LiveKit door: registered with its server as an agent worker, a session for each room that it sends.

Nothing of LiveKit is imported without a key for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from base.errors import Misconfigured
from orchestrator.hub import SessionHub
from orchestrator.leaving import Stop
from orchestrator.livekit_keys import livekit_keys
from orchestrator.measures import Measures
from orchestrator.ports import Hub
from orchestrator.settings import OrchestratorSettings

if TYPE_CHECKING:
    from orchestrator.dispatch.worker import Dispatch


@asynccontextmanager
async def livekit_door(
    settings: OrchestratorSettings, hub: SessionHub, measures: Measures
) -> AsyncIterator[Dispatch | None]:
    """Registered, or trying to be, until the block is left; its rooms are left then. None without LiveKit.

    Raises Misconfigured.
    """
    dispatch = await asyncio.to_thread(_dispatch, settings, hub)
    if dispatch is None:
        yield None
        return
    measures.watch_livekit(dispatch.statistics)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(dispatch.run())
        try:
            yield dispatch
        finally:
            dispatch.close()


def _dispatch(settings: OrchestratorSettings, hub: SessionHub) -> Dispatch | None:
    pair = livekit_keys(settings)
    if pair is None:
        return None
    try:
        from orchestrator.dispatch.registration import Server
        from orchestrator.dispatch.worker import Dispatch
        from orchestrator.transports.livekit.room import serve_room, warm_up
        from orchestrator.transports.livekit.settings import RoomSettings
    except ImportError as error:
        raise Misconfigured(
            f"there is a key for LiveKit at {settings.livekit_url}, but what talks to it is not installed "
            f"({error.name} is missing): ./antiphon install livekit; or set livekit_url to nothing",
            reason="LIVEKIT_MISSING",
        ) from error
    warm_up()
    room = RoomSettings(lead_s=settings.lead_ms / 1000, grace_s=settings.grace_s)

    async def serve(url: str, token: str, hub: Hub, *, participant: str, stop: Stop) -> str:
        return await serve_room(url, token, hub, settings=dataclasses.replace(room, participant=participant), stop=stop)

    server = Server(
        url=settings.livekit_url,
        key=pair[0],
        secret=pair[1],
        agent=settings.livekit_agent,
        per_participant=settings.livekit_per_participant,
    )
    return Dispatch(server, hub, serve, places=settings.max_sessions, sessions=lambda: hub.statistics().sessions)
