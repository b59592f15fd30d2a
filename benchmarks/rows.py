"""What a benchmark reports: rows with a median, a 95th percentile, a budget and a verdict. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Of = Literal["median", "p95"]


def percentile(values: Sequence[float], percent: float) -> float:
    """By linear interpolation between the two nearest ranks. Raises ValueError for no values."""
    if not values:
        raise ValueError("no values: there is no percentile of nothing")
    ordered = sorted(values)
    at = (len(ordered) - 1) * percent / 100
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


@dataclass(frozen=True, slots=True)
class Budget:
    """`limit` for the median or the p95; `least`: it must be reached rather than kept."""

    limit: float
    of: Of = "p95"
    least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. A row of a single value has it as its median and no p95. `n`: how many were measured."""

    name: str
    unit: str
    median: float | None
    p95: float | None = None
    budget: Budget | None = None
    n: int = 1
    note: str = ""

    @property
    def verdict(self) -> str:
        """ "ok", "MISSED", "no figure" (it could not be measured) or "" (nothing was promised)."""
        value = self.p95 if self.budget is not None and self.budget.of == "p95" else self.median
        if value is None:
            return "no figure"
        if self.budget is None:
            return ""
        return "ok" if self.budget.holds(value) else "MISSED"

    def as_json(self) -> dict[str, Any]:
        budget = self.budget and {"limit": self.budget.limit, "of": self.budget.of, "least": self.budget.least}
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "p95": self.p95,
            "budget": budget,
            "n": self.n,
            "note": self.note,
            "verdict": self.verdict,
        }


def spread(name: str, unit: str, values: Sequence[float], budget: Budget | None = None, note: str = "") -> Row:
    """The row of many measurements; without any it says so."""
    if not values:
        return Row(name, unit, None, None, budget, 0, note or "nothing was measured")
    return Row(name, unit, percentile(values, 50), percentile(values, 95), budget, len(values), note)


def single(name: str, unit: str, value: float | None, limit: float | None = None, **more: Any) -> Row:
    """The row of one value. `least`, `n` and `note` as in Budget and Row."""
    least = bool(more.pop("least", False))
    budget = None if limit is None else Budget(limit, "median", least)
    return Row(name, unit, value, None, budget, **more)


HEADINGS = ("what", "median", "p95", "unit", "budget", "verdict", "n", "note")


def cells(row: Row) -> tuple[str, ...]:
    """The row as text, in the order of HEADINGS."""
    budget = ""
    if row.budget is not None:
        of = "p95 " if row.budget.of == "p95" else ""
        budget = f"{of}{'≥' if row.budget.least else '≤'} {figure(row.budget.limit)}"
    return (
        row.name,
        figure(row.median),
        figure(row.p95),
        row.unit,
        budget,
        row.verdict,
        str(row.n),
        row.note,
    )


def figure(value: float | None) -> str:
    """Three significant digits, no exponent."""
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
