"""Which phoneme a word begins with. Pure.

A voice tells how long each phoneme of a sentence lasts; a listener's captions want words of the text. The phonemizer
does not say which phonemes came of which word, and it joins words ("of the" is one, `ʌvðə`) and reads others out in
many ("$12.50"). Where a text is as many plain words as it has groups of phonemes, they are taken in pairs. Else every
word is phonemized by itself, and the two strings of phonemes are aligned with the fewest changes (Needleman and Wunsch
1970, in a band), which the stress and the weak forms of connected speech survive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\S+")
_SPOKEN = "%&@#$€£+"
_PLAIN = re.compile(r"[\"'“‘(]*[^\W\d_]+(?:['’][^\W\d_]+)?[.,;:!?…\"'”’)]*")
_STRESS = "ˈˌ"
_UNHEARD = frozenset(" .,;:!?…\"'()-_^$" + _STRESS + "ː")
BAND = 24
"""How far, in phonemes, the alignment may run ahead of or behind the diagonal."""


@dataclass(frozen=True, slots=True)
class Word:
    """Code points [start, end) of a text, without punctuation around them."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Place:
    """A word and the index of the phoneme that it begins with; `exact` where that is certain."""

    word: Word
    phoneme: int
    exact: bool


def words_of(text: str) -> list[Word]:
    """What stands between spaces, if there is anything to say in it."""
    found = []
    for token in _TOKEN.finditer(text):
        inner = [i for i in range(*token.span()) if text[i].isalnum() or text[i] in _SPOKEN]
        if inner:
            found.append(Word(inner[0], inner[-1] + 1))
    return found


def places(text: str, phonemes: Sequence[str], alone: Callable[[str], Sequence[str]]) -> list[Place]:
    """Where in `phonemes` each word of `text` begins, in order. `alone` phonemizes a word by itself."""
    words = words_of(text)
    starts = _group_starts(phonemes)
    if len(words) == len(starts) and all(_PLAIN.fullmatch(token) for token in text.split()):
        return [Place(word, start, True) for word, start in zip(words, starts, strict=True)]
    heard = [i for i, p in enumerate(phonemes) if p not in _UNHEARD]
    sounds: list[str] = []
    begins: list[int] = []
    for word in words:
        begins.append(len(sounds))
        sounds += [p for p in alone(text[word.start : word.end]) if p not in _UNHEARD]
    matched = align(sounds, [phonemes[i] for i in heard])
    out: list[Place] = []
    least = 0
    for word, begin in zip(words, begins, strict=True):
        at = matched[begin] if begin < len(sounds) else len(heard)
        certain = at < len(heard) and begin < len(sounds) and phonemes[heard[at]] == sounds[begin]
        index = heard[at] if at < len(heard) else max(len(phonemes) - 1, 0)
        while index > 0 and phonemes[index - 1] in _STRESS:
            index -= 1
        least = max(least, index)
        out.append(Place(word, least, certain))
    return out


def align(a: Sequence[str], b: Sequence[str]) -> list[int]:
    """For each of `a`, which of `b` it became, or would have come before: rising, at most len(b)."""
    n, m = len(a), len(b)
    slope = m / max(n, 1)
    far = n + m + 1
    before = {j: j for j in range(min(m, BAND) + 1)}
    back: list[dict[int, int]] = [{}]
    for i in range(1, n + 1):
        middle = round(i * slope)
        row: dict[int, int] = {}
        steps: dict[int, int] = {}
        for j in range(max(0, middle - BAND), min(m, middle + BAND) + 1):
            change = before.get(j - 1, far) + (a[i - 1] != b[j - 1]) if j else far
            drop = before.get(j, far) + 1
            insert = row.get(j - 1, far) + 1
            row[j] = best = min(change, drop, insert)
            steps[j] = 0 if best == change else 1 if best == drop else 2
        back.append(steps)
        before = row
    out = [m] * n
    i, j = n, m
    while i > 0:
        step = back[i].get(j, 1)
        if step == 2:
            j -= 1
            continue
        i -= 1
        j -= step == 0
        out[i] = j
    return out


def _group_starts(phonemes: Sequence[str]) -> list[int]:
    """Where phonemes between spaces begin that hold a sound."""
    starts: list[int] = []
    start = 0
    sounded = False
    for i, phoneme in enumerate([*phonemes, " "]):
        if phoneme == " ":
            if sounded:
                starts.append(start)
            start, sounded = i + 1, False
        elif phoneme not in _UNHEARD:
            sounded = True
    return starts
