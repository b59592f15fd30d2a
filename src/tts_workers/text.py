"""What of a text can be spoken. Pure.

Text comes from language models and from the network. Before an engine sees it, control characters and emoji become
spaces, one for one, so that code points of marks stay those of the caller's text.
"""

from __future__ import annotations

import re
import unicodedata

_UNSPOKEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # controls; a line break is a space to all engines
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # invisible marks; not the joiners of Persian and Sinhala
    "\u20e3\ufe00-\ufe0f"  # keycap and variation selectors
    "\u2600-\u27bf\u2b00-\u2bff"  # symbols, dingbats, arrows
    "\ue000-\uf8ff\ufff9-\uffff"  # private use, specials
    "\U0001f000-\U0001faff\U000e0000-\U0010ffff"  # emoji, tags, private use
    "\ud800-\udfff"
    "]"
)

_SPOKEN_SYMBOLS = frozenset("%&@+=°€$£¥©§")

MAX_PIECE = 200
"""Code points handed to an engine at once by `pieces`: some twelve seconds of speech."""

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*\s+|[。！？]+|\n+")
_CLAUSE_END = re.compile(r"[,;:–—][\"'”’)\]]*\s+|[，、；：]+")
_SPACE = re.compile(r"\s+")


def clean(text: str) -> str:
    """`text` with everything that no voice should read out as spaces; of the same length."""
    return _UNSPOKEN.sub(" ", text)


def speakable(text: str) -> bool:
    """Whether there is a letter, a digit or a symbol with a name in it ("…" and emoji: no)."""
    return any(unicodedata.category(c)[0] in "LN" or c in _SPOKEN_SYMBOLS for c in clean(text))


def pieces(text: str, limit: int = MAX_PIECE) -> list[str]:
    """Cuts a long text into pieces of at most `limit` code points that add up to it.

    At the ends of sentences where there are any, else of clauses, else between words, else anywhere.
    """
    out: list[str] = []
    rest = text
    while len(rest) > limit:
        cut = next((end for rule in (_SENTENCE_END, _CLAUSE_END, _SPACE) if (end := _last(rule, rest, limit))), limit)
        out.append(rest[:cut])
        rest = rest[cut:]
    if rest:
        out.append(rest)
    return out


def _last(rule: re.Pattern[str], text: str, limit: int) -> int:
    return max((m.end() for m in rule.finditer(text[: limit + 1]) if m.end() <= limit), default=0)
