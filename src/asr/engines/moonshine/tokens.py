"""Moonshine's tokens: a vocabulary read from its file, and the words that tokens make. Pure.

`tokenizer.bin` is one token after another, each its length and its bytes: a length below 128 is one byte, a longer one
two, the low seven bits first with the highest bit set. A token's number is its place. `tokenizer.json` is that of
Hugging Face's tokenizers. "▁" stands for a space, "<0x0A>" for a byte of UTF-8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

BEGIN, END = b"<s>", b"</s>"
MOST = 1 << 20
"""Tokens."""
_SPACE = "▁".encode()
_BYTE = re.compile(rb"<0x([0-9A-Fa-f]{2})>")
_SPECIAL = re.compile(rb"<(?:unk|s|/s|pad|<ST_\d+>)>")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`pieces` are UTF-8 by token, with real spaces; control tokens say nothing."""

    pieces: tuple[bytes, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word: its text, which begins with a space unless it joins the one before it; its first token and one past its
    last.
    """

    text: str
    first: int
    last: int


def read(data: bytes) -> Vocabulary:
    """Of either file. Raises ValueError that says what is wrong with it."""
    tokens = _from_json(data) if data[:1] == b"{" else _from_bin(data)
    try:
        begin, end = tokens.index(BEGIN), tokens.index(END)
    except ValueError:
        raise ValueError(f"has no {BEGIN.decode()} or no {END.decode()} among its {len(tokens)} tokens") from None
    return Vocabulary(tuple(map(_piece, tokens)), begin, end)


def _from_bin(data: bytes) -> list[bytes]:
    tokens: list[bytes] = []
    at = 0
    while at < len(data):
        size = data[at]
        at += 1
        if size >= 128:
            size += (data[at : at + 1] or b"\0")[0] * 128 - 128
            at += 1
        if at + size > len(data):
            raise ValueError(f"ends within token {len(tokens)}")
        tokens.append(data[at : at + size])
        at += size
    return tokens


def _from_json(data: bytes) -> list[bytes]:
    try:
        told = json.loads(data)
        numbers = dict(told["model"]["vocab"]) | {each["content"]: each["id"] for each in told["added_tokens"]}
        if not all(0 <= number < MOST for number in numbers.values()):
            raise ValueError("a token's number is out of range")
        tokens = [b""] * (1 + max(numbers.values()))
        for text, number in numbers.items():
            tokens[number] = text.encode()
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, UnicodeError, ValueError) as error:
        raise ValueError(f"is no tokenizer ({type(error).__name__}: {str(error)[:100]})") from None
    return tokens


def _piece(token: bytes) -> bytes:
    if match := _BYTE.fullmatch(token):
        return bytes((int(match[1], 16),))
    return b"" if _SPECIAL.fullmatch(token) else token.replace(_SPACE, b" ")


def spoken(tokens: Sequence[int], vocabulary: Vocabulary) -> list[Spoken]:
    """The words, in order. Tokens beyond the vocabulary say nothing."""
    pieces = [vocabulary.pieces[t] if 0 <= t < len(vocabulary.pieces) else b"" for t in tokens]
    groups: list[tuple[bytes, int, int]] = []
    for place, piece in enumerate(pieces):
        if groups and not piece[:1].isspace():
            text, first, _ = groups[-1]
            groups[-1] = (text + piece, first, place + 1)
        elif piece:
            groups.append((piece, place, place + 1))
    words = []
    for text, first, last in groups:
        word = text.decode("utf-8", "replace")
        # Within a token, too, there may be a space: "▁▁".
        if parts := word.split():
            words.append(Spoken((" " if word[0].isspace() else "") + " ".join(parts), first, last))
    return words
