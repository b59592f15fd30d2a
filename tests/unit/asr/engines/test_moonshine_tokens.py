"""The vocabulary's two files, and words from tokens."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.engines.moonshine.tokens import Vocabulary, read, spoken

pytestmark = pytest.mark.unit

TOKENS = (
    b"<unk>",
    b"<s>",
    b"</s>",
    b"<0xC3>",
    b"<0xA9>",
    "▁what".encode(),
    b"'s",
    b"?",
    "▁caf".encode(),
    "▁▁".encode(),
)
TOKENS += (b"<<ST_7>>", "▁".encode(), b"9", "▁-".encode())


def written(tokens: tuple[bytes, ...]) -> bytes:
    """As the package's file has them."""
    out = b""
    for token in tokens:
        size = len(token)
        out += bytes((size,) if size < 128 else (size % 128 + 128, size // 128)) + token
    return out


VOCABULARY = read(written(TOKENS))


def words(*numbers: int) -> list[str]:
    return [word.text for word in spoken(numbers, VOCABULARY)]


def test_tokens_are_read_with_their_numbers() -> None:
    assert (VOCABULARY.begin, VOCABULARY.end, len(VOCABULARY.pieces)) == (1, 2, len(TOKENS))
    assert VOCABULARY.pieces[5:8] == (b" what", b"'s", b"?")
    assert VOCABULARY.pieces[3] == b"\xc3"


@given(st.lists(st.binary(max_size=300).filter(lambda b: not b.startswith(b"<")), max_size=20))
def test_lengths_of_one_and_of_two_bytes_are_read(more: list[bytes]) -> None:
    tokens = (*TOKENS, *more)
    assert len(read(written(tokens)).pieces) == len(tokens)


def test_the_other_file_says_the_same() -> None:
    model = {t.decode(): n for n, t in enumerate(TOKENS) if n > 2}
    added = [{"content": t.decode(), "id": n} for n, t in enumerate(TOKENS[:3])]
    told = {"model": {"vocab": model}, "added_tokens": added}
    assert read(json.dumps(told).encode()) == VOCABULARY


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "<s>"),
        (b"\x05<unk>", "<s>"),
        (written(TOKENS)[:-1], "ends within token 13"),
        (b"\x85", "ends within"),
        (b"{", "no tokenizer"),
        (b'{"model": []}', "no tokenizer"),
        (b'{"model": {"vocab": {}}, "added_tokens": []}', "no tokenizer"),
        (b'{"model": {"vocab": {"a": 99999999999}}, "added_tokens": []}', "out of range"),
        (b'{"model": {"vocab": {"a": -1}}, "added_tokens": []}', "out of range"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(data)


def test_words_begin_at_spaces_and_bytes_make_characters() -> None:
    assert words(5, 6, 8, 3, 4, 7) == [" what's", " café?"]
    assert words(12, 5) == ["9", " what"]


def test_control_tokens_blanks_and_numbers_beyond_the_vocabulary_say_nothing() -> None:
    assert words(1, 9, 10, 5, 99_999, -1, 11, 2) == [" what"]
    assert words() == []


@given(st.lists(st.integers(-1, len(TOKENS) + 1), max_size=30))
def test_words_come_in_the_order_of_their_tokens(numbers: list[int]) -> None:
    found = spoken(numbers, VOCABULARY)
    at = 0
    for word in found:
        assert at <= word.first < word.last <= len(numbers)
        at = word.last
        assert word.text.strip()
    assert isinstance(VOCABULARY, Vocabulary)
