"""How soon the agent's track is there, its first sound heard and its hold silent, at a listener in the same room.

    python -m benchmarks.livekit_room --url ws://127.0.0.1:7880 --key KEY --secret SECRET

The listener is LiveKit's own SDK in a process of its own; what counts is the audio that it decoded, on the machine's
one monotonic clock. The transport is given audio as a session gives it. Prints rows as the other benchmarks do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from benchmarks.rows import HEADINGS, Budget, Row, cells, spread
from orchestrator.messages import SessionStart, SessionStarted
from orchestrator.ports import ClientSide, Peer, Transport
from orchestrator.transports.livekit.room import serve_room, warm_up
from orchestrator.transports.livekit.settings import RATE, RoomSettings

FRAME = RATE // 50
QUIET_RMS = 200.0
TURN_S = 1.2
SETTLED_S = 1.0
"""After which a participant's own connection is no longer being made."""
LIMIT_S = 20.0


@dataclass
class Side:
    """A session that only listens to its transport."""

    played: dict[int, int] = field(default_factory=dict)
    next_input_sample: int = 0

    def audio_nowait(self, sample: int, pcm: bytes, now: float) -> None: ...

    def message_nowait(self, message: object) -> None: ...

    def played_nowait(self, turn: int, samples: int) -> None:
        self.played[turn] = samples

    def lost_nowait(self, transport: Transport) -> None: ...


