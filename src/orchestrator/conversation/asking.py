"""Whether a reply is just asking something: then "yes" over it is an answer. Pure."""

from __future__ import annotations

import re

from orchestrator.conversation.characters import speakable

_SENTENCE = re.compile(r"[^.!?…。！？｡؟⁇⁈⁉\n]*[.!?…。！？｡؟⁇⁈⁉\n]*[\"'’”»」』)\]]*\s*")
_MARKS = frozenset("?？؟⁇⁈⁉")
_CLOSING = " \t\n\"'’”»」』)]"
_PARTICLES = re.compile(r"(?:ですか|ますか|でしょうか|ませんか|ましたか|のか|かな|吗|嗎|呢)[。｡.!！]?$")
"""Chinese and Japanese questions are known by their last word; many writers put a full stop after it."""
_HALF = 0.4
"""Someone who knows from this much of a question on what is asked may answer it."""


def asks(text: str, place: int, before: int) -> bool:
    """`place`: how much of `text` was heard; `before`: how much of it had been, a reaction's time ago.

    True while a question is being heard, unless it has only just begun, and after it for as long as a listener may need
    to answer: some of it lies after `before`. A reply's last question may be answered from its beginning on.
    """
    for found in _SENTENCE.finditer(text):
        start, end = found.span()
        if start == end or end <= min(before, place) or start > place:
            continue
        heard = (place - start) / (end - start)
        last = not speakable(text[end:])
        if _is_question(found.group()) and (heard >= _HALF or last):
            return True
    return False


def _is_question(sentence: str) -> bool:
    end = sentence.rstrip(_CLOSING)
    return bool(end) and (bool(_MARKS & set(end[-3:])) or _PARTICLES.search(end) is not None)
