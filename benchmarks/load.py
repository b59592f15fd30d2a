"""Forty users at once, full duplex: all are talked to all the time and talk a third of it.

What that costs the orchestrator is told as a multiple of the floor (`benchmarks.floor`), which gets the same users in
turn. Memory and the ticker's lateness come from fifty.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from asr.detectors.silero import find_model
from benchmarks.machine import cpu_seconds, resident_mb
from benchmarks.rows import Budget, Row, single
from benchmarks.stack import Process, Stack, metrics, processes, stack
from benchmarks.suite import Options

SESSIONS = 40
JUDGED = 30
"""With Silero VAD, which costs a frame about a quarter more."""
MORE = 50
FEW = 10
BUCKET = "the upper bound of its bucket"


@dataclass(frozen=True, slots=True)
class Load:
    """What a crowd found, and what processes used meanwhile: CPU seconds a session-minute, by name."""

    found: dict[str, float]
    cpu: dict[str, float]
    resident_mb: float
    lateness_ms: float | None
    """The ticker's, p95, as an upper bound: a bucket of its histogram."""


def run(options: Options) -> list[Row]:
    rows = _rows(*_measure(options, "webrtc", SESSIONS, options.pick(3, 1)))
    if find_model() is not None:
        options.note("load: with Silero VAD")
        rows += _judged_rows(*_measure(options, "silero", JUDGED, options.pick(2, 1)))
    return rows


def _measure(options: Options, detector: str, many: int, rounds: int) -> tuple[Load, Load, Load, Load]:
    """Of few sessions, of `many`, of fifty, and the floor of `many`. The floor and we take turns, so that what else the
    machine does meanwhile falls on both."""
    seconds = options.pick(6, 5)
    ours, floors = [], []
    with stack(detector=detector) as made, processes() as bare:
        floor = bare.start("floor", "-m", "benchmarks.floor", detector)
        options.note(f"load: {FEW} sessions")
        few = _under_load(made, made.orchestrator, sessions=FEW, seconds=2)
        options.note(f"load: {MORE} sessions")
        more = _under_load(made, made.orchestrator, sessions=MORE, seconds=seconds)
        for number in range(1, rounds + 1):
            options.note(f"load: {many} sessions, the floor and we, {number} of {rounds}")
            floors.append(_under_load(bare, floor, sessions=many, seconds=seconds, scene="floor"))
            ours.append(_under_load(made, made.orchestrator, sessions=many, seconds=seconds))
    return few, _mean(ours), more, _mean(floors)


def _mean(loads: Sequence[Load]) -> Load:
    """Counts summed up, CPU averaged."""
    found = {name: sum(x.found[name] for x in loads) for name in loads[0].found}
    found["sessions"] = min(x.found["sessions"] for x in loads)
    cpu = {name: sum(x.cpu[name] for x in loads) / len(loads) for name in loads[0].cpu}
    return Load(found, cpu, loads[-1].resident_mb, loads[-1].lateness_ms)


def _rows(few: Load, full: Load, more: Load, least: Load) -> list[Row]:
    ours, floor = full.cpu["orchestrator"], least.cpu["floor"]
    per_session = (more.resident_mb - few.resident_mb) / (MORE - FEW)
    dry = 100 * full.found["dry_s"] / max(1e-9, full.found["dry_s"] + full.found["played_s"])
    note = f"{full.found['sessions']:.0f} of {SESSIONS} sessions whole, {full.found['played_s']:.0f} s played"
    return [
        single("orchestrator CPU, of the floor's", "×", ours / floor, 1.5, note=note),
        single("orchestrator CPU a session-minute", "s", ours),
        single("the floor's CPU a session-minute", "s", floor, note="bare websockets, the same VAD, a paced tone"),
        *(single(f"{name} CPU a session-minute", "s", cpu) for name, cpu in full.cpu.items() if name != "orchestrator"),
        single(f"audio for which a listener's buffer was dry, {SESSIONS} sessions", "%", dry, 0.1),
        single(f"orchestrator memory, {MORE} sessions", "MB", more.resident_mb, 150),
        single("orchestrator memory, one session more", "MB", per_session, 0.5, note=f"{FEW} to {MORE} sessions"),
        single(
            f"orchestrator memory, {SESSIONS} sessions, at the end",
            "MB",
            full.resident_mb,
            note="sessions came and went",
        ),
        Row(f"a tick later than due, {FEW} sessions", "ms", None, few.lateness_ms, Budget(5), note=BUCKET),
        Row(f"a tick later than due, {MORE} sessions", "ms", None, more.lateness_ms, Budget(5), note=BUCKET),
        single("sessions that broke", "sessions", SESSIONS - full.found["sessions"], 0),
    ]


def _judged_rows(few: Load, full: Load, more: Load, least: Load) -> list[Row]:
    """What it costs to know speech better."""
    ours, floor = full.cpu["orchestrator"], least.cpu["floor"]
    dry = 100 * full.found["dry_s"] / max(1e-9, full.found["dry_s"] + full.found["played_s"])
    return [
        single(f"with Silero VAD, {JUDGED} sessions: orchestrator CPU, of the floor's with it", "×", ours / floor, 1.5),
        single("… a session-minute", "s", ours),
        single("… audio for which a listener's buffer was dry", "%", dry, 0.1),
        single(f"… orchestrator memory, {MORE} sessions", "MB", more.resident_mb, 150),
        single("… sessions that broke", "sessions", JUDGED - full.found["sessions"], 0),
    ]


def _under_load(made: Stack, measured: Process, *, sessions: int, seconds: float, scene: str = "duplex") -> Load:
    plan = {"address": measured.address, "scene": scene, "sessions": sessions, "seconds": seconds, "warm_s": 2}
    crowd = made.start("crowd", "-m", "benchmarks.crowd", json.dumps(plan))
    watched = made.running()
    before = {p.name: cpu_seconds(p.pid) for p in watched}
    ticks = _ticks(measured) if scene == "duplex" else {}
    found = crowd.read_line(seconds + 60)
    used = {p.name: cpu_seconds(p.pid) - before[p.name] for p in watched}
    memory = resident_mb(measured.pid)
    late = _lateness(ticks, _ticks(measured)) if ticks else None
    made.stop(crowd)
    minutes = sessions * float(found["seconds"]) / 60
    numbers = {k: float(v) for k, v in found.items() if isinstance(v, int | float)}
    return Load(numbers, {name: cpu / minutes for name, cpu in used.items()}, memory, late)


def _ticks(process: Process) -> dict[str, float]:
    prefix = "antiphon_ticker_late_"
    return {k.removeprefix(prefix): v for k, v in metrics(process.address).items() if k.startswith(prefix)}


def _lateness(before: dict[str, float], after: dict[str, float]) -> float | None:
    """p95 in ms: the upper bound of the bucket that it falls into."""
    counts = {}
    for name, value in after.items():
        if name.startswith("le_"):
            counts[float(name.removeprefix("le_"))] = value - before.get(name, 0)
    beyond = after.get("more", 0) - before.get("more", 0)
    total = sum(counts.values()) + beyond
    seen = 0.0
    for bound in sorted(counts):
        seen += counts[bound]
        if total and seen >= 0.95 * total:
            return bound
    return None
