"""How long to wait after the last voiced sample, by how the words read.

A sentence that is over ("what time is it, please") is answered sooner; one that is not ("I would like a", "because",
"my number is four one five") gets more time. Word lists are data per language (`endings`); in a language without data
only punctuation counts, which some recognisers give. A full stop is no evidence by itself: recognisers such as Whisper
put one after fragments too. It counts only where words cannot: in a language without data, after many of them, and in
one without spaces.

What the words tell is one probability that the user is done; a model may tell another by ear (`ports.TurnDetector`).
Together they give the wait, between a floor and a ceiling, around what is usual for this user (`pauses`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from orchestrator.conversation.endings import ENDINGS, SCALES, Endings
from orchestrator.conversation.words import primary, words

COMPLETE = "complete"
QUESTION = "question"
"""It begins like a question and shows no open end."""
SENTENCE = "sentence"
"""Long enough to be a whole one (where that cannot be told, it has a full stop), and shows no open end."""
UNFINISHED = "unfinished"
SILENCE = "silence"

CERTAIN = 0.4
"""From a probability that much above (below) a half on, the wait is the floor (the ceiling)."""
LIKELY: Mapping[str, float] = MappingProxyType(
    {COMPLETE: 0.9, QUESTION: 0.65, SENTENCE: 0.55, SILENCE: 0.5, UNFINISHED: 0.1}
)
"""How likely it is that the user is done, by how the words read."""
_SURE = 0.02
_DIALLED = 7
"""So many digits in a row are taken for a whole number, fewer (but two) for one half said."""
_QUESTION_WORDS = 4
"""A question has so many words at least: "what is the" does not."""
_SENTENCE_WORDS = 6
"""A sentence has. In a language without spaces none is known to: there its full stop counts after any."""
_LED = 6
"""A number is looked for so many words after what announces it."""


def adjust(
    text: str,
    language: str,
    base_ms: float,
    *,
    floor: float = 0.5,
    ceiling: float = 3.0,
    usual_ms: float | None = None,
    heard: float | None = None,
) -> tuple[float, str]:
    """How many ms of silence end the turn, and why: COMPLETE, UNFINISHED or SILENCE, when it does not show.

    `text` is what the user said so far in this turn; `language` BCP 47. `usual_ms`: what ends a turn of this user that
    does not show whether it is over; None: the base. `heard`: the probability that they are done, by ear.
    """
    reading = read(text, language)
    low, high = base_ms * floor, base_ms * ceiling
    usual = min(max(base_ms if usual_ms is None else usual_ms, low), high)
    if reading is SENTENCE and usual > base_ms:
        reading = SILENCE  # this user pauses after such words
    likely = together(LIKELY[reading], heard)
    share = min(1.0, abs(likely - 0.5) / CERTAIN)
    ms = usual * ((low if likely > 0.5 else high) / usual) ** share
    reason = COMPLETE if likely >= 0.5 + CERTAIN / 2 else UNFINISHED if likely <= 0.5 - CERTAIN / 2 else SILENCE
    if reading is QUESTION and heard is None:
        low = base_ms  # "what time is it" (…in Paris?): its words alone make nobody wait longer, but cut nobody off
    return min(max(ms, low), high), reason


def together(first: float, second: float | None) -> float:
    """What two probabilities, each on its own evidence and from even odds, say together."""
    if second is None:
        return first
    a, b = (min(max(p, _SURE), 1 - _SURE) for p in (first, second))
    return a * b / (a * b + (1 - a) * (1 - b))


def read(text: str, language: str) -> str:
    """How a text reads: COMPLETE, QUESTION, SENTENCE, UNFINISHED or SILENCE when it does not show."""
    found = words(text)
    if not found:
        return SILENCE
    end = text.rstrip(" \t\n\"'”’»」』)")
    if end.endswith(("...", "…", ",", "，", "、", ":", ";", "-", "–", "—")):
        return UNFINISHED
    if end.endswith(("?", "!", "？", "！")):
        return COMPLETE
    endings = ENDINGS.get(primary(language))
    enough = len(text.split()) >= _SENTENCE_WORDS or end.endswith("。")
    if endings is None:
        return SENTENCE if enough and end.endswith((".", "。")) else SILENCE
    if reading := _shown(found, endings):
        return reading
    if len(found) >= _QUESTION_WORDS and found[0] in endings.questions:
        return QUESTION
    if found[-1] in endings.either or _a_number(found[-1], endings):
        return SILENCE
    return SENTENCE if enough else SILENCE


def _shown(found: Sequence[str], endings: Endings) -> str:
    """COMPLETE or UNFINISHED, where the last words show it; SILENCE where they only tell of closing; else empty."""
    closing, opening = _longest(found, endings.closing), _longest(found, endings.unfinished)
    if tuple(found) in endings.whole:
        return COMPLETE
    if closing > opening:
        before = found[: len(found) - closing]
        if _longest(before, endings.requests):
            return UNFINISHED
        return SILENCE if _longest(before, endings.mentions) else COMPLETE
    if opening or _half_a_number(found, endings) or _announced(found, endings):
        return UNFINISHED
    return ""


def _a_number(word: str, endings: Endings) -> bool:
    return word in endings.digits or word in endings.tens or word.isdecimal()


def _longest(found: Sequence[str], phrases: frozenset[tuple[str, ...]]) -> int:
    """How many of the last words are the longest phrase that they end with; 0: none."""
    return next((n for n in range(min(6, len(found)), 0, -1) if tuple(found[-n:]) in phrases), 0)


def _digits(found: Sequence[str], endings: Endings) -> tuple[int, int]:
    """(how many of the last words are digits or numbers in figures, how many digits they are)"""
    run = 0
    for word in reversed(found):
        if word not in endings.digits and not word.isdecimal():
            break
        run += 1
    return run, sum(len(word) if word.isdecimal() else 1 for word in found[len(found) - run :])


def _half_a_number(found: Sequence[str], endings: Endings) -> bool:
    if found[-1] in endings.tens:  # "twenty" (…five?); "six forty" is a time of day
        return len(found) < 2 or found[-2] not in endings.digits or found[-1] in SCALES
    run, digits = _digits(found, endings)
    return run >= 2 and digits < _DIALLED


def _announced(found: Sequence[str], endings: Endings) -> bool:
    """Whether something like "my number is" came last, or before too short a number."""
    if _longest(found, endings.leads):
        return True
    run, digits = _digits(found, endings)
    return 0 < run <= _LED and digits < _DIALLED and bool(_longest(found[: len(found) - run], endings.leads))
