"""Pauses: what a user's own pauses make of the wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.conversation.pauses import KEPT, LONGEST_S, SHORTEST, Pauses

pytestmark = pytest.mark.unit


def after(*turns: list[float]) -> float:
    pauses = Pauses()
    for turn in turns:
        pauses.turn(turn)
    return pauses.usual_ms(500)


def test_without_a_history_it_is_what_is_configured() -> None:
    assert after() == 500


def test_one_long_pause_changes_nothing_and_the_second_does() -> None:
    assert after([0.8]) == 500
    assert after([0.8], [0.9]) == pytest.approx(900)
    assert after([0.8], [0.9], [0.9]) == pytest.approx(1000)


def test_who_pauses_less_again_is_answered_sooner_again() -> None:
    assert after([0.8, 0.9], *[[]] * KEPT) < 500


def test_who_speaks_in_one_breath_is_answered_a_little_sooner() -> None:
    assert after(*[[]] * 3) == 500
    assert after(*[[]] * KEPT) == 500 * SHORTEST


def test_what_is_no_pause_is_none() -> None:
    assert after([0.0, -1.0, LONGEST_S + 1], [9.0]) == after([], [])


def test_a_turn_that_was_cut_off_was_not_said_in_one_breath() -> None:
    pauses = Pauses()
    for _ in range(2):
        pauses.turn([])
        pauses.cut_off(0.7)
    assert list(pauses.seen) == [0.7, 0.7]
    assert pauses.usual_ms(500) == pytest.approx(800)


@given(st.lists(st.lists(st.floats(-1, 10), max_size=3), max_size=40), st.floats(50, 5000))
def test_the_wait_is_bounded_whatever_was_seen(turns: list[list[float]], configured: float) -> None:
    pauses = Pauses()
    for turn in turns:
        pauses.turn(turn)
    assert SHORTEST * configured <= pauses.usual_ms(configured) <= max(configured, LONGEST_S * 1000 + 100)
    assert len(pauses.seen) <= KEPT
