"""One or a few simulated users in the benchmark's own process, for scenes that are told step by step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
import uvloop

from benchmarks import speech
from benchmarks.clock import Clock
from benchmarks.listener import FRAME, Listener
from orchestrator import messages as m

T = TypeVar("T")


def start(**more: object) -> m.SessionStart:
    """A session without greeting, answered for by its client, that holds."""
    fields = {"hold": True, "greeting": False, "responder": "client", "language": "en", **more}
    return msgspec.convert(fields, m.SessionStart)


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME * 2] for at in range(0, len(pcm) - FRAME * 2 + 1, FRAME * 2)]


def quiet_room() -> list[bytes]:
    return frames(speech.room(1.0))


@asynccontextmanager
async def users(address: str, *starts: m.SessionStart, keep_audio: bool = False) -> AsyncIterator[Sequence[Listener]]:
    """Connected and driven by one clock; the sessions end with the block."""
    clock = Clock()
    listeners = [Listener(s, clock=time.monotonic, keep_audio=keep_audio) for s in starts]
    try:
        for listener in listeners:
            await listener.open(address)
            listener.room = quiet_room()
        clock.add(listeners)
        ticking = asyncio.create_task(clock.run())
        try:
            yield listeners
        finally:
            ticking.cancel()
    finally:
        for listener in listeners:
            listener.send(m.SessionEnd())
            listener.close()


def run(scene: Coroutine[Any, Any, T]) -> T:
    """On uvloop, as the services run."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(scene)
