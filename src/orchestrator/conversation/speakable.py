"""Which code points of a reply are spoken: markup, emoji, control characters and code blocks are left out. Pure.

A reply is read once, left to right, and its code points are handed on one by one, each with its place in the reply.
Where a decision needs what follows ("*", "[", the start of a line), the reader waits for it; how far it looks is
bounded, and it never looks at where one delta ended and the next began, so the same text is read the same way however
it arrives.

Left out: emphasis, heading, list, quote and table marks, rules, fenced code with its content, the address of a link
(its text is spoken), the scheme of a bare address, HTML tags in common use, emoji and other pictures, control and
format characters, what Unicode has not assigned.
"""

from __future__ import annotations

import re
from typing import Protocol

from orchestrator.conversation.characters import KINDS, Kind


class Ear(Protocol):
    """Takes what is spoken, in order. `at`: code points into the reply."""

    def char(self, c: str, at: int) -> None: ...

    def space(self, at: int) -> None:
        """White space, however much of it."""
        ...

    def picture(self, at: int) -> None:
        """Something unspoken that parts words as a space does, but no word from its full stop."""
        ...

    def marker(self) -> None:
        """What came since the last space is the number of a list item, not the end of a sentence."""
        ...

    def stop(self, at: int) -> None:
        """What follows, from `at`, is a new paragraph, heading, item or row."""
        ...


_BLOCK = re.compile(
    r"(?P<heading>\#{1,6}(?=\s))"
    r"|(?P<quote>>)"
    r"|(?P<bullet>[-*+•‣◦–—](?=[ \t]))"
    r"|(?P<task>\[[ xX]\](?=[ \t]))"
    r"|(?P<number>[0-9]{1,3}[.)](?=[ \t]))"
    r"|(?P<fence>`{3,200}|~{3,200})"
    r"|(?P<row>\|)"
    r"|(?P<rule>(?P<ruled>[-*_=])(?P=ruled){2})"
)
_BLOCK_BEGUN = re.compile(
    r"\#{1,6}|[-*+•‣◦–—]|\[(?:[ xX]\]?)?|[0-9]{1,3}[.)]?|`{1,2}|~{1,2}|(?P<ruled>[-*_=])(?P=ruled)?"
)
_LINK = re.compile(
    r"\[(?P<text>[^\[\]\n]{0,200})\]"
    r"\([ ]{0,2}<?[^\s()<>]{0,500}(?:\([^\s()<>]{0,100}\)[^\s()<>]{0,100}){0,3}>?"
    r"(?:[ ]{1,2}[\"'][^\"'\n()]{0,100}[\"'])?[ ]{0,2}\)"
)
_LINK_TEXT = 202
_LINK_REST = 600
_TAG = re.compile(
    r"</?(?:a|abbr|b|blockquote|br|code|del|details|div|em|h[1-6]|hr|i|img|ins|kbd|li|mark|ol|p|pre|s|small|span|strike|"
    r"strong|sub|summary|sup|table|tbody|td|th|thead|tr|u|ul)(?:\s[^<>\n]{0,200})?/?>",
    re.IGNORECASE,
)
_AUTOLINK = re.compile(r"<[A-Za-z][^\s<>]{0,200}(?:@|://)[^\s<>]{1,500}>")
_ANGLE = 720
_SCHEMES = ("https://", "http://")
_FENCE_LINE = 200
_ESCAPABLE = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")

_WAIT = -1
MOST_MARKS = 8
"""Combining marks kept on one code point. What is beyond is ornament."""


