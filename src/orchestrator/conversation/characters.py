"""What kind of character a code point is: spoken or not, part of the one before, of a script without spaces. Pure."""

from __future__ import annotations

import unicodedata
from enum import Enum, auto


class Kind(Enum):
    PLAIN = auto()
    SPACE = auto()
    NEWLINE = auto()
    MARKUP = auto()
    PICTURE = auto()
    EXTEND = auto()
    """A combining mark: belongs to the code point before it."""
    JOINER = auto()
    DROP = auto()


_MARKUP = frozenset("\\!*_~`[]<>|hH")
_NEWLINES = frozenset("\n\v\f\x85\u2028\u2029")
_SYMBOLS = frozenset("°©®™№℃℉℗℠")


def _classify(c: str) -> Kind:
    if c in _MARKUP:
        return Kind.MARKUP
    if c in _NEWLINES:
        return Kind.NEWLINE
    if c.isspace():
        return Kind.SPACE
    if c in "\u200c\u200d":
        return Kind.JOINER
    if "\ufe00" <= c <= "\ufe0f" or c == "\u20e3" or "\U000e0100" <= c <= "\U000e01ef":
        return Kind.DROP
    category = unicodedata.category(c)
    if category in ("Mn", "Mc", "Me"):
        return Kind.EXTEND
    if category[0] == "C":
        return Kind.DROP
    arrow = "\u2190" <= c <= "\u21ff" or "\u27f0" <= c <= "\u27ff"
    kept = c in _SYMBOLS or "\u2100" <= c <= "\u214f" or "\u3200" <= c <= "\u33ff"
    skin = "\U0001f3fb" <= c <= "\U0001f3ff"
    if arrow or skin or (category == "So" and not kept):
        return Kind.PICTURE
    return Kind.PLAIN


class _Kinds(dict[str, Kind]):
    def __missing__(self, c: str) -> Kind:
        kind = _classify(c)
        if len(self) < 20_000:
            self[c] = kind
        return kind


KINDS = _Kinds()


def kind(c: str) -> Kind:
    return KINDS[c]


def speakable(text: str) -> bool:
    """Whether there is anything in `text` that a voice could say."""
    return any(c.isalnum() or c in "%‰&+=@#°§" or unicodedata.category(c) == "Sc" for c in text)


def is_wide(c: str) -> bool:
    """Of a script that may be cut between any two characters: Han, kana, and what goes with them."""
    return (
        "\u3041" <= c <= "\u30ff"
        or "\u3400" <= c <= "\u4dbf"
        or "\u4e00" <= c <= "\u9fff"
        or "\uf900" <= c <= "\ufaff"
        or "\uff66" <= c <= "\uff9f"
        or "\U00020000" <= c <= "\U0003ffff"
        or c in "々〆〇"
        or "\u31f0" <= c <= "\u31ff"
        or "\u3105" <= c <= "\u312f"
    )
