"""PURE: one turn of a stream: its chunks, its audio that waits, and what of its text was spoken."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tts_workers.engine import MarkKind, Style
from tts_workers.text import speakable
from tts_workers.values import Mark, Text, Word


@dataclass(slots=True)
class Chunk:
    """`start` and `end` are samples of the turn, known once synthesis began and ended. `words` begin at samples."""

    number: int
    text: str
    language: str
    speakable: bool
    start: int | None = None
    end: int | None = None
    words: list[Word] = field(default_factory=list)

    def spoken(self, sent: int) -> int:
        """Code points whose sound lies before sample `sent` of the turn, in whole words."""
        if self.start is None:
            return 0
        if self.end is not None and self.end <= sent:
            return len(self.text)
        spoken = 0
        for word in self.words:
            if word.sample > sent:
                break
            spoken = word.start
        return spoken


@dataclass(slots=True)
class Turn:
    """`sent` and `produced` count samples; `buffer` holds what lies between them, as s16le."""

    id: int
    opened_at: float
    voice: str = ""
    style: Style | None = None
    chunks: deque[Chunk] = field(default_factory=deque)
    """Those not yet spoken to their end, in order."""
    todo: deque[Chunk] = field(default_factory=deque)
    """Those of them not yet given to the engine."""
    previous_text: str = ""
    started: bool = False
    """A job of it was started: the next is not its first."""
    touched: bool = False
    """It has text or an end; a turn that was only reserved or given credit has not."""
    needs_slot: bool = False
    ended: bool = False
    flushed: bool = False
    """No text follows for a while: what there is counts as whole until more comes."""
    paused: bool = False
    unlimited: bool = False
    credit: int = 0
    sent: int = 0
    produced: int = 0
    buffer: bytearray = field(default_factory=bytearray)
    marks: list[Mark] = field(default_factory=list)
    """Made and not yet sent."""
    held: int = 0
    reserved_until: float | None = None
    reserve_asked: bool = False
    _text: int = 0
    _spoken_chunks: int = 0

    def add(self, text: Text) -> None:
        if not self.touched:
            self.voice, self.style = text.voice, text.style
        self.flushed = False
        chunk = Chunk(text.chunk, text.text, text.language, speakable(text.text))
        self.chunks.append(chunk)
        self.todo.append(chunk)
        self.touched = True
        self.needs_slot = self.needs_slot or chunk.speakable
        self.reserved_until = None
        self._text += len(text.text)

    def begin(self, chunk: Chunk) -> None:
        chunk.start = self.produced
        self.marks.append(Mark(MarkKind.CHUNK_START, chunk.number, 0, len(chunk.text), self.produced, True))

    def take(self, chunk: Chunk, pcm: bytes, words: tuple[Word, ...]) -> None:
        for word in words:
            chunk.words.append(word)
            self.marks.append(Mark(MarkKind.WORD, chunk.number, word.start, word.end, word.sample, word.exact))
        self.buffer += pcm
        self.produced += len(pcm) // 2

    def finish(self, chunk: Chunk) -> None:
        chunk.end = self.produced
        size = len(chunk.text)
        self.marks.append(Mark(MarkKind.CHUNK_END, chunk.number, size, size, self.produced, True))
        self.previous_text = chunk.text
        self._forget_spoken()

    @property
    def waiting(self) -> int:
        """Samples produced and not sent."""
        return len(self.buffer) // 2

    @property
    def whole(self) -> bool:
        """Every chunk it will ever have, or has when flushed, was synthesised."""
        return (self.ended or self.flushed) and not self.todo and (not self.chunks or self.chunks[-1].end is not None)

    def cut(self, frame: int, most: int) -> bytes:
        """Takes up to `most` whole frames of `frame` samples that may be sent now; the turn's last is padded."""
        available = self.waiting // frame
        if self.whole and self.waiting % frame:
            available += 1
        allowed = most if self.unlimited else (self.credit - self.sent) // frame
        samples = max(0, min(available, allowed, most)) * frame
        if not samples:
            return b""
        pcm = bytes(self.buffer[: samples * 2]).ljust(samples * 2, b"\0")
        del self.buffer[: samples * 2]
        self.sent += samples
        self.produced = max(self.produced, self.sent)
        self._forget_spoken()
        return pcm

    def spoken(self) -> int:
        """Code points of its text whose audio was sent."""
        return self._spoken_chunks + (self.chunks[0].spoken(self.sent) if self.chunks else 0)

    def unspoken(self) -> int:
        return self._text - self.spoken()

    def _forget_spoken(self) -> None:
        while self.chunks and self.chunks[0].end is not None and self.chunks[0].end <= self.sent:
            self._spoken_chunks += len(self.chunks.popleft().text)

    def skip_unspeakable(self) -> None:
        """Begins and ends the chunks at the head of `todo` that say nothing."""
        while self.todo and not self.todo[0].speakable:
            chunk = self.todo.popleft()
            self.begin(chunk)
            self.finish(chunk)
