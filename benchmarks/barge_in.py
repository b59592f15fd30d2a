"""From the first voiced sample of a word over a reply to silence at the loudspeaker.

The words are speech of several voices and begin anywhere within a frame. The microphone's frame (20 ms) and the
loudspeaker's block (10 ms) are in the figure, as they are for a user. The crowd plays in a process of its own; how late
its own clock ran is in its figures and beside them.
"""

from __future__ import annotations

import json
from typing import Any

from asr.detectors.silero import find_model
from benchmarks.rows import Budget, Row, single, spread
from benchmarks.stack import Stack, stack
from benchmarks.suite import Options


def run(options: Options) -> list[Row]:
    with stack() as made:
        options.note("barge_in: one session")
        alone = _crowd(made, sessions=1, barge_ins=options.pick(100, 12), play_s=(0.05, 0.25))
        options.note("barge_in: 20 sessions at once")
        some = _crowd(made, sessions=20, barge_ins=options.pick(5, 1), play_s=(1.0, 4.0))
        options.note("barge_in: 40 sessions at once")
        crowd = _crowd(made, sessions=40, barge_ins=options.pick(5, 1), play_s=(1.0, 4.0))
    rows = [
        *_rows("first voiced sample → silence, 1 session", alone, 60),
        *_rows("first voiced sample → silence, 20 sessions", some, 80),
        *_rows("first voiced sample → silence, 40 sessions", crowd, 80),
    ]
    if find_model() is not None:
        with stack(detector="silero") as made:
            options.note("barge_in: one session, with Silero VAD")
            judged = _crowd(made, sessions=1, barge_ins=options.pick(60, 12), play_s=(0.05, 0.25))
        rows += _rows("first voiced sample → silence, 1 session, with Silero VAD", judged, 60)
    return rows


def _crowd(made: Stack, **plan: object) -> dict[str, Any]:
    address = made.orchestrator.address
    crowd = made.start("crowd", "-m", "benchmarks.crowd", json.dumps({"address": address, "scene": "barge", **plan}))
    try:
        return crowd.read_line(300)
    finally:
        made.stop(crowd)


def _rows(name: str, found: dict[str, Any], limit_ms: float) -> list[Row]:
    silences: list[float] = found["silences_ms"]
    failed: list[str] = [*found["failed"], *found["faults"]]
    note = f"the users' own clock was {found['late_ms'][1]:.1f} ms late (p95)"
    rows = [spread(name, "ms", silences, Budget(limit_ms), note)]
    if failed:
        worst = max(set(failed), key=failed.count)
        rows.append(single(f"{name}: never silent", "times", len(failed), 0, n=len(silences) + len(failed), note=worst))
    return rows