class Reader:
    """Reads one reply into an `Ear`. `feed` what comes; `end` decides what is open as the end of the text would."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._buf = ""
        self._base = 0
        """Place in the reply of the first code point of `_buf`."""
        self._line_start = True
        self._soft = False
        """A line ended and the next has not begun: a space or a stop."""
        self._hard = False
        """This line ends in a stop: a heading, an item, a row."""
        self._item = False
        self._row = False
        self._cell = _WAIT
        """Where the cell before ended, once something was spoken in this row."""
        self._row_spoken = False
        self._fence = ""
        self._fence_mark = ""
        self._run = ""
        """The rest of a long run of this character is dropped."""
        self._address = False
        self._previous = " "
        self._marks = 0
        self._link_at = self._link_to = self._angle_at = _WAIT
        self._quiet = ("", 0)
        """What is waited for: one of these characters, or that much in `_buf`. Reading before would be in vain."""

    @property
    def position(self) -> int:
        """Code points of the reply that were read."""
        return self._base

    @property
    def rest(self) -> str:
        """What was fed and not yet decided upon; bounded."""
        return self._buf

    def feed(self, text: str) -> None:
        self._buf += text
        news, enough = self._quiet
        if len(self._buf) >= enough or any(c in text for c in news):
            self._quiet = ("", 0)
            self._read(False)

    def end(self) -> None:
        self._quiet = ("", 0)
        self._read(True)

    def _read(self, end: bool) -> None:
        buf = self._buf
        i, n = 0, len(buf)
        ear, base = self._ear, self._base
        while i < n:
            c = buf[i]
            if self._run and c == self._run:
                i += 1
                continue
            self._run = ""
            if self._fence:
                j = self._in_fence(buf, i, n, end)
            elif self._line_start:
                j = self._start_line(buf, i, n, end)
            else:
                what = KINDS[c]
                if what is Kind.PLAIN:
                    self._say(c, base + i)
                    j = i + 1
                elif what is Kind.SPACE:
                    ear.space(base + i)
                    self._previous = " "
                    self._address = False
                    j = i + 1
                elif what is Kind.MARKUP:
                    j = self._markup(buf, i, n, end)
                else:
                    self._other(what, c, base + i)
                    j = i + 1
            if j == _WAIT:
                break
            i = j
        self._base += i
        self._buf = buf[i:]

    def _say(self, c: str, at: int) -> None:
        if self._cell != _WAIT:
            if self._row_spoken:
                self._ear.char(",", self._cell)
                self._ear.space(self._cell)
            self._cell = _WAIT
        self._row_spoken = self._row
        self._ear.char(c, at)
        self._previous = c
        self._marks = 0

    def _other(self, what: Kind, c: str, at: int) -> None:
        if what is Kind.NEWLINE:
            self._end_line(at)
        elif what is Kind.PICTURE:
            self._ear.picture(at)
            self._previous = " "
        elif (what is Kind.EXTEND and self._marks < MOST_MARKS and self._previous not in " \n") or (
            what is Kind.JOINER and self._marks < MOST_MARKS and self._previous.isalpha()
        ):
            self._ear.char(c, at)
            self._marks += 1

    # --- lines --------------------------------------------------------------------------------------------------------

    def _end_line(self, at: int) -> None:
        if self._hard:
            self._ear.stop(at + 1)
        else:
            self._ear.space(at)
            self._soft = True
        self._new_line()

    def _new_line(self) -> None:
        self._line_start = True
        self._hard = self._item = self._row = self._row_spoken = self._address = False
        self._cell = _WAIT
        self._previous = "\n"

    def _start_line(self, buf: str, i: int, n: int, end: bool) -> int:
        """Reads what a line begins with; returns where to go on, or _WAIT."""
        c, at = buf[i], self._base + i
        what = KINDS[c]
        if what is Kind.NEWLINE:
            self._ear.stop(at + 1)
            self._soft = False
            self._new_line()
            return i + 1
        if what is Kind.SPACE or what is Kind.DROP:
            self._ear.space(at)
            return i + 1
        block = _BLOCK.match(buf, i)
        if block is None or (block.lastgroup == "task" and not self._item):
            if not end and _BLOCK_BEGUN.fullmatch(buf, i):
                return _WAIT
            if self._soft and not (c.islower() or c.isdigit()):
                self._ear.stop(at)
            self._soft = self._line_start = False
            return i
        group = block.lastgroup or ""
        if group == "ruled":
            group = "rule"
        if group == "fence":
            return self._open_fence(buf, i, n, end, block.group())
        return self._block(group, block.group(), i, block.end())

    def _block(self, group: str, mark: str, i: int, after: int) -> int:
        at = self._base + i
        if group in ("quote", "task"):
            return after
        if not self._item:
            self._ear.stop(at)
        self._soft = False
        self._hard = True
        if group == "bullet":
            self._item = True
            return after
        self._line_start = False
        if group == "number":
            for k, c in enumerate(mark):
                self._say(c, at + k)
            self._ear.marker()
        elif group == "row":
            self._row = True
        elif group == "rule":
            self._run = mark[0]
        return after

    # --- fenced code --------------------------------------------------------------------------------------------------

    def _open_fence(self, buf: str, i: int, n: int, end: bool, mark: str) -> int:
        """A fence is alone on its line but for the code's language; one that closes on its line is inline code."""
        j = i + len(mark)
        limit = min(n, i + _FENCE_LINE)
        while j < limit and buf[j] != "\n" and buf[j] != mark[0]:
            j += 1
        if j == n and n < i + _FENCE_LINE and not end:
            return _WAIT
        if j < limit and buf[j] == mark[0]:
            self._run = mark[0]
            self._line_start = False
            if self._soft:
                self._ear.stop(self._base + i)
                self._soft = False
            return i + len(mark)
        self._ear.stop(self._base + i)
        self._soft = False
        self._fence = "open"
        self._fence_mark = mark[:3]
        return j

    def _in_fence(self, buf: str, i: int, n: int, end: bool) -> int:
        """Skips code. `_fence` is "open" or "closing" on a fence's own line, "line" at a line's start, "code" in it."""
        if self._fence == "line":
            j = i
            while j < n and buf[j] == " " and j - i < 8:
                j += 1
            seen = buf[j : j + 3]
            if len(seen) < 3 and self._fence_mark.startswith(seen) and not end:
                return _WAIT
            self._fence = "closing" if seen == self._fence_mark else "code"
        newline = buf.find("\n", i)
        if newline < 0:
            return n
        if self._fence == "closing":
            self._fence = ""
            self._new_line()
        else:
            self._fence = "line"
        return newline + 1

    # --- within a line ------------------------------------------------------------------------------------------------

    def _markup(self, buf: str, i: int, n: int, end: bool) -> int:
        c = buf[i]
        if c in "hH":
            return self._scheme(buf, i, n, end)
        if c in "*_~`":
            return self._emphasis(buf, i, n, end)
        if c in "\\!":
            return self._before(buf, i, n, end)
        if c == "[":
            return self._link(buf, i, n, end)
        if c == "<":
            return self._angle(buf, i, n, end)
        at = self._base + i
        if c == "]" and at == self._link_at:
            return self._link_to - self._base
        if c == ">" and at == self._angle_at:
            return i + 1
        if c == "|" and self._row:
            self._cell = at
            self._ear.picture(at)
            self._previous = " "
            return i + 1
        self._say(c, at)
        return i + 1

    def _scheme(self, buf: str, i: int, n: int, end: bool) -> int:
        if not self._previous.isalnum():
            begun = buf[i : i + 8].lower()
            for scheme in _SCHEMES:
                if begun.startswith(scheme):
                    self._address = True
                    self._previous = "/"
                    return i + len(scheme)
            if not end and i + len(begun) == n and any(s.startswith(begun) for s in _SCHEMES):
                return _WAIT
        self._say(buf[i], self._base + i)
        return i + 1

    def _emphasis(self, buf: str, i: int, n: int, end: bool) -> int:
        """Marks of emphasis and of code are dropped; "2 * 3", "2*3", "snake_case" and "~5" keep theirs."""
        c = buf[i]
        j = i + 1
        while j < n and j - i < 3 and buf[j] == c:
            j += 1
        if j - i >= 3:
            self._run = c
            return j
        if j == n and not end:
            return _WAIT
        before = self._previous
        after = buf[j] if j < n else " "
        alone = j - i == 1
        if c == "*":
            keep = alone and ((before.isspace() and after.isspace()) or (before.isdigit() and after.isdigit()))
        elif c == "_":
            keep = self._address or (before.isalnum() and after.isalnum())
        else:
            keep = c == "~" and (alone or self._address)
        if keep:
            for k in range(i, j):
                self._say(c, self._base + k)
        return j

    def _before(self, buf: str, i: int, n: int, end: bool) -> int:
        """A backslash before what it escapes, an exclamation mark before a link: dropped."""
        if i + 1 == n and not end:
            return _WAIT
        c, after = buf[i], buf[i + 1] if i + 1 < n else ""
        if c == "!" and after == "[":
            return i + 1
        if c == "\\" and after in _ESCAPABLE:
            self._say(after, self._base + i + 1)
            return i + 2
        self._say(c, self._base + i)
        return i + 1

    def _link(self, buf: str, i: int, n: int, end: bool) -> int:
        found = _LINK.match(buf, i)
        if found is not None and found.end() <= found.end("text") + _LINK_REST:
            self._link_at = self._base + found.end("text")
            self._link_to = self._base + found.end()
            return i + 1
        if not end and self._may_become_link(buf, i, n):
            return _WAIT
        self._say("[", self._base + i)
        return i + 1

    def _may_become_link(self, buf: str, i: int, n: int) -> bool:
        limit = min(n, i + _LINK_TEXT)
        j = i + 1
        while j < limit and buf[j] not in "[]\n":
            j += 1
        if j == n and n < i + _LINK_TEXT:
            self._quiet = ("[]\n", _LINK_TEXT)
            return True
        if j == limit or buf[j] != "]":
            return False
        if j + 1 == n:
            return True
        if buf[j + 1] != "(" or n > j + _LINK_REST:
            return False
        depth = 0
        for c in buf[j + 1 :]:
            depth += (c == "(") - (c == ")")
            if depth == 0 or c == "\n":
                return False
        self._quiet = ("()\n", j - i + _LINK_REST)
        return True

    def _angle(self, buf: str, i: int, n: int, end: bool) -> int:
        tag = _TAG.match(buf, i)
        if tag is not None:
            self._ear.picture(self._base + i)
            self._previous = " "
            return tag.end()
        address = _AUTOLINK.match(buf, i)
        if address is not None:
            self._angle_at = self._base + address.end() - 1
            self._previous = "<"
            return i + 1
        after = buf[i + 1 : i + 2]
        open_end = not end and n < i + _ANGLE and (not after or after.isalpha() or after == "/")
        if open_end and not any(c in buf[i + 1 :] for c in "<>\n"):
            if after:
                self._quiet = ("<>\n", _ANGLE)
            return _WAIT
        self._say("<", self._base + i)
        return i + 1
