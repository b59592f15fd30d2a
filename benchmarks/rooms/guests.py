"""Users in rooms of their own, in one process: `python -m benchmarks.rooms.guests '{"url": …}'`.

A user has a computer of their own, which is not busy with the server's work: where it is allowed, the users' processes
come before all others (SCHED_RR), so that their microphones are on time.

Says {"ready": …} when all are under way, then {"event": "measured", …}; `benchmarks.crowd` does the same by WebSocket.
What is found counts only while the microphones are on time, so their lateness is in it; whoever got no session, or was
lost, is in its `faults`, and the others go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import msgspec
import uvloop
from msgspec import Meta, Struct

from benchmarks import crowd, scenes, speech
from benchmarks.clock import Clock
from benchmarks.listener import FRAME_S, Lost
from benchmarks.rooms.crew import Crew
from benchmarks.rooms.guest import Guest, token
from benchmarks.rows import percentile
from orchestrator import messages as m

WATCHED_S = 0.6
"""The way through the rooms is longer than a WebSocket's."""
ENDPOINT_MS = 500
SOMEBODY_S = 20.0
BEGUN_S = 2.0


class Plan(Struct, frozen=True, kw_only=True):
    """`scene`: barge, response, duplex (sessions in rooms); join (a room after another, until the agent's track is
    there); echo (rooms with somebody who says all again), bare (rooms without sessions, for `benchmarks.rooms.bare`).
    """

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
    settle_s: float = 0.0
    """Between the last that joined and the first figure."""
    times: int = 20
    play_s: tuple[float, float] = (0.3, 1.0)
    native: bool = True
    """The agent is ours, and speaks our protocol."""
    program: str = ""
    """The users are this program's (`benchmarks.rooms.crew`); else LiveKit's own client, here."""

    @property
    def coarse(self) -> bool:
        """What is heard is only counted."""
        return self.scene in ("duplex", "bare")

    @property
    def session(self) -> bool:
        return self.native and self.scene in ("barge", "response", "duplex")


