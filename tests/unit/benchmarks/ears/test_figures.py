"""Rows of what was scored, and what adaptive endpointing promises."""

from __future__ import annotations

import pytest

from benchmarks.ears.figures import EACH, each, rows
from benchmarks.ears.scoring import Scored

pytestmark = pytest.mark.unit


def clip(*, delay_s: float | None = 0.5, cut_offs: int = 0, short: int = 0, condition: str = "hum") -> Scored:
    return Scored(
        name="a-1",
        condition=condition,
        seconds=30.0,
        said=("good", "morning"),
        heard=("good",),
        errors=1,
        pauses=1,
        cut_offs=cut_offs,
        short_pauses=1,
        short_cut_offs=short,
        delay_s=delay_s,
        reason="silence",
        latencies_s=(0.1,),
        false_starts=1,
    )


def test_adaptive_promises_half_of_the_cut_offs_at_no_more_delay() -> None:
    fixed = [clip(cut_offs=1), clip(cut_offs=1), clip()]
    good = {r.name: r for r in rows("x", {"adaptive": [clip(cut_offs=1), clip(delay_s=0.3)], "fixed": fixed})}
    assert good["x, adaptive: cut-offs"].verdict == "ok"
    assert good["x, adaptive: last voiced sample → turn ended"].verdict == "ok"
    assert good["x, fixed: cut-offs"].verdict == ""
    bad = {r.name: r for r in rows("x", {"adaptive": [clip(cut_offs=2, delay_s=0.6)], "fixed": fixed})}
    assert bad["x, adaptive: cut-offs"].verdict == "MISSED"
    assert bad["x, adaptive: last voiced sample → turn ended"].verdict == "MISSED"


def test_what_does_not_depend_on_the_endpointing_is_told_once() -> None:
    found = {r.name: r for r in rows("x", {"adaptive": [clip()], "fixed": [clip(condition="clean")]}, "a note")}
    assert found["x: word error rate"].median == 0.5
    assert found["x: word error rate"].note == "a note; hum 0.5, clean 0.5"
    assert found["x: false starts a minute"].median == 2
    assert found["x: a word's end → the partial that has it"].n == 2


def test_one_mode_alone_promises_nothing_and_a_turn_never_answered_is_told() -> None:
    found = {r.name: r for r in rows("x", {"adaptive": [clip(delay_s=None), clip()]})}
    assert found["x, adaptive: cut-offs"].budget is None
    assert found["x, adaptive: turns never answered"].median == 1
    assert found["x, adaptive: last voiced sample → turn ended"].n == 1


def test_cut_offs_in_short_pauses_are_told_and_promise_nothing() -> None:
    found = {r.name: r for r in rows("x", {"adaptive": [clip(cut_offs=1, short=1), clip()], "fixed": [clip()]})}
    row = found["x, adaptive: cut-offs in short pauses (≤ 0.5 s)"]
    assert (row.median, row.n, row.verdict, row.note) == (1, 2, "", "a-1")
    assert (found["x, adaptive: cut-offs"].median, found["x, adaptive: cut-offs"].verdict) == (0, "ok")


def test_sessions_that_failed_miss_a_budget() -> None:
    good, bad = (rows("x", {"fixed": [clip()]}, errors=errors)[-1] for errors in ((), ("it fell", "it fell", "away")))
    assert (good.name, good.verdict) == ("x: errors of its sessions", "ok")
    assert (bad.median, bad.verdict, bad.note) == (3, "MISSED", "such as: it fell")


def test_each_clip_has_a_line() -> None:
    assert len(each([clip(), clip(delay_s=None)])[1]) == len(EACH)
    assert each([clip(delay_s=None)])[0][2] == "never"
