"""The page of results, and what counts as missed."""

from __future__ import annotations

import datetime

import pytest

from benchmarks.machine import Machine, parse_ps_time
from benchmarks.report import Result, as_json, markdown, merged, missed
from benchmarks.rows import single
from benchmarks.suite import BENCHMARKS, chosen

pytestmark = pytest.mark.unit

MACHINE = Machine("A CPU", 2, "Linux x86_64", "3.11.9", "uvloop 1", 0.5, 0.4)
GOOD = single("good", "ms", 1, 5)
BAD = single("bad | worse", "ms", 9, 5)


def result(*rows: object) -> Result:
    return Result(chosen(["load"])[0], tuple(rows), 12.0)  # type: ignore[arg-type]


def test_missed_and_unmeasured_budgets_count() -> None:
    assert missed([result(GOOD, BAD, single("none", "ms", None, 5), single("free", "ms", 3))]) == [
        BAD,
        single("none", "ms", None, 5),
    ]
    assert as_json(MACHINE, [result(GOOD)], quick=True)["ok"] is True


def test_a_section_names_its_command_and_machine() -> None:
    section = markdown(result(GOOD, BAD), MACHINE, quick=False, today=datetime.date(2031, 2, 3))
    assert "`./antiphon bench --only load`" in section
    assert "2031-02-03" in section
    assert "A CPU, 2 cores" in section
    assert "| bad \\| worse | 9 |" in section


def test_prose_stays_and_sections_are_replaced() -> None:
    page = "# P\n\nbefore\n\n<!-- bench:a -->\nold\n<!-- /bench:a -->\n\nafter\n"
    new = {"a": "<!-- bench:a -->\nnew \\1\n<!-- /bench:a -->", "b": "<!-- bench:b -->\nb\n<!-- /bench:b -->"}
    out = merged(page, new)
    assert "old" not in out
    assert out.startswith("# P\n\nbefore\n\n<!-- bench:a -->\nnew \\1\n")
    assert out.index("after") < out.index("<!-- bench:b -->")
    assert merged(out, new) == out


def test_benchmarks_are_chosen_by_name_in_their_order() -> None:
    assert [b.name for b in chosen(["load", "response"])] == ["response", "load"]
    assert len(chosen([])) == len(BENCHMARKS)
    with pytest.raises(KeyError, match="nothing"):
        chosen(["nothing"])


@pytest.mark.parametrize(
    ("text", "seconds"), [("0:01.50", 1.5), ("12:03.00", 723.0), ("1:00:00", 3600.0), ("2-01:00:00", 176_400.0)]
)
def test_ps_times_are_read(text: str, seconds: float) -> None:
    assert parse_ps_time(text) == seconds
