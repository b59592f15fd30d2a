"""Word error rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.words import alignment, edits, error_rate, words

pytestmark = pytest.mark.unit


def test_words_are_told_without_case_and_punctuation() -> None:
    assert words("It’s twenty-one, isn't it?") == ["it's", "twenty", "one", "isn't", "it"]


@pytest.mark.parametrize(
    ("heard", "count"),
    [("a b c d", 0), ("a b d", 1), ("a b x c d", 1), ("a x c d", 1), ("", 4), ("d c b a", 4)],
)
def test_edits(heard: str, count: int) -> None:
    assert edits(["a", "b", "c", "d"], heard.split()) == count


def test_the_rate_is_over_all_words_not_over_sentences() -> None:
    assert error_rate([("one", ""), ("two three four", "two three four")]) == 0.25
    with pytest.raises(ValueError, match="nothing was said"):
        error_rate([("...", "word")])


@pytest.mark.parametrize(
    ("said", "heard", "places"),
    [
        ("a b c", "a b c", []),
        ("a b c", "a x c", [1]),
        ("a b c", "a c", [1]),
        ("a b", "x a b y", [-1, 1]),
        ("", "x", [-1]),
    ],
)
def test_edits_are_placed_where_they_are(said: str, heard: str, places: list[int]) -> None:
    assert alignment(said.split(), heard.split()) == places


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_there_are_as_many_places_as_edits(said: list[str], heard: list[str]) -> None:
    assert len(alignment(said, heard)) == edits(said, heard)
