"""Many simulated users in one process of their own: `python -m benchmarks.crowd '{"address": …}'`.

Says on stdout, one JSON line each: {"ready": …} when all are connected and under way, {"event": "measured", …} with
what was found. Between the two whoever started it reads the clocks of what is measured.
"""

from __future__ import annotations

import asyncio
import functools
import json
import random
import sys
import time
from typing import Annotated

import msgspec
import uvloop
from msgspec import Meta, Struct

from benchmarks import scenes, speech
from benchmarks.clock import Clock
from benchmarks.listener import FRAME, Listener, Lost
from benchmarks.rows import percentile
from benchmarks.websocket import connect
from orchestrator import messages as m

BEGIN_S = 1.0
"""Over so long replies without end begin."""


class Plan(Struct, frozen=True, kw_only=True):
    """What a crowd does. `scene`: duplex (all talk and are talked to), barge, or floor (a server without sessions)."""

    address: str
    scene: str = "duplex"
    sessions: Annotated[int, Meta(ge=1)] = 40
    seconds: float = 20.0
    warm_s: float = 3.0
    barge_ins: int = 10
    play_s: tuple[float, float] = (0.2, 0.5)
    words: tuple[str, ...] = ("no", "wait", "hold on", "one more thing")
    voices: tuple[str, ...] = ("en-us", "en-gb")
    synthetic: bool = False


def start(**more: object) -> m.SessionStart:
    """A session that is heard as "wait please", whatever it says, and answered for by its client."""
    fields: dict[str, object] = {
        "hold": True,
        "greeting": False,
        "responder": "client",
        "language": "en",
        "phrases": ["wait please"],
        **more,
    }
    return msgspec.convert(fields, m.SessionStart)


def talking(seconds: float = 2.0, quiet_s: float = 4.0, seed: int = 1) -> list[bytes]:
    """Frames of someone who speaks a third of the time."""
    pcm = speech.synthetic_speech(seconds, seed=seed) + speech.room(quiet_s, seed)
    return [pcm[at : at + FRAME * 2] for at in range(0, len(pcm) - FRAME * 2 + 1, FRAME * 2)]


def say_line(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


class Crowd:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock = Clock()
        self.listeners: list[Listener] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            ticking = tasks.create_task(self.clock.run())
            try:
                await self._scene()
            finally:
                ticking.cancel()
                for listener in self.listeners:
                    listener.close()

    async def _scene(self) -> None:
        plan = self.plan
        if plan.scene == "barge":
            await self._open(start(endpointing=m.Endpointing(endpoint_ms=150, mode="fixed")), keep_messages=False)
            say_line(ready="crowd")
            found = await self._barge_ins()
        else:
            if plan.scene == "floor":
                await self._open_bare()
            else:
                await self._open(start(interruptible=False), keep_messages=False)
                await self._begin()
            await asyncio.sleep(plan.warm_s)
            found = await self._duplex()
        late = [x * 1000 for x in self.clock.lateness]
        say_line(event="measured", late_ms=[percentile(late, 50), percentile(late, 95)], **found)
        await asyncio.sleep(0.5)

    async def _open(self, start: m.SessionStart, *, keep_messages: bool) -> None:
        rng = random.Random(1)
        room = quiet_room()
        for _ in range(self.plan.sessions):
            listener = Listener(start, clock=time.monotonic, keep_messages=keep_messages)
            await listener.open(self.plan.address)
            listener.room = _from(room, rng)
            self.listeners.append(listener)
        self.clock.add(self.listeners)

    async def _begin(self) -> None:
        """Each is talked to, from a moment of its own on: people are not all answered at one instant; then all talk."""
        for listener in self.listeners:
            scenes.endless(listener)
            await asyncio.sleep(BEGIN_S / len(self.listeners))
        for listener in self.listeners:
            await listener.until(functools.partial(bool, listener.log.first_frame_s), "the reply")
        rng = random.Random(2)
        frames = [talking(seed=seed) for seed in range(4)]
        for number, listener in enumerate(self.listeners):
            listener.room = _from(frames[number % len(frames)], rng)

    async def _open_bare(self) -> None:
        frames = [talking(seed=seed) for seed in range(4)]
        for number in range(self.plan.sessions):
            listener = Listener(start(), clock=time.monotonic)
            listener.open_bare(await connect(self.plan.address, listener._take, listener._gone))
            listener.room = frames[number % len(frames)]
            self.listeners.append(listener)
        self.clock.add(self.listeners)

    async def _duplex(self) -> dict[str, object]:
        """The first line is the signal to read the clocks; so is the second."""
        for listener in self.listeners:
            listener.log.dry = listener.log.played = listener.log.received = 0
        self.clock.lateness.clear()
        say_line(ready="crowd")
        began = time.monotonic()
        await asyncio.sleep(self.plan.seconds)
        took = time.monotonic() - began
        return {
            "seconds": took,
            "sessions": sum(1 for x in self.listeners if not x.lost),
            "lost": sorted({x.lost for x in self.listeners if x.lost}),
            "errors": sorted(
                {str(e.message) for x in self.listeners for _, e in x.log.messages if isinstance(e, m.Error)}
            ),
            "played_s": sum(x.log.played / x.rate for x in self.listeners),
            "dry_s": sum(x.log.dry / x.rate for x in self.listeners),
            "messages": sum(x.log.received for x in self.listeners),
        }

    async def _barge_ins(self) -> dict[str, object]:
        plan = self.plan
        words = self._words()
        rng = random.Random(2)
        parts = [
            scenes.barge_in_often(x, words, plan.barge_ins, random.Random(rng.random()), plan.play_s)
            for x in self.listeners
        ]
        results = await asyncio.gather(*parts, return_exceptions=True)
        faults = sorted({str(r) for r in results if isinstance(r, Lost)})
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, Lost):
                raise result
        found = [b for r in results if isinstance(r, list) for b in r]
        return {
            "silences_ms": [b.silence_s * 1000 for b in found if b.silence_s is not None],
            "failed": sorted(b.outcome for b in found if b.silence_s is None),
            "faults": faults,
        }

    def _words(self) -> list[bytes]:
        if self.plan.synthetic:
            return [speech.synthetic_speech(0.3, seed=seed) for seed in range(4)]
        return [speech.say(text, voice) for text in self.plan.words for voice in self.plan.voices]


def _from(room: list[bytes], rng: random.Random) -> list[bytes]:
    """It, begun anywhere."""
    at = rng.randrange(len(room))
    return room[at:] + room[:at]


def quiet_room() -> list[bytes]:
    pcm = speech.room(1.0)
    return [pcm[at : at + FRAME * 2] for at in range(0, len(pcm), FRAME * 2)]


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Crowd(plan).run())


if __name__ == "__main__":
    main()
