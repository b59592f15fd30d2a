"""Reasoning between tags, kept from the ear: pure.

Models write <think>…</think>, <thinking>…</thinking> or [THINK]…[/THINK], in any case. Some chat templates put the
opening tag into the prompt: such an answer begins inside a thought, and only the end of that shows. So a filter may be
told to hold what comes; a closing tag then drops it, and the end of an answer without one gives it out after all.
"""

from __future__ import annotations

import re

TAGS = ("<think>", "</think>", "<thinking>", "</thinking>", "[think]", "[/think]")
LONGEST_HELD = 100_000
"""Characters held in case they are an answer; what goes on for longer is a thought."""

_TAG = re.compile("|".join(map(re.escape, TAGS)), re.IGNORECASE)
_LONGEST_TAG = max(map(len, TAGS))


class ThinkFilter:
    """Drops what stands between the tags, however the stream is cut into pieces.

    `held`: nothing is given out yet, as it may be a thought. `lone`: there was a closing tag without an opening one, so
    all before it was a thought; `seen`: there was any tag.
    """

    def __init__(self, *, held: bool = False) -> None:
        self.held = held
        self.lone = False
        self.seen = False
        self._thinking = False
        self._kept = ""
        """Held, and an answer if no closing tag comes."""
        self._rest = ""
        """May yet become a tag."""
        self._spoken = False

    def push(self, text: str) -> str:
        """What of it may be spoken now."""
        text = self._rest + text
        said, at = "", 0
        for tag in _TAG.finditer(text):
            said = self._between(said, text[at : tag.start()])
            said = self._tag(said, closes=tag.group()[1] == "/")
            at = tag.end()
        keep = _overlap(text[at:])
        said = self._between(said, text[at : len(text) - keep])
        self._rest = text[len(text) - keep :]
        return self._give(said)

    def release(self) -> str:
        """It turned out to be no thought: gives out what was held."""
        self.held = False
        kept, self._kept = self._kept, ""
        return self._give(kept)

    def flush(self) -> str:
        """The end: what was held back in case it became a tag or a thought."""
        rest, self._rest = self._rest, ""
        return self._give(self.release() + ("" if self._thinking else rest))

    def _between(self, said: str, text: str) -> str:
        if self._thinking:
            return said
        if not self.held:
            return said + text
        self._kept += text
        if len(self._kept) > LONGEST_HELD:
            self._kept, self.held, self._thinking, self.lone = "", False, True, True
        return said

    def _tag(self, said: str, *, closes: bool) -> str:
        self.seen = True
        if not closes:
            # Within what may be a thought, a tag is only spoken of.
            if not self._kept.strip():
                self._kept, self.held, self._thinking = "", False, True
            return said
        if not self._thinking:
            self.lone = True
            self.held = False
            self._kept = said = ""
        self._thinking = False
        return said

    def _give(self, said: str) -> str:
        if not self._spoken:
            # Models leave blank lines behind their thoughts.
            said = said.lstrip()
            self._spoken = bool(said)
        return said


def _overlap(text: str) -> int:
    """Length of the longest end of `text` that begins a tag."""
    end = text[-_LONGEST_TAG:].lower()
    for at, c in enumerate(end):
        if c in "<[" and any(tag != end[at:] and tag.startswith(end[at:]) for tag in TAGS):
            return len(end) - at
    return 0
