"""Halves of characters: JSON may write an emoji as two escapes, and a stream of pieces may part them.

A lone half is no text that could be encoded, sent or spoken. Pure.
"""

from __future__ import annotations

import re

_ANY = re.compile("[\ud800-\udfff]")


def whole(text: str) -> str:
    """`text` with its pairs joined, and what has no partner replaced by U+FFFD."""
    if text.isascii() or not _ANY.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Halves:
    """Joins pairs that were parted by the end of a piece."""

    def __init__(self) -> None:
        self._first = ""

    def join(self, text: str) -> str:
        """The next piece; a first half at its end comes with the piece after it, if there is one."""
        text, self._first = self._first + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._first = text[:-1], text[-1]
        return whole(text)
