"""The words of one reply against its samples: what was written, how it was cut, where each word begins to sound. Pure.

Marks tie code points of a chunk to samples; between two marks sound is taken to go on evenly over the characters. A
word counts as heard when all of it was: when the next word begins, or its chunk ends. Where a chunk's end is not known
yet it is reckoned from the pace so far, and never before the last sample that came. Where it is known, it is the end of
the chunk's last whole frame: a worker keeps the rest back until more comes, which may wait for that chunk to be heard.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from base.audio import FRAMES_PER_SECOND
from orchestrator.conversation.characters import speakable
from orchestrator.conversation.chunker import Chunk
from orchestrator.ports import SpokenMark

CHARACTERS_PER_SECOND = 15.0
"""Assumed until a chunk of the turn has come whole."""
MOST_WORDS = 1_000
"""Word marks kept a chunk."""

_NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3105-\u312f"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
)
_WORD = re.compile(
    rf"[{_NO_SPACES}](?:[^\w\s]|[\u0300-\u036f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e々ー])*|[^\s{_NO_SPACES}]+"
)


class Span(NamedTuple):
    """Code points [start, end) of the responder's text begin to sound at `sample`."""

    start: int
    end: int
    sample: int
    exact: bool


@dataclass(slots=True)
class _Sounding:
    chunk: Chunk
    begin: int | None = None
    end: int | None = None
    exact: bool = True
    points: list[tuple[int, int]] = field(default_factory=list)
    """(code point of the chunk's text, sample) where words begin; both rise."""

    def sample_at(self, position: int, begin: int, end: float) -> float:
        """When code point `position` begins to sound, in a chunk that sounds from `begin` to `end`."""
        k = bisect_right(self.points, (position, float("inf")))
        left: tuple[int, float] = self.points[k - 1] if k else (0, begin)
        right: tuple[int, float] = self.points[k] if k < len(self.points) else (len(self.chunk.text), end)
        if position <= left[0] or right[0] <= left[0]:
            return left[1]
        return left[1] + (right[1] - left[1]) * (position - left[0]) / (right[0] - left[0])


