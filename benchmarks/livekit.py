"""The same conversations in LiveKit rooms, beside what LiveKit itself costs in the same run.

There and back is the way of a sound from a user's microphone to another participant, who says it again, and back to the
user's loudspeaker: what an interruption takes at least. The bare room hears, detects and hums, and does nothing else.
The users are in a process of their own; their figures count while their microphones are on time, which is printed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import cpu_seconds, resident_mb
from benchmarks.rooms.server import Server, server
from benchmarks.rows import Budget, Row, percentile, single, spread
from benchmarks.stack import Process, Stack, processes, stack
from benchmarks.suite import Options

SOME = 5
LATE_MS = 20.0
"""Users whose microphones are later than this (p95) had no time to listen: what they found is no figure."""
GUESTS_S = 120.0


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds a room-minute, and what the users found meanwhile."""

    cpu_s: float
    resident_mb: float
    found: dict[str, Any]


def run(options: Options) -> list[Row]:
    # Rooms without a conversation are on a server of their own: ours goes into every room of the one that it knows.
    with server() as rooms, server() as others, _orchestrator(rooms) as made:
        options.note("livekit: joining")
        joins = _guests(made, rooms, rooms=1, scene="join", times=options.pick(20, 6))["track_ms"]
        options.note("livekit: there and back, one room")
        back = _echo(made, others, 1, options.pick(60, 15))
        options.note("livekit: a word over a reply, one room")
        one = _guests(made, rooms, rooms=1, scene="barge", times=options.pick(60, 10))
        options.note("livekit: from the last word to the first sound")
        response = _guests(made, rooms, rooms=1, scene="response", times=options.pick(15, 4))
        options.note(f"livekit: the same with {SOME} rooms")
        backs = _echo(made, others, SOME, options.pick(20, 8))
        some = _guests(made, rooms, rooms=SOME, scene="barge", times=options.pick(15, 4))
        options.note(f"livekit: what {SOME} rooms cost, bare and ours")
        seconds = options.pick(20, 6)
        bare = _cost(made, others, None, SOME, seconds)
        ours = _cost(made, rooms, made.orchestrator, SOME, seconds)
        options.note(f"livekit: what livekit-agents' own session costs in {SOME} rooms")
        usual = _usual(made, others, SOME, seconds)
        more = _most(made, rooms, options)
    beyond = None
    if _counts(some, backs) and some["silences_ms"]:
        beyond = percentile(some["silences_ms"], 95) - percentile(backs["back_ms"], 95)
    ratio = ours.cpu_s / bare.cpu_s if _counts(ours.found, bare.found) else None
    return [
        spread("there and back through LiveKit, 1 room", "ms", _heard(back, "back_ms"), note=_late(back)),
        spread("first voiced sample → silence, 1 room", "ms", _heard(one, "silences_ms"), Budget(140), _late(one)),
        *_failures("first voiced sample → silence, 1 room", one),
        spread(f"there and back through LiveKit, {SOME} rooms", "ms", _heard(backs, "back_ms"), note=_late(backs)),
        spread(f"first voiced sample → silence, {SOME} rooms", "ms", _heard(some, "silences_ms"), note=_late(some)),
        single("… beyond there and back, p95 of both", "ms", beyond, 60),
        *_failures(f"first voiced sample → silence, {SOME} rooms", some),
        spread(
            "last word → first sound, beyond the endpointing",
            "ms",
            _heard(response, "responses_ms"),
            note=_late(response),
        ),
        spread("joined → the agent's track", "ms", joins, Budget(400)),
        single(f"orchestrator CPU, of the bare rooms', {SOME} rooms", "×", ratio, 1.4),
        single("orchestrator CPU a room-minute", "s", ours.cpu_s, note=_late(ours.found)),
        single("a bare room's CPU a minute", "s", bare.cpu_s, note=_late(bare.found)),
        single("livekit-agents' AgentSession, CPU a room-minute", "s", usual.cpu_s, note=_late(usual.found)),
        single(f"orchestrator memory with LiveKit, {SOME} rooms", "MB", ours.resident_mb, 250),
        single(f"memory of AgentSession, {SOME} rooms", "MB", usual.resident_mb),
        *more,
    ]


def _most(made: Stack, rooms: Server, options: Options) -> list[Row]:
    """As many rooms as the orchestrator carries while its users' microphones are on time."""
    rows = []
    for number in options.pick((8, 12), (8,)):
        options.note(f"livekit: {number} rooms")
        cost = _cost(made, rooms, made.orchestrator, number, options.pick(12, 6))
        played = cost.found["played_s"] / cost.found["seconds"]
        note = f"{100 * played:.0f} % of the time something was heard; {_late(cost.found)}"
        rows.append(single(f"orchestrator CPU a room-minute, {number} rooms", "s", cost.cpu_s, note=note))
    return rows


@contextmanager
def _orchestrator(rooms: Server) -> Iterator[Stack]:
    flags = ("--livekit-url", rooms.url, "--livekit-key-file", str(rooms.key_file))
    with stack(orchestrator=flags) as made:
        yield made


