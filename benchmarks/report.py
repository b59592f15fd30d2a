"""Results as a table for a terminal, and as a page that keeps the prose around them. Pure but for `write`."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine
from benchmarks.rows import HEADINGS, Row, cells
from benchmarks.suite import Benchmark

COMMAND = "./antiphon bench"


@dataclass(frozen=True, slots=True)
class Result:
    benchmark: Benchmark
    rows: tuple[Row, ...]
    took_s: float


def missed(results: Sequence[Result]) -> list[Row]:
    """Budgets that were not kept, and figures that were promised and could not be had."""
    return [row for r in results for row in r.rows if row.verdict in ("MISSED", "no figure")]


def as_json(machine: Machine, results: Sequence[Result], *, quick: bool) -> dict[str, Any]:
    return {
        "machine": machine.as_json(),
        "quick": quick,
        "ok": not missed(results),
        "benchmarks": [
            {
                "name": r.benchmark.name,
                "title": r.benchmark.title,
                "took_s": round(r.took_s, 1),
                "rows": [row.as_json() for row in r.rows],
            }
            for r in results
        ],
    }


def markdown(result: Result, machine: Machine, *, quick: bool, today: datetime.date) -> str:
    """One benchmark's section, between markers by which the next run finds it."""
    name = result.benchmark.name
    command = f"{result.benchmark.command or f'{COMMAND} --only {name}'}{' --quick' if quick else ''}"
    shown = [cells(row) for row in result.rows]
    lines = [
        f"<!-- bench:{name} -->",
        f"## {result.benchmark.title}",
        "",
        f"`{command}`, {result.took_s:.0f} s, on {today.isoformat()}: {machine.as_text()}.",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|" + "---|" * len(HEADINGS),
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in shown),
        f"<!-- /bench:{name} -->",
    ]
    return "\n".join(lines)


def merged(page: str, sections: dict[str, str]) -> str:
    """`page` with its sections replaced by those of the same name; new ones go to its end."""
    for name, section in sections.items():
        pattern = re.compile(rf"<!-- bench:{name} -->.*?<!-- /bench:{name} -->", re.DOTALL)
        if pattern.search(page):
            page = pattern.sub(lambda _, section=section: section, page)  # type: ignore[misc]
        else:
            page = page.rstrip("\n") + f"\n\n{section}\n"
    return page


def write(path: Path, machine: Machine, results: Sequence[Result], *, quick: bool) -> None:
    page = path.read_text() if path.exists() else "# Performance\n"
    today = datetime.date.today()
    sections = {r.benchmark.name: markdown(r, machine, quick=quick, today=today) for r in results}
    path.write_text(merged(page, sections))
