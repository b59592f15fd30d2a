"""What a room costs without a conversation: `python -m benchmarks.rooms.bare '{"url": …, "echo": false}'`.

Joins each room as an agent would, hears 20 ms frames with the same VAD as ours, and hums: a tone in pieces of 100 ms.
With `echo` it says again what it hears, 10 ms at a time, as soon as it hears it: there and back through LiveKit.
"""

from __future__ import annotations

import asyncio
import functools
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import numpy as np
import uvloop
from livekit import rtc
from msgspec import Struct

from base.audio import UPLINK_RATE, from_float
from benchmarks.crowd import say_line
from benchmarks.rooms.guest import OPTIONS, token
from orchestrator.detection import detection
from orchestrator.settings import OrchestratorSettings

RATE = 48_000
PIECE = RATE // 10


class Plan(Struct, frozen=True, kw_only=True):
    url: str
    key: str
    secret: str
    rooms: int = 1
    prefix: str = "bench"
    echo: bool = False


async def serve(plan: Plan, number: int, stop: asyncio.Event) -> None:
    room = rtc.Room()
    heard: asyncio.Queue[rtc.Track] = asyncio.Queue()
    room.on("track_subscribed", lambda track, *_: heard.put_nowait(track))
    await room.connect(plan.url, token(plan.key, plan.secret, f"{plan.prefix}-{number}", f"bare-{number}"))
    source = rtc.AudioSource(RATE, 1, queue_size_ms=0 if plan.echo else 200)
    track = rtc.LocalAudioTrack.create_audio_track("bare", source)
    await room.local_participant.publish_track(track, OPTIONS)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(_echo(heard, source) if plan.echo else _listen(heard))
        humming = None if plan.echo else tasks.create_task(_hum(source))
        await stop.wait()
        listening.cancel()
        if humming is not None:
            humming.cancel()
    await room.disconnect()


async def _listen(heard: asyncio.Queue[rtc.Track]) -> None:
    track = await heard.get()
    vad, sample = detection(OrchestratorSettings(detector="webrtc")).make(), 0
    stream = rtc.AudioStream(track, sample_rate=UPLINK_RATE, num_channels=1, frame_size_ms=20, capacity=50)
    async for event in stream:
        vad.push(sample, bytes(event.frame.data))
        sample += UPLINK_RATE // 50


async def _echo(heard: asyncio.Queue[rtc.Track], source: rtc.AudioSource) -> None:
    track = await heard.get()
    stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=10, capacity=50)
    async for event in stream:
        await source.capture_frame(event.frame)


async def _hum(source: rtc.AudioSource) -> None:
    tone = from_float((0.3 * np.sin(2 * np.pi * 440 / RATE * np.arange(PIECE))).astype(np.float32))
    while True:
        await source.capture_frame(rtc.AudioFrame(tone, RATE, 1, PIECE))


async def serve_rooms(kind: str, rooms: int, serve: Callable[[int, asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """`serve` each of so many rooms until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with asyncio.TaskGroup() as tasks:
        for number in range(rooms):
            tasks.create_task(serve(number, stop))
        say_line(ready=kind, kind=kind)


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_rooms("bare", plan.rooms, functools.partial(serve, plan)))


if __name__ == "__main__":
    main()