def _plan(server_: Server, **plan: object) -> str:
    return json.dumps({"url": server_.url, "key": server_.key, "secret": server_.secret, **plan})


def _guests(made: Stack, server_: Server, *, rooms: int, **plan: object) -> dict[str, Any]:
    """What the users of that many rooms found, each in a process of its own: LiveKit's client gives every event of a
    process to each of its streams, so that several rooms in one are late together.
    """
    plan = {"prefix": _prefix(), **plan}
    limit_s = GUESTS_S + 10 * float(str(plan.get("times", 0)))
    with ThreadPoolExecutor(rooms) as threads:
        return _merged(
            list(threads.map(lambda n: _guest(made, _plan(server_, **plan, first=n), limit_s), range(rooms)))
        )


def _guest(made: Stack, plan: str, limit_s: float) -> dict[str, Any]:
    guest = made.start("guest", "-m", "benchmarks.rooms.guests", plan)
    try:
        return guest.read_line(limit_s)
    finally:
        made.stop(guest)


def _merged(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Lists end to end, numbers added up; of the lateness, the worst."""
    out: dict[str, Any] = {}
    for name in found[0]:
        values = [one[name] for one in found]
        if name == "late_ms":
            out[name] = max(values, key=lambda pair: pair[1])
        elif isinstance(values[0], list):
            out[name] = [x for value in values for x in value]
        elif isinstance(values[0], int | float):
            out[name] = sum(values)
    return out


_numbers = iter(range(10**6))


def _prefix() -> str:
    """A room of a name is the same room."""
    return f"bench-{next(_numbers)}"


def _echo(made: Stack, rooms: Server, number: int, times: int) -> dict[str, Any]:
    """Rooms in which somebody says again what he hears."""
    prefix = _prefix()
    with _bare(rooms, prefix, number, echo=True):
        return _guests(made, rooms, prefix=prefix, rooms=number, scene="echo", times=times)


@contextmanager
def _bare(rooms: Server, prefix: str, number: int, *, echo: bool) -> Iterator[Process]:
    with processes() as others:
        yield others.start("bare", "-m", "benchmarks.rooms.bare", _plan(rooms, prefix=prefix, rooms=number, echo=echo))


def _cost(made: Stack, server_: Server, ours: Process | None, number: int, seconds: float) -> Cost:
    """Of our orchestrator, or of the bare room's process. The users begin together, after a while."""
    plan = {"scene": "duplex" if ours is not None else "bare", "seconds": seconds, "warm_s": 3.0 + number}
    prefix = _prefix()
    if ours is not None:
        return _measured(made, ours, server_, prefix, number, **plan)
    with _bare(server_, prefix, number, echo=False) as bare:
        return _measured(made, bare, server_, prefix, number, **plan)


def _usual(made: Stack, server_: Server, number: int, seconds: float) -> Cost:
    """Of livekit-agents' AgentSession in the same rooms, with the same voice and VAD."""
    prefix = _prefix()
    plan = _plan(server_, prefix=prefix, rooms=number, voice=made.voice.address)
    agents = made.start("agents", "-m", "benchmarks.rooms.agents", plan)
    try:
        return _measured(made, agents, server_, prefix, number, scene="bare", seconds=seconds, warm_s=3.0 + number)
    finally:
        made.stop(agents)


def _measured(made: Stack, process: Process, server_: Server, prefix: str, number: int, **plan: object) -> Cost:
    """From when the last user has begun until the first has ended."""
    plans = [_plan(server_, prefix=prefix, first=n, **plan) for n in range(number)]
    with ThreadPoolExecutor(number) as threads:
        guests = list(threads.map(lambda each: made.start("guest", "-m", "benchmarks.rooms.guests", each), plans))
        try:
            list(threads.map(lambda guest: guest.read_line(GUESTS_S), guests))
            before, began = cpu_seconds(process.pid), time.monotonic()
            found = _merged(list(threads.map(lambda guest: guest.read_line(GUESTS_S), guests)))
            used, took = cpu_seconds(process.pid) - before, time.monotonic() - began
            memory = resident_mb(process.pid)
        finally:
            list(threads.map(made.stop, guests))
    return Cost(used / (number * took / 60), memory, found)


def _counts(*founds: dict[str, Any]) -> bool:
    return all(found["late_ms"][1] <= LATE_MS for found in founds)


def _heard(found: dict[str, Any], name: str) -> list[float]:
    """What they measured; nothing where they were late."""
    values: list[float] = found[name]
    return values if _counts(found) else []


def _late(found: dict[str, Any]) -> str:
    return f"the users' microphones were {found['late_ms'][1]:.1f} ms late (p95)"


def _failures(name: str, found: dict[str, Any]) -> list[Row]:
    failed = [*found["failed"], *found["faults"]]
    if not failed or not _counts(found):
        return []
    worst = max(set(failed), key=failed.count)
    return [single(f"{name}: never silent", "times", len(failed), 0, n=len(found["silences_ms"]), note=worst)]
