"""The same conversations in LiveKit rooms, beside what LiveKit itself costs in the same run.

There and back is the way of a sound from a user's microphone to another participant, who says it again, and back to the
user's loudspeaker: what an interruption takes at least. The bare room hears, detects and hums, and does nothing else.

One room is measured with LiveKit's own client, whose jitter buffer is a browser's. Several rooms at once are a program
of Go's (`rooms/crew.py`), with one more that is LiveKit's own client; where the program cannot be built, all are, a
process each. Users come before all else on the machine where that is allowed (SCHED_RR), as they have computers of
their own; their figures count while their microphones are on time, which is printed. What fails is a row: the others
still count.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import cpu_seconds, resident_mb
from benchmarks.rooms import crew
from benchmarks.rooms.server import Server, server
from benchmarks.rows import Budget, Row, percentile, single, spread
from benchmarks.stack import Failed, Process, Stack, processes, stack
from benchmarks.suite import Options

SOME = 5
LATE_MS = 20.0
"""Users whose microphones are later than this (p95) had no time to listen: what they found is no figure."""
GUESTS_S = 120.0
SETTLE_S = 8.0
"""Joining is a burst of work, which the jitter buffers remember for a while: rooms that have settled are measured."""

Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds a room-minute, and what the users found meanwhile."""

    cpu_s: float
    resident_mb: float
    found: Found


