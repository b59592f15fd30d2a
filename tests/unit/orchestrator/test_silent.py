"""Connections that ask for nothing."""

from __future__ import annotations

import pytest

from orchestrator.silent import Silent

pytestmark = pytest.mark.unit


def test_who_asked_for_nothing_is_overdue_after_the_patience() -> None:
    silent: Silent[str] = Silent(10.0)
    assert silent.overdue(["a"], 0.0) == []
    assert silent.overdue(["a", "b"], 9.9) == []
    assert silent.overdue(["a", "b"], 10.0) == ["a"]


def test_who_has_asked_once_may_stay() -> None:
    silent: Silent[str] = Silent(10.0)
    silent.overdue(["a"], 0.0)
    silent.asked("a")
    assert silent.overdue(["a"], 1000.0) == []


def test_who_is_gone_is_forgotten() -> None:
    silent: Silent[str] = Silent(10.0)
    silent.asked("a")
    silent.overdue(["b"], 0.0)
    assert silent.overdue(["a"], 50.0) == []  # another one of that name, from now on
    assert silent.overdue(["a"], 60.0) == ["a"]
