"""What a session did against what is true: cut-offs, delays, latencies, false starts, wrong words."""

from __future__ import annotations

import pytest

from benchmarks.ears.scoring import Heard, Scored, Truth, by_condition, error_rate, score

pytestmark = pytest.mark.unit

FIRST = Truth(
    "one",
    0.0,
    6.0,
    "A coffee and a cake",
    ((1.0, 2.0), (3.0, 4.0)),
    (("a", 1.2), ("coffee", 1.7), ("and", 2.0), ("a", 3.2), ("cake", 4.0)),
    "hum",
)
SECOND = Truth("two", 6.0, 10.0, "yes", ((7.0, 7.5),))


def scored(**heard: object) -> list[Scored]:
    return score([FIRST, SECOND], Heard(**heard))  # type: ignore[arg-type]


def test_a_turn_ended_in_a_pause_is_a_cut_off_and_the_next_end_is_the_delay() -> None:
    one, two = scored(turns=[(2.5, "silence"), (4.25, "complete"), (8.0, "silence")])
    assert (one.pauses, one.cut_offs, one.reason) == (1, 1, "complete")
    assert one.delay_s == pytest.approx(0.25)
    assert (two.pauses, two.cut_offs) == (0, 0)
    assert two.delay_s == pytest.approx(0.5)


def test_an_end_that_comes_when_the_next_clip_is_being_said_is_its_cut_off() -> None:
    one, two = scored(turns=[(7.2, "silence")])
    assert (one.delay_s, one.reason, one.cut_offs) == (None, "", 0)
    assert (two.delay_s, two.cut_offs) == (None, 1)


def test_a_cut_off_in_a_short_pause_is_told_apart_even_if_it_ends_just_after_it() -> None:
    truth = Truth("three", 0.0, 9.0, "a b c", ((1.0, 2.0), (2.4, 3.0), (4.0, 5.0)))
    for at, short in ((2.25, 1), (2.45, 1), (3.5, 0)):
        (found,) = score([truth], Heard(turns=[(at, "silence"), (5.5, "silence")]))
        assert (found.pauses, found.short_pauses, found.cut_offs, found.short_cut_offs) == (2, 1, 1, short)


def test_what_ended_before_anybody_spoke_is_neither() -> None:
    one, _ = scored(turns=[(0.5, "silence"), (4.5, "silence")])
    assert one.cut_offs == 0
    assert one.delay_s == pytest.approx(0.5)


def test_speech_that_overlaps_nothing_said_is_a_false_start() -> None:
    one, two = scored(speech={1: (0.2, 0.5), 2: (0.9, 4.1), 3: (4.1, 4.6), 4: (5.0, 5.2), 5: (6.5, float("inf"))})
    assert (one.false_starts, two.false_starts) == (2, 0)


def test_words_are_those_of_the_last_transcript_of_each_utterance_of_the_clip() -> None:
    one, two = scored(
        speech={1: (1.0, 2.0), 2: (3.0, 4.0), 3: (7.0, 7.5)},
        transcripts=[
            (1.5, 1, "a"),
            (2.2, 1, "A coffee, and"),
            (4.2, 2, "the cake"),
            (7.7, 3, ""),
        ],
    )
    assert one.heard == ("a", "coffee", "and", "the", "cake")
    assert (one.errors, two.errors) == (1, 1)
    assert error_rate([one, two]) == pytest.approx(2 / 6)
    assert error_rate([]) is None


def test_words_of_an_utterance_that_went_on_through_the_next_clip_are_right_there() -> None:
    one, two = scored(speech={1: (1.0, 7.5)}, transcripts=[(7.7, 1, "a coffee and a cake yes")])
    assert (one.errors, two.errors) == (0, 0)
    assert (one.delay_s, two.delay_s) == (None, None)


def test_a_word_is_late_from_its_end_to_the_transcript_that_has_it_so_often() -> None:
    one, two = scored(
        speech={1: (1.0, 2.0), 2: (3.0, 4.0), 3: (7.0, 7.5)},
        transcripts=[(1.5, 1, "a"), (2.3, 1, "a coffee"), (3.4, 2, "a"), (3.9, 2, "a cake"), (7.9, 3, "yes")],
    )
    assert one.latencies_s == pytest.approx((0.3, 0.6, 0.2, -0.1)), "'and' was never understood"
    assert two.latencies_s == pytest.approx((0.9,)), "without word ends: from the first voiced sample"


def test_a_word_that_was_said_twice_is_not_understood_twice_at_once() -> None:
    one, _ = scored(speech={1: (1.0, 4.0)}, transcripts=[(1.1, 1, "a cake"), (4.5, 1, "a cake a cake")])
    assert one.latencies_s == pytest.approx((-0.1, 1.3, 0.5)), "a cake that nobody can have heard yet is none"


def test_conditions_are_kept_apart() -> None:
    assert {name: len(some) for name, some in by_condition(scored()).items()} == {"hum": 1, "": 1}
