"""The recogniser that knows what was said."""

from __future__ import annotations

import pytest

from asr.recognizer import RecognizerConfig
from benchmarks.ears.oracle import OracleDecoder, OracleRecognizer, Spoken, marked, spoken

pytestmark = pytest.mark.unit

WORDS = (Spoken("good", 16_000, 20_000), Spoken("morning", 20_000, 28_000), Spoken("all", 60_000, 64_000))
TENTH = bytes(3_200)


def decoder() -> OracleDecoder:
    return OracleRecognizer({"ann": WORDS}).open(RecognizerConfig(phrases=("ann",)))


def test_a_word_is_understood_when_its_last_sample_came() -> None:
    ears = decoder()
    ears.start(1, 15_000)
    partials = [ears.push(TENTH) for _ in range(9)]
    assert [p.text for p in partials if p is not None] == ["good", "good morning"]
    assert partials[3] is not None
    assert partials[3].stable == len("good")
    assert ears.finish().text == "good morning"


def test_each_utterance_has_its_own_words() -> None:
    ears = decoder()
    ears.start(1, 15_000)
    for _ in range(9):
        ears.push(TENTH)
    assert ears.finish().text == "good morning"
    ears.start(2, 40_000)
    assert ears.push(TENTH) is None
    assert ears.finish().text == "", "nothing was said: a noise"
    ears.start(3, 59_000)
    for _ in range(4):
        ears.push(TENTH)
    assert ears.finish().text == "all"


def test_of_a_word_whose_end_alone_is_in_it_nothing_is_understood() -> None:
    ears = decoder()
    ears.start(1, 19_900)
    for _ in range(9):
        ears.push(TENTH)
    assert ears.finish().text == "morning"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("good morning", "good morning."),
        ("i would like a", "i would like a."),
        ("what time is it", "what time is it?"),
        ("how do i get to the", "how do i get to the."),
        ("Is it late?", "Is it late?"),
        ("", ""),
    ],
)
def test_marks_are_put_as_whisper_puts_them(text: str, expected: str) -> None:
    assert marked(text, "en") == expected


def test_one_that_marks_does_so_in_finals_only() -> None:
    ears = OracleRecognizer({"ann": WORDS}, marks=True).open(RecognizerConfig(language="en", phrases=("ann",)))
    ears.start(1, 15_000)
    partials = [partial.text for _ in range(9) if (partial := ears.push(TENTH)) is not None]
    assert partials == ["good", "good morning"]
    assert ears.finish().text == "good morning."


def test_whoever_it_does_not_know_says_nothing() -> None:
    ears = OracleRecognizer({}).open(RecognizerConfig())
    ears.start(1, 0)
    assert ears.push(TENTH) is None
    assert ears.finish().text == ""


def test_words_begin_where_the_one_before_ends_unless_that_is_long_ago() -> None:
    assert spoken((("a", 1.0), ("b", 1.25), ("c", 3.0))) == (
        Spoken("a", 6_400, 16_000),
        Spoken("b", 16_000, 20_000),
        Spoken("c", 38_400, 48_000),
    )
