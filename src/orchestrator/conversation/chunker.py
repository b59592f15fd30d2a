"""Cuts a reply, as it is written, into chunks that a voice can speak one after the other. Pure.

Two readers, one behind the other. `speakable.Reader` drops what is not spoken; the rest arrives here code point by code
point with its place in the responder's text. A chunk ends

1. where a sentence ends (`sentences`), a paragraph, an item, a row of a table, or the language changes;
2. at a clause, if nothing was cut yet, so that speech begins early;
3. before it would last longer than `LONGEST_S`: then at the last clause, else before the last word that joins, else at
   the last space; a script without spaces is cut between its characters. What has no such place (an address) stays
   whole up to `UNSPLIT` code points. A grapheme cluster is never cut.

How long speech lasts is reckoned from its characters. Chunks are the same however the text was split into deltas, and
text of any length takes linear time; what is pending is bounded. Every code point of the reply belongs to exactly one
chunk, in order, but for what is not spoken after the last one.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

from orchestrator.conversation.abbreviations import abbreviations
from orchestrator.conversation.characters import Kind, is_wide, kind, speakable
from orchestrator.conversation.sentences import (
    CLAUSE_MARKS,
    CLOSERS,
    DASHES,
    EMOTICONS,
    JOINED,
    OPENERS,
    SETTLED,
    TERMINATORS,
    WIDE_CLAUSE_MARKS,
    WIDE_TERMINATORS,
    Verdict,
    judge,
    settle,
)
from orchestrator.conversation.speakable import Reader

LONGEST_S = 3.0
FIRST_S = 2.0
"""The first chunk's bound; the listener waits for it."""
EARLY_S = 0.6
"""A clause this long may go first."""
UNSPLIT = 120
_FAR = 0.35
_JOINT_FAR = 0.5
"""A clause, a word that joins, is a good place to cut when this part of the bound lies before it."""

_LETTER_MS = 60
_WIDE_MS = 190
_DIGIT_MS = 180
_NOT_FIRST = frozenset("々ーｰゝゞヽヾぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ・％%") | CLOSERS | JOINED


@dataclass(frozen=True, slots=True)
class Chunk:
    """One speakable piece. [start, end) are code points of the responder's text; chunks cover it in order.

    `spans` are runs, each a position in `text` and one in the responder's text, from where both advance together.
    """

    index: int
    text: str
    language: str
    start: int
    end: int
    spans: tuple[tuple[int, int], ...]

    def to_source(self, position: int) -> int:
        """The place in the responder's text of code point `position` of `text`; `len(text)`: just after the last."""
        if position >= len(self.text):
            return self.to_source(len(self.text) - 1) + 1 if self.text else self.end
        at, source = self.spans[bisect_right(self.spans, (max(0, position), self.end)) - 1]
        return source + max(0, position) - at


class _Cost(dict[str, int]):
    """Milliseconds of speech that a character stands for."""

    def __missing__(self, c: str) -> int:
        if kind(c) in (Kind.EXTEND, Kind.JOINER):
            ms = 0
        elif c.isdigit():
            ms = _DIGIT_MS
        else:
            ms = _WIDE_MS if is_wide(c) or "\uac00" <= c <= "\ud7a3" else _LETTER_MS
        if len(self) < 20_000:
            self[c] = ms
        return ms


_COST = _Cost()
_POOR, _PLAIN, _JOINT, _CLAUSE = 0, 1, 2, 3


