"""`bench ears`: plays a folder of clips to every recogniser and detector that is installed, and tells how they did."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import uvloop

from antiphon.output import table
from base import log
from base.errors import BadRequest
from benchmarks import report
from benchmarks.ears import detectors, figures, making, recognisers
from benchmarks.ears.clips import Clip, read_folder
from benchmarks.ears.recognisers import Recogniser
from benchmarks.ears.scoring import Scored, score
from benchmarks.ears.sessions import House, Played, Script, house, oracle_words, scripts
from benchmarks.machine import this_machine
from benchmarks.rows import HEADINGS, Row, cells
from benchmarks.stack import processes
from benchmarks.suite import Benchmark

T = TypeVar("T")

OK, MISSED = 0, 1
QUICK_CLIPS = 3
"""Of each speaker."""
ORACLES = 16
"""Sessions that the oracle hears at once: they cost next to nothing."""
LOADS_S = 3.0
"""A worker's spare children finish loading."""
LATE_S = 0.1
EARS = Benchmark("ears", "How well it hears, and knows when you are done", command="./antiphon bench ears DIR")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured; empty: everything that is installed, in both modes. `at_once`: sessions side by side; 0: as
    many as there are cores."""

    recognisers: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    models: tuple[Path, ...] = ()
    language: str = "en"
    quick: bool = False
    at_once: int = 0
    each: bool = False
    """A line for each clip, besides."""


def make(folder: Path) -> int:
    """Fills it with made speech."""
    made = making.make(folder, note=_note)
    minutes = sum(clip.seconds for clip in made) / 60
    print(f"{len(made)} clips, {minutes:.1f} minutes, are in {folder}. Next: ./antiphon bench ears {folder}")
    return OK


def main(folder: Path, wanted: Wanted, *, as_json: bool, write: Path | None) -> int:
    """The exit code: 0 when every budget was kept. Progress goes to stderr, results to stdout.

    Raises BadRequest for clips that are wrong and for names that are unknown.
    """
    clips = _picked(read_folder(folder), quick=wanted.quick)
    machine = this_machine()
    _note(machine.as_text())
    begun = time.monotonic()
    rows = measure(clips, wanted, _note)
    result = report.Result(EARS, tuple(rows), time.monotonic() - begun)
    missed = report.missed([result])
    if as_json:
        print(json.dumps(report.as_json(machine, [result], quick=wanted.quick), ensure_ascii=False, indent=2))
    else:
        print(f"{EARS.title} ({result.took_s:.0f} s)\n{table(HEADINGS, [cells(row) for row in rows])}")
        print(f"\n{machine.as_text()}")
        print("every budget was kept" if not missed else "not kept: " + "; ".join(row.name for row in missed))
    if write is not None:
        report.write(write, machine, [result], quick=wanted.quick)
        _note(f"written to {write}")
    return MISSED if missed else OK


def measure(clips: Sequence[Clip], wanted: Wanted, note: Callable[[str], None]) -> list[Row]:
    """Raises BadRequest for a name that is unknown."""
    ears = _chosen("recogniser", wanted.recognisers, recognisers.installed(wanted.models))
    sharp = _chosen("detector", wanted.detectors, detectors.installed())
    modes = wanted.modes or figures.MODES
    played = scripts(clips)
    derived = sum(clip.derived for clip in clips)
    if derived:
        note(f"where {derived} of {len(clips)} clips are speech was found by their level: right in quiet rooms only")
    log.configure(level="error")
    rows: list[Row] = []
    for recogniser in ears.values():
        for detector in sharp:
            runs = {mode: _run(recogniser, detector, mode, played, wanted, note) for mode in modes}
            scored = {mode: _scored(run, note) for mode, run in runs.items()}
            errors = [error for run in runs.values() for each in run for error in each.heard.errors]
            if wanted.each:
                for mode, some in scored.items():
                    note(f"{recogniser.name}, {detector}, {mode}:\n{table(figures.EACH, figures.each(some))}")
            what = "it knows the words: what counts is what follows them" if recogniser.is_oracle else ""
            rows += figures.rows(f"{recogniser.name}, {detector}", scored, what, errors)
    return rows


def _chosen(what: str, names: Sequence[str], known: dict[str, T]) -> dict[str, T]:
    """Those of `names`, all without any. Raises BadRequest with the names there are."""
    for name in names:
        if name not in known:
            raise BadRequest(f"{what} {name!r} is not installed here; there are {', '.join(known)}", reason="UNKNOWN")
    return {name: each for name, each in known.items() if not names or name in names}


def _picked(clips: Sequence[Clip], *, quick: bool) -> list[Clip]:
    if not quick:
        return list(clips)
    taken: dict[str, int] = {}
    picked = []
    for clip in clips:
        taken[clip.speaker] = taken.get(clip.speaker, 0) + 1
        if taken[clip.speaker] <= QUICK_CLIPS:
            picked.append(clip)
    return picked


def _run(
    recogniser: Recogniser,
    detector: str,
    mode: str,
    played: Sequence[Script],
    wanted: Wanted,
    note: Callable[[str], None],
) -> list[Played]:
    """Every session, so many at once as the recogniser can hear."""
    at_once = ORACLES if recogniser.is_oracle else wanted.at_once or _cores()
    longest_s = sum(len(script.pcm) for script in played) / 32_000 / min(at_once, len(played))
    note(f"{recogniser.name}, {detector}, {mode}: {len(played)} sessions, about {longest_s:.0f} s")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_play(recogniser, detector, mode, played, wanted.language, at_once))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def _play(
    recogniser: Recogniser, detector: str, mode: str, played: Sequence[Script], language: str, at_once: int
) -> list[Played]:
    room = asyncio.Semaphore(at_once)
    new = detectors.installed()[detector]

    async def one(there: House, script: Script) -> Played:
        async with room:
            return await there.play(script, mode, language=language, oracle=recogniser.is_oracle)

    with processes() as made:
        async with (
            recognisers.announced(recogniser, made, oracle_words(played)) as store,
            house(store, new, language) as there,
        ):
            if not recogniser.is_oracle:
                await asyncio.sleep(LOADS_S)
            return await asyncio.gather(*(one(there, script) for script in played))


def _scored(played: Sequence[Played], note: Callable[[str], None]) -> list[Scored]:
    late_s = max(each.late_s for each in played)
    if late_s > LATE_S:
        note(f"this machine was too busy: a frame came {1000 * late_s:.0f} ms late")
    return [scored for each in played for scored in score(each.script.truths, each.heard)]


def _note(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
