"""What the load benchmark makes of counts: percentiles out of a histogram, rows out of loads."""

from __future__ import annotations

import pytest

from benchmarks.load import Load, _lateness, _mean, _rows

pytestmark = pytest.mark.unit

BEFORE = {"le_1": 100.0, "le_5": 10.0, "le_20": 0.0, "more": 0.0, "sum_s": 1.0}


@pytest.mark.parametrize(
    ("late", "bound"),
    [({"le_1": 1100.0}, 1.0), ({"le_1": 1000.0, "le_5": 110.0}, 5.0), ({"le_1": 200.0, "more": 100.0}, None)],
)
def test_the_p95_is_the_bound_of_its_bucket(late: dict[str, float], bound: float | None) -> None:
    assert _lateness(BEFORE, {**BEFORE, **late}) == bound


def load(orchestrator: float, *, floor: float = 0.0, resident_mb: float = 80.0, dry_s: float = 0.0) -> Load:
    found = {"sessions": 40.0, "played_s": 100.0, "dry_s": dry_s}
    return Load(found, {"orchestrator": orchestrator, "floor": floor}, resident_mb, 1.0)


def test_rows_tell_the_multiple_of_the_floor_and_what_a_session_weighs() -> None:
    full = _mean([load(0.2), load(0.4, dry_s=0.2)])
    rows = _rows(load(0.1, resident_mb=60), full, load(0.5, resident_mb=100), _mean([load(0, floor=0.2)]))
    by_name = {row.name: row for row in rows}
    ratio = by_name["orchestrator CPU, of the floor's"]
    assert ratio.median == pytest.approx(1.5)
    assert by_name["orchestrator memory, one session more"].median == pytest.approx(1.0)
    assert by_name["orchestrator memory, one session more"].verdict == "MISSED"
    dry = by_name["audio for which a listener's buffer was dry, 40 sessions"]
    assert dry.median == pytest.approx(0.1, abs=0.001)
