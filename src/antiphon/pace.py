"""Real time without a sound card: a listener that hears by the clock, and a microphone that reads from a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from antiphon.player import Player
from base.audio import BYTES_PER_SAMPLE, FRAMES_PER_SECOND

FRAME_S = 1 / FRAMES_PER_SECOND
BEHIND_S = 1.0


async def frames_by_clock() -> AsyncIterator[int]:
    """0, 1, 2, …, one every 20 ms on average: what a busy machine misses is caught up, up to a second of it."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    number = 0
    while True:
        yield number
        number += 1
        due = start + number * FRAME_S
        late = loop.time() - due
        if late > BEHIND_S:
            start += late - BEHIND_S
        await asyncio.sleep(max(0.0, -late))


async def listen(player: Player, heard: Callable[[bytes], None] | None = None) -> None:
    """Hears what the player has, at the pace of sound, silence included, until cancelled."""
    samples = player.rate // FRAMES_PER_SECOND
    async for _ in frames_by_clock():
        pcm = player.read(samples)
        if heard is not None:
            heard(pcm)


async def listen_at_once(player: Player) -> None:
    """Hears everything as soon as it is there, until cancelled: for who reads rather than listens."""
    while True:
        while player.waiting and not player.held:
            player.read(min(player.waiting, player.rate))
        player.read(1)
        await asyncio.sleep(FRAME_S / 4)


async def speak(pcm: bytes, rate: int, send: Callable[[bytes], None]) -> None:
    """Sends `pcm` as a microphone would; returns when its last frame was sent (padded with silence)."""
    size = rate // FRAMES_PER_SECOND * BYTES_PER_SAMPLE
    frames = -(-len(pcm) // size)
    async for number in frames_by_clock():
        if number >= frames:
            return
        send(pcm[number * size : (number + 1) * size].ljust(size, b"\0"))
