"""Users in rooms of their own, in one process: `python -m benchmarks.rooms.guests '{"url": …}'`.

Says {"ready": …} when all are under way, then {"event": "measured", …}; `benchmarks.crowd` does the same by WebSocket.
A user in a room costs about 0.09 of a core: what is found counts only while the microphones are on time, so their
lateness is in it.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Annotated

import msgspec
import uvloop
from msgspec import Meta, Struct

from benchmarks import crowd, scenes, speech
from benchmarks.clock import Clock
from benchmarks.listener import Lost
from benchmarks.rooms.guest import Guest, token
from benchmarks.rows import percentile
from orchestrator import messages as m

WATCHED_S = 0.6
"""The way through the rooms is longer than a WebSocket's."""
ENDPOINT_MS = 500


class Plan(Struct, frozen=True, kw_only=True):
    """`scene`: barge, response, duplex (sessions in rooms); join (a room after another, until the agent's track is
    there); echo (rooms with somebody who says all again), bare (rooms
    without sessions, for `benchmarks.rooms.bare`)."""

    url: str
    key: str
    secret: str
    scene: str = "barge"
    rooms: Annotated[int, Meta(ge=1)] = 1
    prefix: str = "bench"
    first: int = 0
    """Number of the first room."""
    seconds: float = 15.0
    warm_s: float = 3.0
    times: int = 20
    play_s: tuple[float, float] = (0.3, 1.0)
    native: bool = True
    """The agent is ours, and speaks our protocol."""


class Guests:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock = Clock()
        self.guests: list[Guest] = []

    async def run(self) -> None:
        if self.plan.scene == "join":
            await self._joins()
            return
        ticking = asyncio.create_task(self.clock.run())
        try:
            await self._open()
            crowd.say_line(ready="guests")
            found = await self._scene()
            late = [x * 1000 for guest in self.guests for x in guest.late] or [0.0]
            crowd.say_line(
                event="measured",
                late_ms=[percentile(late, 50), percentile(late, 95)],
                rooms=sum(1 for g in self.guests if not g.lost),
                **found,
            )
            await asyncio.sleep(0.5)
        finally:
            ticking.cancel()
            for guest in self.guests:
                await guest.leave()

    async def _open(self) -> None:
        plan = self.plan
        for number in range(plan.first, plan.first + plan.rooms):
            coarse = plan.scene in ("duplex", "bare")
            guest = Guest(self._start(), clock=time.monotonic, keep_messages=not coarse, block_ms=20 if coarse else 10)
            room = f"{plan.prefix}-{number}"
            made = token(plan.key, plan.secret, room, f"user-{number}")
            if plan.native and plan.scene in ("barge", "response", "duplex"):
                await guest.open(plan.url, made)
            else:
                await guest.join(plan.url, made)
            guest.room = crowd.talking(seed=number) if plan.scene in ("duplex", "bare") else crowd.quiet_room()
            self.guests.append(guest)
            self.clock.add([guest])

    async def _joins(self) -> None:
        """From having joined to having the agent's track, a room at a time."""
        plan, found = self.plan, []
        crowd.say_line(ready="guests")
        for number in range(plan.times):
            guest = Guest(self._start(), clock=time.monotonic)
            await guest.join(plan.url, token(plan.key, plan.secret, f"{plan.prefix}-{number}", "user"))
            deadline = time.monotonic() + 20
            while not guest.agent_s and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
            if guest.agent_s:
                found.append((guest.agent_s - guest.joined_s) * 1000)
            await guest.leave()
            await asyncio.sleep(0.2)
        crowd.say_line(event="measured", track_ms=found)
        await asyncio.sleep(0.5)

    def _start(self) -> m.SessionStart:
        if self.plan.scene == "barge":
            return crowd.start(hold=False, endpointing=m.Endpointing(endpoint_ms=150, mode="fixed"))
        if self.plan.scene == "response":
            echo = {"responder": "echo", "phrases": ["tell me about the weather"]}
            return crowd.start(hold=False, endpointing=m.Endpointing(endpoint_ms=ENDPOINT_MS, mode="fixed"), **echo)
        return crowd.start(hold=False, interruptible=False)

    async def _scene(self) -> dict[str, object]:
        plan = self.plan
        if plan.scene == "barge":
            return await self._barge_ins()
        if plan.scene == "response":
            return {"responses_ms": await self._each(self._responses)}
        if plan.scene == "echo":
            return {"back_ms": await self._each(self._echoes)}
        if plan.native and plan.scene == "duplex":
            for guest in self.guests:
                scenes.endless(guest)
        await asyncio.sleep(plan.warm_s)
        crowd.say_line(event="begin")
        began = time.monotonic()
        for guest in self.guests:
            guest.late.clear()
            guest.log.played = 0
        await asyncio.sleep(plan.seconds)
        return {
            "seconds": time.monotonic() - began,
            "played_s": sum(g.log.played for g in self.guests) / 48_000,
        }

    async def _each(self, scene: object) -> list[float]:
        found = await asyncio.gather(*(scene(guest) for guest in self.guests), return_exceptions=True)  # type: ignore[operator]
        faults = [x for x in found if isinstance(x, BaseException)]
        if faults and len(faults) == len(found):
            raise faults[0]
        return [x for part in found if isinstance(part, list) for x in part]

    async def _barge_ins(self) -> dict[str, object]:
        plan, rng = self.plan, random.Random(2)
        words = [speech.say(text, voice) for text in ("no", "wait", "hold on") for voice in ("en-us", "en-gb")]
        parts = [
            scenes.barge_in_often(g, words, plan.times, random.Random(rng.random()), plan.play_s, watched_s=WATCHED_S)
            for g in self.guests
        ]
        results = await asyncio.gather(*parts, return_exceptions=True)
        found = [b for r in results if isinstance(r, list) for b in r]
        return {
            "silences_ms": [b.silence_s * 1000 for b in found if b.silence_s is not None],
            "failed": [b.outcome for b in found if b.silence_s is None],
            "faults": sorted({str(r) for r in results if isinstance(r, BaseException)}),
        }

    async def _responses(self, guest: Guest) -> list[float]:
        """From the last voiced sample to the reply's first sound, less the endpointing."""
        found = []
        pcm = speech.say("tell me about the weather", "en-us")
        for _ in range(self.plan.times):
            before = len(guest.log.first_sound_s)
            said = await scenes.say_all(guest, pcm)
            sounds = sorted(at for at in guest.log.first_sound_s.values() if at >= said.ended_s)
            if len(guest.log.first_sound_s) > before and sounds:
                found.append((sounds[0] - said.ended_s) * 1000 - ENDPOINT_MS)
        return found

    async def _echoes(self, guest: Guest) -> list[float]:
        """From a sound at the microphone until it is heard again, said again by somebody else in the room."""
        deadline = time.monotonic() + 20
        while not guest.agent_s:
            if time.monotonic() > deadline:
                raise Lost("nobody in the room says anything again")
            await asyncio.sleep(0.05)
        found = []
        tone = speech.synthetic_speech(0.1)
        rng = random.Random(3)
        for number in range(self.plan.times):
            await asyncio.sleep(0.4 + rng.random() * 0.1)
            guest._turn = number + 1
            said = guest.say(tone, offset=rng.randrange(320))
            try:
                await guest.until(lambda n=number + 1: n in guest.log.first_sound_s, "the echo", 3.0)  # type: ignore[misc]
            except Lost:
                continue
            found.append((guest.log.first_sound_s[number + 1] - said.began_s) * 1000)
        return found


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Guests(plan).run())


if __name__ == "__main__":
    main()
