"""One turn as its worker was given it, and all that another worker needs to go on with it. Pure.

Workers send marks ahead of the audio that they are about. Here they wait for it: what a worker marked and never sent
does not count, so whoever is given our events sees one turn, whichever workers spoke it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from base.audio import BYTES_PER_SAMPLE
from orchestrator.ports import SpokenMark, SynthAudio, SynthEvent, SynthFinished, SynthMarks, VoiceChoice


@dataclass(frozen=True, slots=True)
class Said:
    chunk: int
    text: str
    language: str


class Unspoken:
    """Samples here are of the turn, at the output rate; what comes from a worker counts from where that one began.

    `frame`: samples of 20 ms. Audio comes in whole frames, so the last of a chunk waits for the text that comes next: a
    chunk has ended with its last whole frame.
    """

    def __init__(self, turn: int, choice: VoiceChoice, frame: int) -> None:
        self.turn = turn
        self.choice = choice
        self._frame = frame
        self.said: list[Said] = []
        self.finished = False
        """All its text is here."""
        self.credit = 0
        self.received = 0
        self.base = 0
        """Samples that came before the present worker's first."""
        self.backlog = 0
        """Code points of the chunks that were not spoken to their end."""
        self._place = (0, 0)
        """(chunk, code point in it) of the first word whose sound has not all come."""
        self._cut = (0, 0)
        """The same, when the present worker began: of that chunk it knows only what follows."""
        self._ended = 0
        """Chunks that were spoken to their end."""
        self._marks: deque[SpokenMark] = deque()

    @property
    def place(self) -> tuple[int, int]:
        return self._place

    def say(self, chunk: int, text: str, language: str) -> Said:
        said = Said(chunk, text, language)
        self.said.append(said)
        self.backlog += len(text)
        return said

    def rest(self) -> list[Said]:
        """For another worker: what is left to say, from the first word not yet spoken."""
        self._marks.clear()
        self.base, self._cut = self.received, self._place
        chunk, at = self._place
        left = [s for s in self.said if s.chunk >= chunk]
        if left and left[0].chunk == chunk:
            left[0] = replace(left[0], text=left[0].text[at:])
        return left

    # --- from the worker ----------------------------------------------------------------------------------------------

    def audio(self, sample: int, pcm: bytes) -> list[SynthEvent]:
        sample += self.base
        self.received = max(self.received, sample + len(pcm) // BYTES_PER_SAMPLE)
        return [*self._due(), SynthAudio(self.turn, sample, pcm)]

    def marks(self, marks: Iterable[SpokenMark]) -> list[SynthEvent]:
        for mark in marks:
            chunk, cut = self._cut
            shift = cut if mark.chunk == chunk else 0
            moved = replace(mark, start=mark.start + shift, end=mark.end + shift, sample=mark.sample + self.base)
            self._marks.append(moved)
        return self._due()

    def finish(self, samples: int, spoken: int, wasted: int) -> list[SynthEvent]:
        """The worker has spoken all that it was given; `samples` and `spoken` are of that."""
        rest = self._due(everything=True)
        chunk, cut = self._cut
        before = sum(len(s.text) for s in self.said if s.chunk < chunk) + cut
        return [*rest, SynthFinished(self.turn, samples + self.base, spoken + before, wasted)]

    def _due(self, *, everything: bool = False) -> list[SynthEvent]:
        """The marks whose sound has come."""
        due = []
        while self._marks:
            mark = self._marks[0]
            slack = self._frame - 1 if mark.kind == "chunk_end" else 0
            if not everything and mark.sample > self.received + slack:
                break
            self._marks.popleft()
            place = (mark.chunk + 1, 0) if mark.kind == "chunk_end" else (mark.chunk, mark.start)
            self._place = max(self._place, place)
            due.append(mark)
        while self._ended < len(self.said) and self.said[self._ended].chunk < self._place[0]:
            self.backlog -= len(self.said[self._ended].text)
            self._ended += 1
        return [SynthMarks(self.turn, tuple(due))] if due else []
