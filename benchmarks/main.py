"""Runs the benchmarks and says what came of them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from antiphon.output import table
from benchmarks import report, suite
from benchmarks.machine import this_machine
from benchmarks.rows import HEADINGS, cells
from benchmarks.suite import Options

OK, MISSED = 0, 1


def main(only: Sequence[str], *, quick: bool, as_json: bool, write: Path | None) -> int:
    """The exit code: 0 when every budget was kept. Progress goes to stderr, results to stdout.

    Raises KeyError for a benchmark that is unknown.
    """
    picked = suite.chosen(only)
    machine = this_machine()
    _note(machine.as_text())
    results = []
    for benchmark in picked:
        begun = time.monotonic()
        rows = suite.run(benchmark, Options(quick, _note))
        result = report.Result(benchmark, tuple(rows), time.monotonic() - begun)
        results.append(result)
        if not as_json:
            shown = [cells(row) for row in rows]
            print(f"\n{benchmark.title} ({result.took_s:.0f} s)\n{table(HEADINGS, shown)}", flush=True)
    missed = report.missed(results)
    if as_json:
        print(json.dumps(report.as_json(machine, results, quick=quick), ensure_ascii=False, indent=2))
    else:
        print(f"\n{machine.as_text()}")
        print("every budget was kept" if not missed else "not kept: " + "; ".join(row.name for row in missed))
    if write is not None:
        report.write(write, machine, results, quick=quick)
        _note(f"written to {write}")
    return MISSED if missed else OK


def _note(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
