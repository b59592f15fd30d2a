"""Pieces of a text that Piper speaks at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_workers.engines.piper.sentences import LIMIT, ends_sentence, plain, split

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("Hello.", ["Hello."]),
        ("Yes. I think so! Do you?", ["Yes. I think so! ", "Do you?"]),
        (
            "That was then. And Dr. Smith came at 5 p.m. today.",
            ["That was then. ", "And Dr. Smith came at 5 p.m. today."],
        ),
        ("One line\nanother line", ["One line\n", "another line"]),
        (
            "Down by the old grey sea, where the gulls are, it rained.",
            ["Down by the old grey sea, ", "where the gulls are, it rained."],
        ),
        (
            "Once upon a time, there was a lighthouse keeper.",
            ["Once upon a time, ", "there was a lighthouse keeper."],
        ),
        ("你好，今天天气很好。我们走吧！", ["你好，今天天气很好。", "我们走吧！"]),
    ],
)
def test_the_first_pieces_of_a_turn(text: str, pieces: list[str]) -> None:
    assert split(text, first=True) == pieces


def test_once_something_was_heard_a_clause_is_no_reason_to_cut() -> None:
    text = "Down by the old grey sea, where the gulls are, it rained."
    assert split(text, first=False) == [text]
    assert split("Well then. " + text, first=True) == ["Well then. ", text]
    long = "Down by the old grey sea it rained all day, and the gulls were glad to have it, as they nearly always are."
    assert split(long, first=False) == [
        "Down by the old grey sea it rained all day, ",
        "and the gulls were glad to have it, ",
        "as they nearly always are.",
    ]


@given(st.text(alphabet=st.sampled_from("ab .,;!?\n\"'[]0你。，"), max_size=400), st.booleans())
def test_pieces_add_up_and_are_short(text: str, first: bool) -> None:
    pieces = split(text, first=first)
    assert "".join(pieces) == text
    assert all(pieces)
    assert all(len(piece) <= LIMIT for piece in pieces)
    assert len(plain(text)) == len(text)
    assert "[[" not in plain(text)


def test_a_text_without_any_end_is_cut() -> None:
    assert max(map(len, split("and on and on " * 40, first=True))) <= LIMIT
    assert max(map(len, split("7" * 500, first=True))) <= 40


@pytest.mark.parametrize(
    ("text", "spoken"),
    [("say [[h@loU]] now", "say  [h@loU]  now"), ("[[[x]]]", "  [x]  "), ("a[0][1]", "a[0][1]"), ("a\x00b😀", "a b ")],
)
def test_what_piper_would_take_for_phonemes_is_text(text: str, spoken: str) -> None:
    assert plain(text) == spoken


@pytest.mark.parametrize(
    ("text", "ends"), [("Yes.", True), ("Yes,", False), ('"Yes!" ', True), ("好。", True), ("", False), (" ", False)]
)
def test_ends_of_sentences(text: str, ends: bool) -> None:
    assert ends_sentence(text) is ends