class OneHub:
    """Opens a `Side` for the one who comes."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[tuple[Transport, Side]] = asyncio.get_running_loop().create_future()

    def open_nowait(self, start: SessionStart, transport: Transport, peer: Peer) -> ClientSide:
        side = Side()
        about = {"session": "bench", "protocol": 1, "resume": "", "resumed": False, "voice": "", "language": "en"}
        more = {"hears": [], "speaks": [], "can_hear": True, "responder": "", "grace_s": 0.0, "next_input_sample": 0}
        rates = {"input_rate": start.input_rate, "output_rate": start.output_rate}
        transport.send_nowait(msgspec.convert({**about, **more, **rates}, SessionStarted))
        if not self.opened.done():
            self.opened.set_result((transport, side))
        return side


def token(args: argparse.Namespace, identity: str, room: str, *, agent: bool = False) -> str:
    from livekit import api

    grants = api.VideoGrants(room_join=True, room=room, agent=agent, can_update_own_metadata=agent)
    made = api.AccessToken(args.key, args.secret).with_identity(identity).with_grants(grants)
    return (made.with_kind("agent") if agent else made).to_jwt()


# --- the listener's process -----------------------------------------------------------------------------------------


async def listen(url: str, token: str) -> None:
    """Prints when it is there, when it has a track, and when that became loud or quiet; until stdin ends."""
    from livekit import rtc

    room = rtc.Room()
    tasks: set[asyncio.Task[None]] = set()

    def tell(what: str, at: float) -> None:
        print(json.dumps([what, at]), flush=True)

    async def hear(track: Any) -> None:
        loud = False
        stream = rtc.AudioStream.from_track(track=track, sample_rate=RATE, num_channels=1, frame_size_ms=10)
        try:
            async for event in stream:
                now = time.monotonic()
                samples = np.frombuffer(bytes(event.frame.data), "<i2").astype(float)
                if (float(np.sqrt(np.mean(samples**2))) > QUIET_RMS) is not loud:
                    loud = not loud
                    tell("loud" if loud else "quiet", now)
        finally:
            await stream.aclose()

    def subscribed(track: Any, *_: object) -> None:
        tell("track", time.monotonic())
        tasks.add(asyncio.get_running_loop().create_task(hear(track)))

    room.on("track_subscribed", subscribed)
    await room.connect(url, token)
    tell("joined", time.monotonic())
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await room.disconnect()


class Listener:
    """The other process, as seen from here."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.news: list[tuple[str, float]] = []

    async def read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            what, at = json.loads(line)
            self.news.append((what, at))

    async def wait(self, what: str, since: float = 0.0) -> float:
        """When it was so last, not before `since`."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                found = [at for name, at in self.news if name == what and at >= since]
                if found:
                    return found[-1]
                await asyncio.sleep(0.005)


@asynccontextmanager
async def listener(args: argparse.Namespace, room: str) -> AsyncIterator[Listener]:
    command = (
        sys.executable,
        "-m",
        "benchmarks.livekit_room",
        "--url",
        args.url,
        "--listen",
        token(args, "anna", room),
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    made = Listener(process)
    reading = asyncio.create_task(made.read())
    try:
        await made.wait("joined")
        yield made
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        reading.cancel()


# --- the agent ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def agent(args: argparse.Namespace, room: str, hub: OneHub) -> AsyncIterator[float]:
    """Serves the room; gives when it set out."""
    stop = asyncio.Event()
    secret = token(args, "agent", room, agent=True)
    begun = time.monotonic()
    serving = asyncio.create_task(serve_room(args.url, secret, hub, settings=RoomSettings(), stop=stop))
    try:
        yield begun
    finally:
        stop.set()
        await serving


async def join(args: argparse.Namespace, number: int) -> float:
    room = f"bench-join-{number}"
    async with listener(args, room) as heard:
        await asyncio.sleep(SETTLED_S)
        async with agent(args, room, OneHub()) as begun:
            return (await heard.wait("track")) - begun


async def turn(transport: Transport, number: int, pcm: bytes, until_s: float) -> float:
    """Speaks until then, as a session would; returns when the first sample was given."""
    begun = time.monotonic()
    sent = 0
    while (now := time.monotonic()) < until_s:
        if sent < (now - begun + transport.lead_s) * RATE and transport.room() >= FRAME:
            transport.play_nowait(number, sent, pcm[2 * sent : 2 * (sent + FRAME)])
            sent += FRAME
        else:
            await asyncio.sleep(0.01)
    return begun


async def holds(args: argparse.Namespace) -> tuple[list[float], list[float]]:
    """Seconds from the first sample to sound, and from hold to silence."""
    first, silent = [], []
    hub = OneHub()
    t = np.arange(4 * RATE) / RATE
    tone = (9000 * np.sin(2 * np.pi * 220 * t) * (0.7 + 0.3 * np.sin(2 * np.pi * 4 * t))).astype("<i2").tobytes()
    async with listener(args, "bench-hold") as heard, agent(args, "bench-hold", hub):
        transport, _side = await hub.opened
        await heard.wait("track")
        for number in range(1, args.rounds + 1):
            await asyncio.sleep(0.5)
            begun = await turn(transport, number, tone, time.monotonic() + TURN_S + random.uniform(0, 0.1))
            first.append(await heard.wait("loud", begun) - begun)
            held = time.monotonic()
            transport.hold_nowait(number)
            await asyncio.sleep(0.5)
            silent.append(await heard.wait("quiet", held) - held)
            transport.clear_nowait(number)
    return first, silent


async def measure(args: argparse.Namespace) -> list[Row]:
    warm_up()
    joins = [await join(args, number) for number in range(args.joins)]
    first, silent = await holds(args)
    return [
        spread("LiveKit: joining → the agent's track at a listener", "ms", _ms(joins), Budget(400)),
        spread("LiveKit: first sample → sound at a listener", "ms", _ms(first)),
        spread("LiveKit: hold → silence at a listener", "ms", _ms(silent), Budget(140)),
    ]


def _ms(values: list[float]) -> list[float]:
    return [1000 * value for value in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", default="")
    parser.add_argument("--secret", default="")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--joins", type=int, default=10)
    parser.add_argument("--listen", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.listen:
        asyncio.run(listen(args.url, args.listen))
        return
    for row in (HEADINGS, *map(cells, asyncio.run(measure(args)))):
        print(" | ".join(row))


if __name__ == "__main__":
    main()
