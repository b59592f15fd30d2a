"""What counts as said."""

from __future__ import annotations

import pytest

from asr.engines.moonshine.guard import before_a_loop, compression, is_said

pytestmark = pytest.mark.unit

TEXT = " What time is it?"


@pytest.mark.parametrize(
    ("text", "log_probability", "speechlike", "said"),
    [
        (TEXT, -0.1, True, True),
        (TEXT, -0.9, True, True),
        (TEXT, -1.1, True, False),
        (TEXT, -0.1, False, True),
        (TEXT, -0.5, False, False),
        (" you know" * 20, -0.1, True, False),
        (" ♪♪", -0.1, True, False),
        (" 你叫叫叫叫叫", -0.1, True, False),
        (" 7", -0.1, True, True),
        (" Café 你", -0.1, True, True),
    ],
    ids=[
        "plain speech",
        "unsure",
        "a guess",
        "a whisper that is clear",
        "hum",
        "over and over",
        "notes",
        "no English",
        "a digit",
        "more than English",
    ],
)
def test_a_text(text: str, log_probability: float, speechlike: bool, said: bool) -> None:
    assert is_said(text, log_probability, speechlike=speechlike) is said


def test_a_short_text_does_not_compress() -> None:
    assert compression("no no") < 1.0


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("a b c", "a b c"),
        ("so it was it was it was it", "so it was"),
        ("so it was it was", "so it was it was"),
        ("no no no", "no"),
        ("no no", "no no"),
        ("a x y z x y z x y z x y", "a x y z"),
        ("", ""),
    ],
)
def test_of_a_loop_one_round_stays(words: str, kept: str) -> None:
    assert words.split()[: before_a_loop(words.split())] == kept.split()


def test_what_it_says_of_a_click_counts_where_somebody_spoke_only() -> None:
    for text in (" You", " you."):
        assert not is_said(text, -0.01, speechlike=False)
        assert is_said(text, -0.01, speechlike=True)
    assert is_said(" You there", -0.01, speechlike=False)