@dataclass(slots=True)
class Bench:
    """What is running, and the rows so far."""

    made: Stack
    rooms: Server
    """Ours goes into every room of this one."""
    others: Server
    """Of rooms without a conversation."""
    options: Options
    program: str
    """Go's users; empty: all are LiveKit's own client."""
    rows: list[Row]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """One that fails is a row."""
        self.options.note(f"livekit: {name}")
        before = len(self.rows)
        try:
            yield
        except (Failed, OSError, ValueError, KeyError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self.rows.append(Row(name, "", None, note=first, n=0))
        for row in self.rows[before:]:
            p95 = "" if row.p95 is None else f", p95 {row.p95:.4g}"
            value = "nothing" if row.median is None else f"{row.median:.4g}{p95} {row.unit}"
            self.options.note(f"livekit: … {row.name}: {value}{f' ({row.note})' if row.note else ''}")


def run(options: Options) -> list[Row]:
    rows: list[Row] = []
    try:
        program = str(crew.build(options.note))
    except Failed as error:
        program = ""
        rows.append(single("users in a program of Go", "", 0, note=str(error), n=0))
    with server() as rooms, server() as others, _orchestrator(rooms) as made:
        bench = Bench(made, rooms, others, options, program, rows)
        _one_room(bench)
        _some_rooms(bench)
        _costs(bench)
    return rows


# --- one room, with LiveKit's own client ------------------------------------------------------------------------------


def _one_room(bench: Bench) -> None:
    pick, rows = bench.options.pick, bench.rows
    with bench.part("joined → the agent's track"):
        found = _guests(bench, bench.rooms, rooms=1, scene="join", times=pick(12, 6))
        rows.append(spread("joined → the agent's track", "ms", found["track_ms"], Budget(400), _faults(found)))
    with bench.part("there and back through LiveKit, 1 room"):
        back = _echo(bench, _sdk, 1, pick(30, 12))
        rows.append(spread("there and back through LiveKit, 1 room", "ms", _heard(back, "back_ms"), note=_late(back)))
    with bench.part("first voiced sample → silence, 1 room"):
        found = _guests(bench, bench.rooms, rooms=1, scene="barge", times=pick(30, 10))
        rows += _silences("first voiced sample → silence, 1 room", found, Budget(140))
    with bench.part("last word → first sound, beyond the endpointing"):
        found = _guests(bench, bench.rooms, rooms=1, scene="response", times=pick(10, 4))
        name = "last word → first sound, beyond the endpointing"
        rows.append(spread(name, "ms", _heard(found, "responses_ms"), note=_late(found)))


# --- several at once --------------------------------------------------------------------------------------------------


def _some_rooms(bench: Bench) -> None:
    """Each kind of user is compared with itself: what it takes there and back is in both figures."""
    pick, rows = bench.options.pick, bench.rows
    backs: dict[str, Found] = {}
    silences: dict[str, Found] = {}
    name = f"there and back through LiveKit, {SOME} rooms"
    with bench.part(name):
        backs = _echo(bench, _both, SOME, pick(20, 8))
        for kind, found in backs.items():
            rows.append(spread(f"{name}{kind}", "ms", _heard(found, "back_ms"), note=_late(found)))
    name = f"first voiced sample → silence, {SOME} rooms"
    with bench.part(name):
        silences = _both(bench, bench.rooms, SOME, scene="barge", times=pick(12, 5))
        for kind, found in silences.items():
            rows += _silences(f"{name}{kind}", found)
    with bench.part(f"silence beyond there and back, {SOME} rooms"):
        for kind in silences:
            back = _heard(backs[kind], "back_ms") if kind in backs else []
            silence = _heard(silences[kind], "silences_ms")
            beyond = percentile(silence, 95) - percentile(back, 95) if back and silence else None
            rows.append(single(f"… beyond there and back{kind}, p95 of both", "ms", beyond, 60))


# --- what they cost ---------------------------------------------------------------------------------------------------


def _costs(bench: Bench) -> None:
    pick, rows, made = bench.options.pick, bench.rows, bench.made
    seconds = pick(10, 6)
    bare: Cost | None = None
    ours: Cost | None = None
    with bench.part(f"a bare room's CPU a minute, {SOME} rooms"):
        bare = _cost(bench, None, SOME, seconds)
        rows.append(single("a bare room's CPU a minute", "s", bare.cpu_s, note=_noted(bare.found)))
    with bench.part(f"orchestrator CPU a room-minute, {SOME} rooms"):
        ours = _cost(bench, made.orchestrator, SOME, seconds)
        rows.append(single(f"orchestrator CPU a room-minute, {SOME} rooms", "s", ours.cpu_s, note=_noted(ours.found)))
        rows.append(single(f"orchestrator memory with LiveKit, {SOME} rooms", "MB", ours.resident_mb, 250))
    ratio = ours.cpu_s / bare.cpu_s if ours and bare and _counts(ours.found, bare.found) else None
    rows.append(single(f"orchestrator CPU, of the bare rooms', {SOME} rooms", "×", ratio, 1.4))
    with bench.part("livekit-agents' AgentSession, CPU a room-minute"):
        usual = _usual(bench, SOME, seconds)
        rows.append(
            single("livekit-agents' AgentSession, CPU a room-minute", "s", usual.cpu_s, note=_noted(usual.found))
        )
        rows.append(single(f"memory of AgentSession, {SOME} rooms", "MB", usual.resident_mb))
    # Whether a process's rooms scale, and as many as it carries while its users' microphones are on time.
    for number in pick((1, 8, 12), (8,)):
        name = f"orchestrator CPU a room-minute, {number} room{'s' * (number > 1)}"
        with bench.part(name):
            cost = _cost(bench, made.orchestrator, number, pick(8, 6))
            rows.append(single(name, "s", cost.cpu_s, note=_noted(cost.found)))


@contextmanager
def _orchestrator(rooms: Server) -> Iterator[Stack]:
    flags = ("--livekit-url", rooms.url, "--livekit-key-file", str(rooms.key_file))
    with stack(orchestrator=flags) as made:
        yield made


# --- users ------------------------------------------------------------------------------------------------------------


def _plan(server_: Server, **plan: object) -> str:
    return json.dumps({"url": server_.url, "key": server_.key, "secret": server_.secret, **plan})


def _guests(bench: Bench, server_: Server, *, rooms: int, first: int = 0, program: str = "", **plan: object) -> Found:
    """What the users of that many rooms found. LiveKit's own client has a process for each: it gives every event of a
    process to each of its streams, so that several rooms in one are late together.
    """
    plan = {"prefix": _prefix(), **plan}
    limit_s = GUESTS_S + 10 * float(str(plan.get("times", 0)))
    if program:
        return _guest(bench.made, _plan(server_, **plan, first=first, rooms=rooms, program=program), limit_s)
    with ThreadPoolExecutor(rooms) as threads:
        plans = [_plan(server_, **plan, first=n) for n in range(first, first + rooms)]
        return _merged(list(threads.map(lambda each: _guest(bench.made, each, limit_s), plans)))


def _guest(made: Stack, plan: str, limit_s: float) -> Found:
    guest = made.start("guest", "-m", "benchmarks.rooms.guests", plan)
    try:
        return guest.read_line(limit_s)
    finally:
        made.stop(guest)


def _sdk(bench: Bench, server_: Server, rooms: int, **plan: Any) -> Found:
    return _guests(bench, server_, rooms=rooms, **plan)


def _both(bench: Bench, server_: Server, rooms: int, **plan: Any) -> dict[str, Found]:
    """Go's users in all rooms but one, in which LiveKit's own client is; "" and ", LiveKit's client"."""
    plan = {"prefix": _prefix(), "settle_s": SETTLE_S, **plan}
    if not bench.program:
        return {"": _guests(bench, server_, rooms=rooms, **plan)}
    with ThreadPoolExecutor(2) as threads:
        many = threads.submit(lambda: _guests(bench, server_, rooms=rooms - 1, program=bench.program, **plan))
        one = threads.submit(lambda: _guests(bench, server_, rooms=1, first=rooms - 1, **plan))
        return {"": many.result(), ", LiveKit's client": one.result()}


def _merged(found: list[Found]) -> Found:
    """Lists end to end, numbers added up; of the lateness, the worst."""
    out: Found = {}
    for name in found[0]:
        values = [one[name] for one in found]
        if name == "late_ms":
            out[name] = max(values, key=lambda pair: pair[1])
        elif name == "seconds":
            out[name] = statistics.mean(values)
        elif isinstance(values[0], list):
            out[name] = [x for value in values for x in value]
        elif isinstance(values[0], int | float):
            out[name] = sum(values)
    return out


_numbers = iter(range(10**6))


def _prefix() -> str:
    """A room of a name is the same room."""
    return f"bench-{next(_numbers)}"


def _echo(bench: Bench, users: Callable[..., Any], number: int, times: int) -> Any:
    """Rooms in which somebody says again what he hears."""
    prefix = _prefix()
    with _bare(bench.others, prefix, number, echo=True):
        return users(bench, bench.others, number, prefix=prefix, scene="echo", times=times)


@contextmanager
def _bare(rooms: Server, prefix: str, number: int, *, echo: bool) -> Iterator[Process]:
    with processes() as others:
        yield others.start("bare", "-m", "benchmarks.rooms.bare", _plan(rooms, prefix=prefix, rooms=number, echo=echo))


# --- CPU --------------------------------------------------------------------------------------------------------------


def _cost(bench: Bench, ours: Process | None, number: int, seconds: float) -> Cost:
    """Of our orchestrator, or of the bare room's process. The users begin together, after a while."""
    plan = {"scene": "duplex" if ours is not None else "bare", "seconds": seconds, "warm_s": 3.0 + number / 2}
    prefix = _prefix()
    if ours is not None:
        return _measured(bench, ours, bench.rooms, prefix, number, **plan)
    with _bare(bench.others, prefix, number, echo=False) as bare:
        return _measured(bench, bare, bench.others, prefix, number, **plan)


def _usual(bench: Bench, number: int, seconds: float) -> Cost:
    """Of livekit-agents' AgentSession in the same rooms, with the same voice and VAD."""
    prefix, made = _prefix(), bench.made
    plan = _plan(bench.others, prefix=prefix, rooms=number, voice=made.voice.address)
    agents = made.start("agents", "-m", "benchmarks.rooms.agents", plan)
    try:
        more = {"scene": "bare", "seconds": seconds, "warm_s": 3.0 + number / 2}
        return _measured(bench, agents, bench.others, prefix, number, **more)
    finally:
        made.stop(agents)


def _measured(bench: Bench, process: Process, server_: Server, prefix: str, number: int, **plan: object) -> Cost:
    """From when the last user has begun until the first has ended. Raises Failed when too few of them got in."""
    made = bench.made
    if bench.program:
        plans = [_plan(server_, prefix=prefix, rooms=number, program=bench.program, **plan)]
    else:
        plans = [_plan(server_, prefix=prefix, first=n, **plan) for n in range(number)]
    with ThreadPoolExecutor(len(plans)) as threads:
        guests = list(threads.map(lambda each: made.start("guest", "-m", "benchmarks.rooms.guests", each), plans))
        try:
            list(threads.map(lambda guest: guest.read_line(GUESTS_S), guests))
            before, began = cpu_seconds(process.pid), time.monotonic()
            found = _merged(list(threads.map(lambda guest: guest.read_line(GUESTS_S), guests)))
            used, took = cpu_seconds(process.pid) - before, time.monotonic() - began
            memory = resident_mb(process.pid)
        finally:
            list(threads.map(made.stop, guests))
    if found["rooms"] < number:
        raise Failed(f"{found['rooms']} of {number} users were in their rooms: {_faults(found)}")
    return Cost(used / (number * took / 60), memory, found)


# --- what is said of it -----------------------------------------------------------------------------------------------


def _counts(*founds: Found) -> bool:
    return all(found["late_ms"][1] <= LATE_MS for found in founds)


def _heard(found: Found, name: str) -> list[float]:
    """What they measured; nothing where they were late."""
    values: list[float] = found[name]
    return values if _counts(found) else []


def _late(found: Found) -> str:
    late = f"the users' microphones were {found['late_ms'][1]:.1f} ms late (p95)"
    return "; ".join(filter(None, (late, _faults(found))))


def _faults(found: Found) -> str:
    return "; ".join(sorted(set(found["faults"])))


def _noted(found: Found) -> str:
    played = found["played_s"] / (found["seconds"] * max(1, found["rooms"]))
    return f"{100 * played:.0f} % of the time something was heard; {_late(found)}"


def _silences(name: str, found: Found, budget: Budget | None = None) -> list[Row]:
    rows = [spread(name, "ms", _heard(found, "silences_ms"), budget, _late(found))]
    failed = [*found["failed"], *found["faults"]]
    if failed and _counts(found):
        worst = max(set(failed), key=failed.count)
        rows.append(single(f"{name}: never silent", "times", len(failed), 0, n=len(found["silences_ms"]), note=worst))
    return rows
