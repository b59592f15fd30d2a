"""What is spoken of a text, and where a long one is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_workers.text import clean, pieces, speakable

pytestmark = pytest.mark.unit


@given(st.text())
def test_cleaning_keeps_every_place(text: str) -> None:
    assert len(clean(text)) == len(text)
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Hi 👍🏽!", "Hi   !"),
        ("a\x00b\x1b[0m\nc", "a b [0m c"),
        ("naïve café, 日本, ação", "naïve café, 日本, ação"),
        ("می‌خواهم", "می‌خواهم"),
        ("20 °C & 5 €", "20 °C & 5 €"),
        ("☎ ✂ ➡", "     "),
    ],
)
def test_cleaning_takes_out_what_no_voice_should_read(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize("text", ["", " \n", "…", "😀", "—", "?!", "👨‍👩‍👧", "***", "“”"])
def test_unspeakable(text: str) -> None:
    assert not speakable(text)


@pytest.mark.parametrize("text", ["a", "7", "你", "é", "50 %", "&", "Ⅳ", "नमस्ते"])
def test_speakable(text: str) -> None:
    assert speakable(text)


@given(st.text(alphabet="ab ,.!。，\n", max_size=300), st.integers(1, 40))
def test_pieces_add_up_and_are_short(text: str, limit: int) -> None:
    cut = pieces(text, limit)
    assert "".join(cut) == text
    assert all(0 < len(piece) <= limit for piece in cut)


def test_pieces_end_where_people_pause() -> None:
    assert pieces("One. Two, three. Four five", 18) == ["One. Two, three. ", "Four five"]
    assert pieces("One two, three four", 12) == ["One two, ", "three four"]
    assert pieces("One two three", 9) == ["One two ", "three"]
    assert pieces("今天。天气很好", 5) == ["今天。", "天气很好"]
    assert pieces("3.14159 is pi", 8) == ["3.14159 ", "is pi"]
