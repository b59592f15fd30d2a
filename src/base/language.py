"""Language tags (BCP 47) as placement and voices compare them. Pure.

Speech is kinder than text: someone who asks for en-AU is served by an en-US recogniser, and better by an en one than by
none. So any tag of the same primary language matches, and `closeness` says how well.
"""

from __future__ import annotations

from collections.abc import Iterable

ANY = "*"
"""Offered: every language. Wanted: whichever."""

_SAME = {"cmn": "zh", "nb": "no", "iw": "he", "in": "id", "ji": "yi", "fil": "tl"}
"""Primary subtags that name what another one names as well, as far as speech goes."""


def normal(tag: str) -> str:
    """Lower case with hyphens: "en_US" and "EN-us" become "en-us"; what follows "." or "@" (POSIX) is dropped."""
    bare = tag.split(".")[0].split("@")[0].strip().replace("_", "-").lower()
    first, _, rest = bare.partition("-")
    first = _SAME.get(first, first)
    return f"{first}-{rest}" if rest else first


def primary(tag: str) -> str:
    """The language itself: "en-US" gives "en"."""
    return normal(tag).partition("-")[0]


def unless_english(language: str) -> str:
    """The tag of English text where `language` is spoken: empty where that is English, of whatever region."""
    return "" if primary(language) in ("", "en") else "en"


def closeness(wanted: str, offered: str) -> int:
    """0: another language; 1: the same language of another region; 2: one is the other with less said; 3: equal.

    An empty or "*" tag on either side is 2.
    """
    a, b = normal(wanted), normal(offered)
    if a in ("", ANY) or b in ("", ANY):
        return 2
    if a == b:
        return 3
    if a.startswith(b + "-") or b.startswith(a + "-"):
        return 2
    return 1 if primary(a) == primary(b) else 0


def matches(wanted: str, offered: str) -> bool:
    """Whether what speaks or hears `offered` will do for `wanted`: the same primary language."""
    return closeness(wanted, offered) > 0


def best(wanted: str, offered: Iterable[str]) -> str | None:
    """The closest of `offered`, the first among equals; None where none matches."""
    found: tuple[int, str] | None = None
    for tag in offered:
        near = closeness(wanted, tag)
        if near and (found is None or near > found[0]):
            found = (near, tag)
    return found[1] if found else None