class Spoken:
    """One turn's text. `rate`: samples a second, of all samples here."""

    def __init__(self, rate: int) -> None:
        self._parts: list[str] = []
        self._chunks: list[_Sounding] = []
        self._frame = rate // FRAMES_PER_SECOND
        self._pace = rate / CHARACTERS_PER_SECOND
        self._paced = (0, 0)
        self._received = 0
        self._total: int | None = None
        self._gapped: tuple[Chunk, list[tuple[int, int]]] | None = None
        self.written = 0
        """Code points the responder wrote so far."""
        self.unknown_marks = 0
        """Marks of chunks that are not ours."""

    @property
    def text(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def wrote(self, text: str) -> None:
        self._parts.append(text)
        self.written += len(text)

    def chunk(self, chunk: Chunk) -> None:
        """In the order of their indices, without gaps."""
        self._chunks.append(_Sounding(chunk))

    def received(self, sample: int) -> None:
        """Audio up to `sample` has come."""
        self._received = max(self._received, sample)

    def finished(self, samples: int) -> None:
        """All that will be spoken has come, in `samples`."""
        self._total = samples

    def mark(self, mark: SpokenMark) -> list[Span]:
        """Takes a mark; returns what is known by it: a word, or all words of a chunk without word marks, reckoned."""
        if not 0 <= mark.chunk < len(self._chunks):
            self.unknown_marks += 1
            return []
        sounding = self._chunks[mark.chunk]
        if mark.kind == "chunk_start":
            sounding.begin, sounding.exact = mark.sample, mark.exact
            return []
        if mark.kind == "chunk_end":
            return self._end(sounding, mark.sample)
        chunk, points = sounding.chunk, sounding.points
        length = len(chunk.text)
        if not 0 <= mark.start < min(mark.end, length + 1) or len(points) >= MOST_WORDS:
            return []
        if points and (mark.start <= points[-1][0] or mark.sample < points[-1][1]):
            return []
        points.append((mark.start, mark.sample))
        end = chunk.to_source(min(mark.end, length) - 1) + 1
        return [Span(chunk.to_source(mark.start), end, mark.sample, mark.exact)]

    def _end(self, sounding: _Sounding, sample: int) -> list[Span]:
        begin = sounding.begin if sounding.begin is not None else sample
        sounding.end = max(sample, begin)
        points = sounding.points
        while points and points[-1][1] > sounding.end:
            points.pop()
        text = sounding.chunk.text
        if sounding.end > begin:
            samples, characters = self._paced
            self._paced = (samples + sounding.end - begin, characters + len(text))
            self._pace = self._paced[0] / self._paced[1]
        if points or sounding.end == begin:
            return []
        return [
            Span(
                sounding.chunk.to_source(word.start()),
                sounding.chunk.to_source(word.end() - 1) + 1,
                round(sounding.sample_at(word.start(), begin, sounding.end)),
                False,
            )
            for word in _WORD.finditer(text)
        ]

    def position(self, samples: int) -> int:
        """The place in the text up to which all was heard when `samples` of the turn were: between two words."""
        return self.positions((samples,))[0]

    def positions(self, samples: Iterable[int]) -> list[int]:
        """The same for several, which do not fall."""
        places = []
        place, timeline = 0, self._timeline()
        now = next(timeline, None)
        for wanted in samples:
            if self._total is not None and wanted >= self._total:
                places.append(self._chunks[-1].chunk.end if self._chunks else 0)
                continue
            while now is not None and wanted >= self._whole(*now):
                place = now[0].chunk.end if now[2] > 0 else place
                now = next(timeline, None)
            places.append(place if now is None else max(place, self._within(*now, wanted)))
        return places

    def _whole(self, sounding: _Sounding, begin: int, end: float) -> float:
        """The sample from which all of a chunk counts as heard."""
        return end if sounding.end is None else min(end, max(1, sounding.end // self._frame * self._frame))

    def _timeline(self) -> Iterator[tuple[_Sounding, int, float]]:
        """Every chunk with its begin and end, known or reckoned."""
        before = 0.0
        for k, sounding in enumerate(self._chunks):
            begin = sounding.begin if sounding.begin is not None else round(before)
            following = self._chunks[k + 1].begin if k + 1 < len(self._chunks) else None
            end: float | None = sounding.end if sounding.end is not None else following
            if end is None:
                at, sample = sounding.points[-1] if sounding.points else (0, begin)
                end = max(sample + (len(sounding.chunk.text) - at) * self._pace, float(self._received), sample + 1.0)
            yield sounding, begin, end
            before = end

    def _within(self, sounding: _Sounding, begin: int, end: float, samples: int) -> int:
        """The place before the first word of a chunk that was not heard whole."""
        if samples <= begin:
            return 0
        chunk = sounding.chunk
        heard = None
        for gap in self._gaps(chunk):
            if sounding.sample_at(gap[1], begin, end) > samples:
                break
            heard = gap
        return self._between(chunk.to_source(heard[0] - 1) + 1, chunk.to_source(heard[1])) if heard else 0

    def _gaps(self, chunk: Chunk) -> list[tuple[int, int]]:
        """Between its words: where the word before ends, and where the next begins, in the chunk's text. Those of the
        chunk that was asked for last are kept."""
        if self._gapped is None or self._gapped[0] is not chunk:
            words = pairwise(_WORD.finditer(chunk.text))
            self._gapped = chunk, [(word.end(), following.start()) for word, following in words]
        return self._gapped[1]

    def _between(self, end: int, start: int) -> int:
        """Where to part two words, the first up to `end`, the second from `start`: what closes stays with the first."""
        for place, c in enumerate(self.text[end:start], end):
            if c.isspace():
                return place + 1
        return start

    def heard(self, samples: int) -> tuple[str, str]:
        """(words heard, words written and not heard) when `samples` of the turn left the loudspeaker."""
        text = self.text
        place = self.position(samples)
        if (place or self._total is not None) and not speakable(text[place:]):
            return text.strip(), ""
        return text[:place].strip(), text[place:].strip()

    def heard_up_to(self, place: int, samples: int) -> bool:
        """Whether all that can be spoken of the first `place` code points was heard."""
        return not speakable(self.text[self.position(samples) : place])
