"""Percentiles, verdicts and figures as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rows import Budget, Row, cells, figure, percentile, single, spread

pytestmark = pytest.mark.unit


def test_percentiles_lie_between_their_neighbours() -> None:
    values = [4.0, 1.0, 3.0, 2.0, 5.0]
    assert percentile(values, 0) == 1.0
    assert percentile(values, 50) == 3.0
    assert percentile(values, 95) == pytest.approx(4.8)
    assert percentile(values, 100) == 5.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_never_leaves_the_values(values: list[float], percent: float) -> None:
    assert min(values) <= percentile(values, percent) <= max(values)


def test_a_budget_counts_for_what_it_names() -> None:
    assert spread("x", "ms", [10.0] * 99 + [1000.0], Budget(60)).verdict == "ok"
    assert spread("x", "ms", [10.0] * 90 + [1000.0] * 10, Budget(60)).verdict == "MISSED"
    assert spread("x", "ms", [10.0] * 90 + [1000.0] * 10, Budget(60, "median")).verdict == "ok"
    assert single("right", "%", 96, 95, least=True).verdict == "ok"
    assert single("right", "%", 94, 95, least=True).verdict == "MISSED"


def test_what_was_not_measured_is_not_kept() -> None:
    assert spread("x", "ms", [], Budget(60)).verdict == "no figure"
    assert single("x", "ms", None, 5).verdict == "no figure"
    assert Row("x", "ms", 5.0).verdict == ""


def test_cells_say_which_way_a_budget_goes() -> None:
    assert cells(spread("x", "ms", [1.0, 1.0], Budget(60), "n"))[1:] == ("1", "1", "ms", "p95 ≤ 60", "ok", "2", "n")
    assert cells(single("right", "%", 96, 95, least=True))[4] == "≥ 95"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.0, "0"), (1234.5, "1234"), (47.26, "47.3"), (2.0, "2"), (0.0123, "0.0123"), (0.5, "0.5")],
)
def test_three_digits_are_shown(value: float | None, text: str) -> None:
    assert figure(value) == text
