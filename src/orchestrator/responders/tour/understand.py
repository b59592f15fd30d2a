"""What a user wants, from words that were typed in a hurry or misheard. Pure, and bounded in time for any input.

Every phrase is looked for in order, with small gaps; a word fits exactly, by its sound (`SOUNDS_LIKE`) or within a
small edit distance (Damerau-Levenshtein, restricted). The phrase with most letters that fit wins. In an utterance of
more than three words a lone word must fit exactly: in a long sentence it would fit by accident.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from orchestrator.responders.tour.phrases import COURTESY, LONELY, SAID, SMALL_TALK, SOUNDS_LIKE, Intent
from orchestrator.responders.tour.words import NUMBERS, words_of

WORDS_READ = 40
"""Words of an utterance that are looked at; nobody asks a tour for the time in more."""

FUZZY_WORDS = 12
"""Longer utterances are matched without edit distance."""

GAP = 2
"""Words that may stand between two words of a phrase."""

SHORT = 3
"""Words of an utterance in which a lone word may fit loosely."""

_PHRASES = tuple((intent, tuple(words_of(phrase))) for intent in Intent for phrase in SAID[intent])

_NUMBERS = {"".join(words_of(word)): n for n, word in enumerate(NUMBERS)}


@dataclass(frozen=True, slots=True)
class Wish:
    """What was understood, if anything. `number` is the one of "count to ten"."""

    intent: Intent | None
    number: int | None = None


def understand(text: str, *, fuzzy: bool = True) -> Wish:
    """The wish in `text`, or `Wish(None)`. Without `fuzzy` no edit distance is tried: for what is long over."""
    words = words_of(text)[:WORDS_READ]
    best, best_score = None, 0.0
    for intent, phrase in _PHRASES:
        if len(phrase) == 1 and len(words) > SHORT and intent in SMALL_TALK:
            continue
        if len(phrase) == 1 and phrase[0] in LONELY and sum(w not in COURTESY - {*phrase} for w in words) > 1:
            continue
        score = _score(phrase, words, fuzzy and len(words) <= FUZZY_WORDS)
        if score > best_score:
            best, best_score = intent, score
    return Wish(best, _number_in(words) if best is Intent.COUNT else None)


def _number_in(words: list[str]) -> int | None:
    """The last number in an utterance, in digits or words."""
    for n in range(len(words) - 1, -1, -1):
        pair = _NUMBERS.get("".join(words[max(n - 1, 0) : n + 1]))
        if pair is not None or words[n] in _NUMBERS:
            return pair if pair is not None else _NUMBERS[words[n]]
        if words[n].isascii() and words[n].isdigit():
            return int(words[n][:9])
    return None


def _score(phrase: tuple[str, ...], words: list[str], fuzzy: bool) -> float:
    """Letters of the phrase that fit, less what had to be skipped; 0 where it does not fit."""
    loose = len(phrase) > 1 or len(words) <= SHORT
    best = 0.0
    for start in range(len(words) - len(phrase) + 1):
        total, at = 0.0, start
        for n, wanted in enumerate(phrase):
            reach = at + 1 if n == 0 else at + 1 + GAP
            for skipped, word in enumerate(words[at:reach]):
                fit = _fit(wanted, word, fuzzy) if loose else float(wanted == word)
                if fit:
                    total += len(wanted) * fit - 0.5 * skipped
                    at += skipped + 1
                    break
            else:
                total = 0.0
                break
        best = max(best, total)
    return best


def _fit(wanted: str, word: str, fuzzy: bool) -> float:
    if wanted == word:
        return 1.0
    if SOUNDS_LIKE.get(word) == wanted:
        return 0.9
    return 0.7 if fuzzy and _near(wanted, word) else 0.0


@lru_cache(maxsize=4096)
def _near(wanted: str, word: str) -> bool:
    if len(wanted) == 3:
        return sorted(wanted) == sorted(word)  # "cna"; more would take "not" for "now"
    allowed = 0 if len(wanted) < 3 else 1 if len(wanted) <= 6 else 2
    return bool(allowed) and abs(len(wanted) - len(word)) <= allowed and distance(wanted, word, allowed) <= allowed


def distance(a: str, b: str, limit: int) -> int:
    """Insertions, deletions, changes and swaps of neighbours that make `b` of `a`; more than `limit` is limit + 1."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before, last = last, row
    return min(last[-1], limit + 1)
