"""Where sentences and clauses end: rules on one word and the first character after it. Pure, no state."""

from __future__ import annotations

import re
from enum import Enum, auto

from orchestrator.conversation.abbreviations import Abbreviations

TERMINATORS = frozenset(".!?…。！？｡؟۔।॥։።፧។៕᙮‼⁇⁈⁉")
WIDE_TERMINATORS = frozenset("。！？｡")
"""These end a sentence without a space after them."""
CLAUSE_MARKS = frozenset(",;:،؛、，；：､")
WIDE_CLAUSE_MARKS = frozenset("、，；：､")
DASHES = frozenset("—–―")
CLOSERS = frozenset("\"')]}”’»›」』）】》〉］｣＂＇")
OPENERS = frozenset("\"'([{“‘«‹¿¡„‚「『（【《〈［｢")
JOINED = CLOSERS - frozenset("\"'") | TERMINATORS | CLAUSE_MARKS
"""Never at the start of a word; what was dropped between a word and these leaves no space."""
_EMOTICONS = ":) :-) :( :-( ;) ;-) :D :-D =) =D :P :-P :p xD XD <3 </3 ^^ ^_^ :/ :-/ :'( T_T"
EMOTICONS = frozenset(_EMOTICONS.split())

_EDGE = "".join(OPENERS | CLOSERS)
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")
_ROMAN = re.compile(r"[IVXLCDM]{2,}")
_SHORT = 4


class Verdict(Enum):
    """On a word that white space follows. After the first two lines it depends on the next word's first character."""

    NOTHING = auto()
    CLAUSE = auto()
    SENTENCE = auto()
    IF_CAPITAL = auto()
    """A sentence ends here if the next word begins with a capital letter (or a quotation)."""
    UNLESS_SMALL = auto()
    """A sentence ends here unless the next word begins with a small letter."""
    UNLESS_SMALL_OR_DIGIT = auto()
    CLAUSE_IF_SMALL = auto()


SETTLED = frozenset({Verdict.NOTHING, Verdict.CLAUSE, Verdict.SENTENCE})


def judge(word: str, language: Abbreviations) -> Verdict:
    """`word` with its punctuation, without white space."""
    bare = word.rstrip("".join(CLOSERS))
    if not bare:
        return Verdict.NOTHING
    last = bare[-1]
    if last in CLAUSE_MARKS or last in DASHES or bare in ("-", "--"):
        return Verdict.CLAUSE
    if last not in TERMINATORS:
        return Verdict.NOTHING
    if last == "…" or bare.endswith(".."):
        return Verdict.CLAUSE_IF_SMALL
    return _judge_stop(bare[:-1].strip(_EDGE), language) if last == "." else Verdict.SENTENCE


def _judge_stop(core: str, language: Abbreviations) -> Verdict:
    """A word that ends in one full stop; `core` is without it."""
    lower = core.lower()
    if lower in language.never:
        return Verdict.NOTHING
    if lower in language.maybe or core in language.words:
        return Verdict.IF_CAPITAL
    if len(core) == 1 and core.isalpha():
        return Verdict.NOTHING
    if core.isdigit():
        return Verdict.NOTHING if language.ordinals and len(core) <= 2 else Verdict.UNLESS_SMALL
    if language.ordinals and _ROMAN.fullmatch(core):
        return Verdict.NOTHING
    if _DOTTED.fullmatch(core):
        return Verdict.IF_CAPITAL
    return Verdict.UNLESS_SMALL_OR_DIGIT if len(core) <= _SHORT else Verdict.SENTENCE


def settle(verdict: Verdict, following: str) -> Verdict:
    """What an open verdict comes to when the next word begins with `following`."""
    small = following.islower()
    if verdict is Verdict.IF_CAPITAL:
        return Verdict.SENTENCE if following.isupper() or following in OPENERS else Verdict.NOTHING
    if verdict is Verdict.CLAUSE_IF_SMALL:
        return Verdict.CLAUSE if small else Verdict.SENTENCE
    if verdict is Verdict.UNLESS_SMALL:
        return Verdict.NOTHING if small else Verdict.SENTENCE
    return Verdict.NOTHING if small or following.isdigit() else Verdict.SENTENCE
