"""How much may be on its way to a listener, by its own word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.transports.grpc.underway import Underway

pytestmark = pytest.mark.unit


def test_a_listener_that_has_said_nothing_is_not_judged() -> None:
    underway = Underway(1_000)
    assert underway.room() is None
    underway.sent(1, 10_000)
    assert underway.room() is None


def test_its_word_makes_room() -> None:
    underway = Underway(1_000)
    underway.sent(1, 900)
    underway.played(1, 400)
    assert underway.room() == 500
    underway.sent(1, 1_400)
    assert underway.room() == 0
    underway.played(1, 300)
    assert underway.room() == 0, "it never goes back"
    underway.played(1, 1_400)
    assert underway.room() == 1_000


def test_another_turn_begins_anew_and_an_old_word_is_none() -> None:
    underway = Underway(1_000)
    underway.sent(1, 900)
    underway.played(1, 900)
    underway.sent(2, 960)
    assert underway.room() is None
    underway.played(1, 5_000)
    assert underway.room() is None
    underway.played(2, 0)
    assert underway.room() == 40


def test_what_is_sent_again_after_a_hold_counts_once() -> None:
    underway = Underway(1_000)
    underway.sent(1, 960)
    underway.played(1, 480)
    underway.sent(1, 600)
    assert underway.room() == 880


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 2**40)), max_size=30))
def test_there_is_never_more_room_than_may_be_under_way_unless_it_was_heard(
    steps: list[tuple[bool, int, int]],
) -> None:
    underway = Underway(1_000)
    end = said = 0
    turn = -1
    for sends, about, samples in steps:
        if sends:
            if about != turn:
                turn, said = about, 0
            end = samples
            underway.sent(about, samples)
        else:
            underway.played(about, samples)
            if about == turn:
                said = max(said, samples)
        room = underway.room()
        assert room is None or 0 <= room <= max(0, 1_000 - (end - said))