class Chunker:
    """One reply. `language`: BCP 47, "" unknown; `rate`: how much faster than usual the voice speaks."""

    def __init__(self, language: str = "", *, rate: float = 1.0) -> None:
        self._default = language
        self._language = language
        self._words = abbreviations(language)
        self._reader = Reader(self)
        self._bound = round(LONGEST_S * 1000 * rate)
        self._first_bound = round(FIRST_S * 1000 * rate)
        self._early = round(EARLY_S * 1000)
        self._out: list[Chunk] = []
        self._count = 0
        self._covered = 0
        """Code points of the reply that belong to chunks already."""
        self._first = True
        # What is pending: characters, their places, where the last word begins, places to cut (index, level, cost).
        self._chars: list[str] = []
        self._places: list[int] = []
        self._cost = 0
        self._word = 0
        self._cuts: list[tuple[int, int, int]] = []
        # Between two words: where the space is, what the word before came to, whether a picture was dropped.
        self._gap = -1
        self._verdict = Verdict.NOTHING
        self._dropped = False
        self._numbered = False
        self._ended = False
        """The last character ends a sentence, if no closing quote follows, in a script without spaces."""

    @property
    def waiting(self) -> bool:
        """Whether something to speak was pushed that is in no chunk yet."""
        return speakable("".join(self._chars)) or speakable(self._reader.rest)

    def push(self, text: str, language: str = "") -> list[Chunk]:
        """Takes the next piece of the reply; `language` where it is not the session's."""
        wanted = language or self._default
        if text and wanted != self._language:
            self._finish()
            self._language = wanted
            self._words = abbreviations(wanted)
        self._reader.feed(text)
        return self._take()

    def flush(self) -> list[Chunk]:
        """What is pending is cut now, as at the end of the text; more may be pushed after."""
        self._finish()
        self._first = True
        return self._take()

    def pause(self) -> list[Chunk]:
        """Nothing was pushed for a while: what is pending is cut now, but for a word that may still grow."""
        chars = self._chars
        k = len(chars)
        if chars and self._gap < 0 and not self._complete():
            k = self._word
        if k:
            self._cut(k, self._gap + 1 if self._gap >= 0 else self._places[k - 1] + 1)
            self._first = True
        return self._take()

    def _complete(self) -> bool:
        """Whether the last word looks as if no more of it came."""
        last, before = self._chars[-1], self._chars[-2] if len(self._chars) > 1 else " "
        ends = last in TERMINATORS or last in CLAUSE_MARKS or last in CLOSERS
        return is_wide(last) or (ends and not before.isdigit())

    def _take(self) -> list[Chunk]:
        out, self._out = self._out, []
        return out

    def _finish(self) -> None:
        self._reader.end()
        self._cut(len(self._chars), self._reader.position)
        self._gap = -1
        self._verdict = Verdict.NOTHING
        self._ended = self._dropped = False

    # --- what the reader hands on (`Ear`) -----------------------------------------------------------------------------

    def char(self, c: str, at: int) -> None:
        if at < self._covered:
            return  # The comma that stands for a table's bar, after a cell that ended a sentence.
        chars = self._chars
        if chars:
            if self._gap >= 0:
                self._begin_word(c)
            elif self._ended or chars[-1] in DASHES or chars[-1] == "…" or is_wide(c) or is_wide(chars[-1]):
                self._within(c, at)
        elif self._gap >= 0:
            self._gap = -1
        self._dropped = False
        chars = self._chars
        chars.append(c)
        self._places.append(at)
        self._cost += _COST[c]
        before = chars[-2] if len(chars) > 1 else " "
        self._ended = (
            c in WIDE_TERMINATORS
            or (c in ".!?" and is_wide(before))
            or (self._ended and (c in CLOSERS or c in TERMINATORS))
        )
        if self._cost > (self._first_bound if self._first else self._bound):
            self._shorten()

    def space(self, at: int) -> None:
        if self._gap >= 0 or not self._chars:
            return
        self._gap = at
        word = "".join(self._chars[self._word :])
        if word in EMOTICONS:
            self._drop_word()
            return
        self._verdict = Verdict.NOTHING if self._numbered else judge(word, self._words)
        self._numbered = False
        early = self._first and self._cost >= self._early
        if self._verdict is Verdict.SENTENCE or (early and self._verdict is Verdict.CLAUSE):
            self._cut(len(self._chars), at + 1)
        elif word.lower() in self._words.joints:
            self._mark_joint()

    def picture(self, at: int) -> None:
        self.space(at)
        self._dropped = True

    def marker(self) -> None:
        self._numbered = True

    def stop(self, at: int) -> None:
        self._cut(len(self._chars), at)

    # --- within -------------------------------------------------------------------------------------------------------

    def _begin_word(self, c: str) -> None:
        """White space lies between what is pending and `c`."""
        gap, self._gap = self._gap, -1
        if self._dropped and c in JOINED:
            self._verdict = Verdict.NOTHING
            return
        verdict, self._verdict = self._verdict, Verdict.NOTHING
        if verdict not in SETTLED:
            verdict = settle(verdict, c)
            if verdict is Verdict.SENTENCE:
                self._cut(len(self._chars), gap + 1)
                return
        level = _POOR if self._chars[-1] == "." else _PLAIN
        if verdict is Verdict.CLAUSE or c in "([（":
            level = _CLAUSE
        self._chars.append(" ")
        self._places.append(gap)
        self._cost += _LETTER_MS
        self._word = len(self._chars)
        self._cuts.append((self._word, level, self._cost))

    def _within(self, c: str, at: int) -> None:
        """No space lies between what is pending and `c`; still a sentence may end there, or there is a place to cut."""
        before = self._chars[-1]
        if c in _NOT_FIRST or kind(c) in (Kind.EXTEND, Kind.JOINER):
            return
        if self._ended and (before != "." or is_wide(c)):
            self._cut(len(self._chars), self._places[-1] + 1)
            return
        if before in OPENERS or (self._cuts and self._cuts[-1][0] == len(self._chars)):
            return
        parts = before in WIDE_CLAUSE_MARKS or before in DASHES or before == "…"
        if parts and self._first and self._cost >= self._early:
            self._cut(len(self._chars), self._places[-1] + 1)
        elif parts or is_wide(c) or is_wide(before):
            self._cuts.append((len(self._chars), _CLAUSE if parts else _PLAIN, self._cost))

    def _mark_joint(self) -> None:
        if self._cuts and self._cuts[-1][0] == self._word and self._cuts[-1][1] == _PLAIN:
            at, _, cost = self._cuts[-1]
            self._cuts[-1] = (at, _JOINT, cost)

    def _drop_word(self) -> None:
        """The last word is not spoken; the space before it is the space now."""
        first = self._word
        if first:
            first -= 1
            self._gap = self._places[first]
        else:
            self._gap = -1
        self._verdict = Verdict.CLAUSE if self._cuts and self._cuts[-1][1] == _CLAUSE else Verdict.NOTHING
        self._forget(first)
        self._dropped = True

    def _forget(self, first: int) -> None:
        del self._chars[first:]
        del self._places[first:]
        self._cost = sum(_COST[c] for c in self._chars)
        self._cuts = [cut for cut in self._cuts if cut[0] <= first]
        self._word = min(self._word, first)

    def _shorten(self) -> None:
        """What is pending lasts too long: cuts what comes before the best place, if there is one."""
        bound = self._first_bound if self._first else self._bound
        best = 0
        for far, level in ((_FAR, _CLAUSE), (_JOINT_FAR, _JOINT), (_FAR, _PLAIN), (0.0, _POOR)):
            best = max((at for at, of, cost in self._cuts if of >= level and cost > far * bound), default=0)
            if best:
                break
        if not best and self._may_split():
            best = len(self._chars) - 1
        if best:
            self._cut(best, self._places[best - 1] + 1)

    def _may_split(self) -> bool:
        """Whether what is pending, without any place to cut, may be cut before its last character."""
        n = len(self._chars)
        if n < 2:
            return False
        c, before = self._chars[-1], self._chars[-2]
        if n > 2 * UNSPLIT:
            return True
        if kind(c) in (Kind.EXTEND, Kind.JOINER) or c in _NOT_FIRST or _joins(before, c):
            return False
        return n > UNSPLIT or not any(x in "./@:\\_-?&=#" for x in self._chars[1:-2])

    def _cut(self, k: int, end: int) -> None:
        """The first `k` pending characters become a chunk that covers the reply up to `end`, if they can be spoken."""
        text = "".join(self._chars[:k])
        stripped = text.strip()
        if stripped and speakable(stripped):
            lead = len(text) - len(text.lstrip())
            places = self._places[lead : lead + len(stripped)]
            spans = tuple((i, p) for i, p in enumerate(places) if i == 0 or p != places[i - 1] + 1)
            self._out.append(Chunk(self._count, stripped, self._language, self._covered, end, spans))
            self._count += 1
            self._covered = end
            self._first = False
        del self._chars[:k]
        del self._places[:k]
        if not self._chars:
            self._gap = -1
            self._verdict = Verdict.NOTHING
            self._numbered = self._ended = False
        cost = sum(_COST[c] for c in self._chars)
        gone, self._cost = self._cost - cost, cost
        self._cuts = [(at - k, level, ms - gone) for at, level, ms in self._cuts if at > k]
        self._word = max(0, self._word - k)


def _joins(before: str, c: str) -> bool:
    """Whether two characters, neither a combining mark by itself, belong to one grapheme cluster (UAX 29)."""
    if kind(before) is Kind.JOINER or unicodedata.combining(before) == 9:
        return True
    return "\u1100" <= before <= "\u11ff" and "\u1160" <= c <= "\u11ff"