class Guests:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock = Clock()
        self.crew: Crew | None = None
        self.guests: list[Guest] = []
        self.faults: list[str] = []
        # Made before anybody is in a room: it takes a core for a while, which the rooms would remember.
        self._words = _words(plan.scene)
        self._quiet = crowd.quiet_room()
        self._sdk = None if plan.program else _with_sdk()
        numbers = range(plan.first, plan.first + plan.rooms) if plan.scene in ("duplex", "bare") else ()
        self._talking = [crowd.talking(seed=number) for number in numbers]

    async def run(self) -> None:
        plan = self.plan
        tasks = [asyncio.create_task(self.clock.run())]
        try:
            if plan.program:
                self.crew = await Crew.start(Path(plan.program))
                tasks.append(asyncio.create_task(self.crew.read()))
            if plan.scene == "join":
                crowd.say_line(ready="guests")
                crowd.say_line(event="measured", track_ms=await self._joins(), faults=self.faults)
            else:
                await self._open()
                crowd.say_line(ready="guests")
                found = await self._scene()
                late = [x * 1000 for guest in self.guests for x in guest.late] or [0.0]
                crowd.say_line(
                    event="measured",
                    late_ms=[percentile(late, 50), percentile(late, 95)],
                    rooms=sum(1 for g in self.guests if not g.lost),
                    faults=sorted({*self.faults, *(f"lost: {g.lost}" for g in self.guests if g.lost)}),
                    **found,
                )
            await asyncio.sleep(0.5)
        finally:
            await asyncio.gather(*(guest.leave() for guest in self.guests))
            if self.crew is not None:
                await self.crew.stop()
            for task in tasks:
                task.cancel()

    # --- who is there -------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        plan = self.plan
        for number in range(plan.first, plan.first + plan.rooms):
            try:
                guest = await self._guest(number)
            except Lost as error:
                self.faults.append(str(error))
                continue
            self.guests.append(guest)
            self.clock.add([guest])

    async def _guest(self, number: int) -> Guest:
        """In the room of that number, with a session where the scene wants one. Raises Lost."""
        plan = self.plan
        guest = self._new(number)
        made = token(plan.key, plan.secret, f"{plan.prefix}-{number}", f"user-{number}")
        try:
            await (guest.open(plan.url, made) if plan.session else guest.join(plan.url, made))
        except Lost:
            await guest.leave()
            raise
        guest.surround(self._quiet)
        return guest

    def _new(self, number: int) -> Guest:
        plan = self.plan
        if self._sdk is not None:
            return self._sdk(plan, self._start())
        assert self.crew is not None
        phase_s = FRAME_S * (number - plan.first) / plan.rooms
        return self.crew.member(self._start(), clock=time.monotonic, coarse=plan.coarse, phase_s=phase_s)

    def _start(self) -> m.SessionStart:
        if self.plan.scene == "barge":
            return crowd.start(endpointing=m.Endpointing(endpoint_ms=150, mode="fixed"))
        if self.plan.scene == "response":
            echo = {"responder": "echo", "phrases": ["tell me about the weather"]}
            return crowd.start(endpointing=m.Endpointing(endpoint_ms=ENDPOINT_MS, mode="fixed"), **echo)
        return crowd.start(interruptible=False)

    # --- the scenes ---------------------------------------------------------------------------------------------------

    async def _scene(self) -> dict[str, object]:
        await asyncio.sleep(self.plan.settle_s)
        match self.plan.scene:
            case "barge":
                return await self._barge_ins()
            case "response":
                return {"responses_ms": await self._each(self._responses)}
            case "echo":
                return {"back_ms": await self._each(self._echoes)}
            case _:
                return await self._talk()

    async def _each(self, scene: Callable[[Guest, list[float]], Awaitable[None]]) -> list[float]:
        """What each of them found, until it was lost."""
        found: list[list[float]] = [[] for _ in self.guests]
        parts = [scene(guest, each) for guest, each in zip(self.guests, found, strict=True)]
        for result in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(result, BaseException):
                if not isinstance(result, Lost):
                    raise result
                self.faults.append(str(result))
        return [x for part in found for x in part]

    async def _joins(self) -> list[float]:
        """From having joined to having the agent's track, a room at a time."""
        plan, found = self.plan, []
        for number in range(plan.times):
            guest = self._new(number)
            try:
                await guest.join(plan.url, token(plan.key, plan.secret, f"{plan.prefix}-{number}", "user"))
                await self._somebody(guest)
                found.append((guest.agent_s - guest.joined_s) * 1000)
            except Lost as error:
                self.faults.append(str(error))
            await guest.leave()
            await asyncio.sleep(0.2)
        return found

    async def _somebody(self, guest: Guest) -> None:
        deadline = time.monotonic() + SOMEBODY_S
        while not guest.agent_s:
            if time.monotonic() > deadline:
                raise Lost(f"nobody published a track in {SOMEBODY_S:g} s")
            await asyncio.sleep(0.002)

    async def _talk(self) -> dict[str, object]:
        """All talk and are talked to; between the two lines the clocks are read."""
        plan = self.plan
        if plan.session:
            for guest in self.guests:
                scenes.endless(guest)
            # Who speaks before a reply has begun withdraws it.
            await asyncio.sleep(BEGUN_S)
        for guest, talking in zip(self.guests, self._talking, strict=False):  # not everybody may have got in
            guest.surround(talking)
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

    async def _barge_ins(self) -> dict[str, object]:
        plan, rng = self.plan, random.Random(2)
        said, times, play_s = self._words, plan.times, plan.play_s
        parts = [
            scenes.barge_in_often(g, said, times, random.Random(rng.random()), play_s, watched_s=WATCHED_S)
            for g in self.guests
        ]
        results = await asyncio.gather(*parts, return_exceptions=True)
        found = [b for r in results if isinstance(r, list) for b in r]
        self.faults += [str(r) for r in results if isinstance(r, BaseException)]
        return {
            "silences_ms": [b.silence_s * 1000 for b in found if b.silence_s is not None],
            "failed": [b.outcome for b in found if b.silence_s is None],
        }

    async def _responses(self, guest: Guest, found: list[float]) -> None:
        """From the last voiced sample to the reply's first sound, less the endpointing."""
        for _ in range(self.plan.times):
            before = len(guest.log.first_sound_s)
            said = await scenes.say_all(guest, self._words[0])
            sounds = sorted(at for at in guest.log.first_sound_s.values() if at >= said.ended_s)
            if len(guest.log.first_sound_s) > before and sounds:
                found.append((sounds[0] - said.ended_s) * 1000 - ENDPOINT_MS)

    async def _echoes(self, guest: Guest, found: list[float]) -> None:
        """From a sound at the microphone until it is heard again, said again by somebody else in the room."""
        await self._somebody(guest)
        rng = random.Random(3)
        for number in range(1, self.plan.times + 1):
            await asyncio.sleep(0.4 + rng.random() * 0.1)
            guest.expect(number)
            said = guest.say(self._words[0], offset=rng.randrange(320))
            try:
                await guest.until(lambda n=number: n in guest.log.first_sound_s, "the echo", 3.0)  # type: ignore[misc]
            except Lost:
                if guest.lost:
                    raise
                continue
            found.append((guest.log.first_sound_s[number] - said.began_s) * 1000)


def _words(scene: str) -> list[bytes]:
    """What users say in it."""
    match scene:
        case "barge":
            return [speech.say(text, voice) for text in ("no", "wait", "hold on") for voice in ("en-us", "en-gb")]
        case "response":
            return [speech.say("tell me about the weather", "en-us")]
        case "echo":
            return [speech.synthetic_speech(0.1)]
        case _:
            return []


def _with_sdk() -> Callable[[Plan, m.SessionStart], Guest]:
    """Loads LiveKit's own client."""
    from benchmarks.rooms.sdk import SdkGuest

    def make(plan: Plan, start: m.SessionStart) -> Guest:
        block_ms = 20 if plan.coarse else 10
        return SdkGuest(start, clock=time.monotonic, keep_messages=not plan.coarse, block_ms=block_ms)

    return make


def come_first() -> None:
    """This process, its threads to come and its children run when they have to, if we may say so."""
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    guests = Guests(plan)
    come_first()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(guests.run())


if __name__ == "__main__":
    main()
