"""What becomes of the rooms' figures when some of them fail."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("livekit.rtc", reason="needs ./antiphon install livekit")

from benchmarks import livekit as bench
from benchmarks.rows import Budget, single
from benchmarks.stack import Failed
from benchmarks.suite import Options


def found(**facts: Any) -> dict[str, Any]:
    return {"late_ms": [1.0, 2.0], "faults": [], "silences_ms": [], "failed": [], "rooms": 1, **facts}


def started(notes: list[str]) -> bench.Bench:
    return bench.Bench(None, None, None, Options(note=notes.append), "", [])  # type: ignore[arg-type]


def test_a_part_that_fails_is_a_row_and_what_was_found_before_stays() -> None:
    notes: list[str] = []
    made = started(notes)
    with made.part("first"):
        made.rows.append(single("first", "ms", 3.0))
    with made.part("second"):
        made.rows.append(single("half of it", "ms", 4.0))
        raise Failed("guest ended with 1; it logged last:\n…")
    with made.part("third"):
        made.rows.append(single("third", "ms", 5.0))
    assert [(row.name, row.median) for row in made.rows] == [
        ("first", 3.0),
        ("half of it", 4.0),
        ("second", None),
        ("third", 5.0),
    ]
    assert made.rows[2].note == "guest ended with 1; it logged last:"
    assert made.rows[2].verdict == "no figure"
    assert any("first: 3 ms" in note for note in notes), notes


def test_a_fault_of_ours_is_no_row() -> None:
    with pytest.raises(ZeroDivisionError), started([]).part("first"):
        raise ZeroDivisionError


def test_late_users_have_measured_nothing_and_the_row_says_so() -> None:
    (row,) = bench._silences("silence", found(silences_ms=[50.0], late_ms=[1.0, 30.0]), Budget(140))
    assert row.verdict == "no figure"
    assert "30.0 ms late" in row.note


def test_one_user_without_a_session_is_told_beside_what_the_others_found() -> None:
    rows = bench._silences("silence", found(silences_ms=[50.0, 60.0], faults=["no agent came"]), Budget(140))
    assert [row.verdict for row in rows] == ["ok", "MISSED"]
    assert rows[1].note == "no agent came"
    assert rows[1].n == 2


def test_users_of_several_processes_are_one_figure() -> None:
    one = found(silences_ms=[1.0], late_ms=[0.5, 9.0], seconds=10.0, played_s=10.0)
    other = found(silences_ms=[2.0], faults=["lost"], seconds=12.0, played_s=2.0)
    merged = bench._merged([one, other])
    assert merged["silences_ms"] == [1.0, 2.0]
    assert merged["late_ms"] == [0.5, 9.0]
    assert merged["rooms"] == 2
    assert merged["faults"] == ["lost"]
    assert "55 % of the time" in bench._noted(merged)
