"""Which pieces of a text are spoken at once. Pure.

A piece is one run of the voice: nothing of it is heard before all of it is made, and what is cut off in the middle was
made in vain. So a sentence is a piece, as it is to those who train voices, and a long one is cut at its clauses, the
first of a turn sooner than others.
"""

from __future__ import annotations

import re
from itertools import pairwise

from tts_workers.text import clean, pieces

LONG = 80
"""Code points; a sentence above this is cut at its clauses."""
LONG_FIRST = 40
"""Likewise the first of a turn."""
SHORT = 20
"""A clause below this is spoken with the one that follows."""
SHORT_FIRST = 12
"""Likewise in the first sentence of a turn."""
LIMIT = 120
"""A clause above this is cut between words."""
DENSE_LIMIT = 40
"""Likewise, where most code points are digits or Han: each is a word or more."""

_STOP = re.compile(r"[.!?…]+[\"'”’)\]]*\s+|[。！？]+|\n+")
_CLAUSE = re.compile(r"[,;:–—][\"'”’)\]]*\s+|[，、；：]+")
_WORD_BEFORE = re.compile(r"[^\W\d_]+$")
_ENDS = ".!?…。！？\n"
_CLOSERS = " \t\"'”’»)]}"
_RAW = re.compile(r"\[(?=\[)|(?<=\])\]")


def split(text: str, *, first: bool) -> list[str]:
    """`text` in pieces that add up to it. `first`: nobody has heard anything of the turn yet."""
    out: list[str] = []
    for sentence in _sentences(text):
        long, short = (LONG_FIRST, SHORT_FIRST) if first and not out else (LONG, SHORT)
        clauses = _clauses(sentence, short) if len(sentence) > long else [sentence]
        out += [piece for clause in clauses for piece in pieces(clause, _limit(clause))]
    return out


def plain(text: str) -> str:
    """`text` as the phonemizer gets it, code point by code point: to Piper, [[…]] would be phonemes."""
    return _RAW.sub(" ", clean(text))


def ends_sentence(text: str) -> bool:
    return text.rstrip(_CLOSERS)[-1:] in tuple(_ENDS)


def _sentences(text: str) -> list[str]:
    return _cut(text, [mark.end() for mark in _STOP.finditer(text) if _is_end(text, mark)])


def _is_end(text: str, mark: re.Match[str]) -> bool:
    """Whether "Dr." ends a sentence is for the phonemizer to know."""
    if mark[0][0] != ".":
        return True
    word = _WORD_BEFORE.search(text, max(0, mark.start() - 40), mark.start())
    return word is not None and len(word[0]) >= 3 and word[0].islower() and not text[mark.end() :][:1].islower()


def _clauses(sentence: str, short: int) -> list[str]:
    cuts: list[int] = []
    for mark in _CLAUSE.finditer(sentence):
        if mark.end() - (cuts[-1] if cuts else 0) >= short and len(sentence) - mark.end() >= short:
            cuts.append(mark.end())
    return _cut(sentence, cuts)


def _cut(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *cuts, len(text)]
    return [text[a:b] for a, b in pairwise(edges) if b > a]


def _limit(text: str) -> int:
    dense = sum(1 for c in text if c.isdigit() or c >= "\u2e80")
    return DENSE_LIMIT if dense * 3 > len(text) else LIMIT
