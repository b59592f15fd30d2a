"""What a session's `phrases` become: words that a pronouncing dictionary knows, and a grammar of whole phrases. Pure.

Numbers become words ("7:30" is "seven thirty"), marks go, letters lose case and accents. A word that the dictionary
lacks is tried as a compound of two known words ("facetime") and, where it was written in capitals, as its letters
("NASA"); a phrase that still has an unknown word is left out, and the caller is told which word it was.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from base.errors import BadRequest

MOST_PHRASES = 500
MOST_WORDS = 30
MOST_CHARACTERS = 300

_TOKEN = re.compile(r"\d+(?:[.:]\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)*['’]?|[&%+]")
_SPELT = {"&": "and", "%": "percent", "+": "plus"}
_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SHORTEST_PART = 3

SILENCE = ("<sil>", 0.005)
NOISE = ("[NOISE]", 1e-8)
"""Fillers of the grammar and their probabilities, which are PocketSphinx's own."""

Transition = tuple[int, int, float, str]
"""From state, to state, probability, word."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """`text` as the client wrote it; `words` as the dictionary has them."""

    text: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """`left_out` says in a sentence each what was left out, and why."""

    phrases: tuple[Phrase, ...] = ()
    left_out: tuple[str, ...] = ()


def prepare(texts: tuple[str, ...], known: Callable[[str], bool]) -> Prepared:
    """Raises BadRequest for more than `MOST_PHRASES`, or a phrase of unreasonable length."""
    if len(texts) > MOST_PHRASES:
        raise BadRequest(f"{len(texts)} phrases are too many; send at most {MOST_PHRASES}", reason="TOO_MANY_PHRASES")
    found: dict[tuple[str, ...], Phrase] = {}
    left_out: list[str] = []
    for text in texts:
        words, unknown = _words(text, known)
        if unknown:
            names = ", ".join(repr(word) for word in unknown)
            left_out.append(f"phrase {text!r} is left out: the dictionary has no {names}")
        elif not words:
            left_out.append(f"phrase {text!r} is left out: it has no words")
        else:
            found.setdefault(words, Phrase(text, words))
    return Prepared(tuple(found.values()), tuple(left_out))


def grammar(phrases: tuple[Phrase, ...]) -> list[Transition]:
    """A finite-state grammar from state 0 to state 1 that takes exactly one whole phrase, each as likely.

    Silence may stand anywhere, noise before and after: within a phrase it would take the place of words.
    """
    transitions: list[Transition] = [
        (at, at, probability, filler) for at in (0, 1) for filler, probability in (SILENCE, NOISE)
    ]
    states = 2
    for phrase in phrases:
        at = 0
        for i, word in enumerate(phrase.words):
            if i == len(phrase.words) - 1:
                to = 1
            else:
                to = states
                states += 1
                transitions.append((to, to, SILENCE[1], SILENCE[0]))
            transitions.append((at, to, 1.0 / len(phrases) if i == 0 else 1.0, word))
            at = to
    return transitions


def spoken_number(number: int) -> tuple[str, ...]:
    """0 to 999,999,999 in words, as American English says them."""
    if number < 20:
        return (_SMALL[number],)
    if number < 100:
        return (_TENS[number // 10], *(spoken_number(number % 10) if number % 10 else ()))
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = number % size
            return (*spoken_number(number // size), name, *(spoken_number(rest) if rest else ()))
    raise AssertionError("unreachable")


def _words(text: str, known: Callable[[str], bool]) -> tuple[tuple[str, ...], list[str]]:
    if len(text) > MOST_CHARACTERS:
        raise BadRequest(
            f"a phrase of {len(text)} characters is too long; at most {MOST_CHARACTERS}", reason="PHRASE_TOO_LONG"
        )
    out: list[str] = []
    unknown: list[str] = []
    for token in _TOKEN.findall(unicodedata.normalize("NFKC", text)):
        if token[0].isdigit():
            out += _number(token)
        elif (parts := _look_up(_SPELT.get(token, token), known)) is not None:
            out += parts
        else:
            unknown.append(token)
    if len(out) > MOST_WORDS:
        raise BadRequest(
            f"phrase {text!r} has {len(out)} words; a phrase has at most {MOST_WORDS}", reason="PHRASE_TOO_LONG"
        )
    return tuple(out), unknown


def _number(token: str) -> tuple[str, ...]:
    whole, mark, rest = token.partition(":") if ":" in token else token.partition(".")
    if len(whole) > 9:
        return tuple(_SMALL[int(digit)] for digit in whole)
    said = spoken_number(int(whole))
    if mark == ".":
        return (*said, "point", *(_SMALL[int(digit)] for digit in rest))
    if mark == ":" and int(rest):
        return (*said, *(("oh",) if len(rest) == 2 and rest[0] == "0" else ()), *spoken_number(int(rest[:2])))
    return said


def _look_up(token: str, known: Callable[[str], bool]) -> tuple[str, ...] | None:
    decomposed = unicodedata.normalize("NFKD", token.replace("’", "'"))
    word = "".join(c for c in decomposed if not unicodedata.combining(c)).lower()
    for form in (word, word.rstrip("'"), word.replace("'", "")):
        if form and known(form):
            return (form,)
    for at in range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1):
        if known(word[:at]) and known(word[at:]):
            return (word[:at], word[at:])
    if token.isupper() and len(word) <= 5 and all(known(letter) for letter in word):
        return tuple(word)
    return None
