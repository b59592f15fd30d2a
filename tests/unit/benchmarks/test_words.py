"""Word error rate."""

from __future__ import annotations

import pytest

from benchmarks.words import edits, error_rate, words

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
