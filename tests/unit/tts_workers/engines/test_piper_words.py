"""Which phoneme a word begins with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_workers.engines.piper.words import align, places, words_of

pytestmark = pytest.mark.unit

ALONE = {"the": "ðə", "of": "ʌv", "out": "ˈaʊt", "blue": "blˈuː", "20": "twˈɛnti", "it's": "ɪts", "costs": "kˈɔsts"}
ALONE |= {"$5": "fˈaɪv dˈɑːlɚz", "—": ""}


def found(text: str, phonemes: str) -> list[tuple[str, str, bool]]:
    """Each word, the phonemes from where it begins, up to the next space, and whether that is certain."""
    spots = places(text, list(phonemes), lambda word: list(ALONE[word.lower()]))
    return [(text[p.word.start : p.word.end], phonemes[p.phoneme :].split(" ")[0], p.exact) for p in spots]


def test_as_many_words_as_groups_are_pairs() -> None:
    assert found('"The blue," it\'s out!', "ðə blˈuː, ɪts ˈaʊt!") == [
        ("The", "ðə", True),
        ("blue", "blˈuː,", True),
        ("it's", "ɪts", True),
        ("out", "ˈaʊt!", True),
    ]


def test_words_that_were_joined_are_told_apart() -> None:
    assert found("Out of the blue", "ˌaʊɾəv ðə blˈuː") == [
        ("Out", "ˌaʊɾəv", True),
        ("of", "əv", False),
        ("the", "ðə", True),
        ("blue", "blˈuː", True),
    ]
    assert found("Out of the blue", "ˈaʊt ʌvðə blˈuː")[1:3] == [("of", "ʌvðə", True), ("the", "ðə", True)]


def test_what_is_read_out_in_many_words_is_one() -> None:
    assert found("It's $5 of 20 — blue", "ɪts fˈaɪv dˈɑːlɚz ʌv twˈɛnti blˈuː") == [
        ("It's", "ɪts", True),
        ("$5", "fˈaɪv", True),
        ("of", "ʌv", True),
        ("20", "twˈɛnti", True),
        ("blue", "blˈuː", True),
    ]


def test_words_that_nothing_is_heard_of_keep_their_order() -> None:
    assert found("of the", "") == [("of", "", False), ("the", "", False)]
    assert [p[0] for p in found("of of of the", "ðə")] == ["of", "of", "of", "the"]


def test_words_are_without_their_punctuation() -> None:
    text = ' "Well", she (the cat) — said: 5% … U.S.A.'
    assert [text[w.start : w.end] for w in words_of(text)] == ["Well", "she", "the", "cat", "said", "5%", "U.S.A"]


SOUNDS = st.lists(st.sampled_from("abcd"), max_size=80)


@given(SOUNDS, SOUNDS)
def test_alignments_rise(a: list[str], b: list[str]) -> None:
    out = align(a, b)
    assert len(out) == len(a)
    assert out == sorted(out)
    assert all(0 <= at <= len(b) for at in out)


@given(SOUNDS, st.integers(0, 80))
def test_what_is_equal_stays_together(a: list[str], at: int) -> None:
    assert align(a, a) == list(range(len(a)))
    at = min(at, len(a))
    more = [*a[:at], "x", *a[at:]]
    assert align(a, more) == [i + (i >= at) for i in range(len(a))]
