"""One turn's audio between the voice and the listener: what has come and may still be sent, or sent again. Pure."""

from __future__ import annotations

from base.audio import BYTES_PER_SAMPLE


class TurnAudio:
    """Mono s16le; places are samples of the turn. Nothing before `kept` is there any more."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.kept = 0
        self.overlap = 0
        """Samples that had been there before, and were dropped."""
        self.gap = 0
        """Samples that never came; they are silence."""

    @property
    def received(self) -> int:
        return self.kept + len(self._data) // BYTES_PER_SAMPLE

    def add(self, sample: int, pcm: bytes) -> None:
        """`sample`: where `pcm`, whole samples, begins."""
        behind = self.received - sample
        if behind > 0:
            self.overlap += min(behind, len(pcm) // BYTES_PER_SAMPLE)
            pcm = pcm[behind * BYTES_PER_SAMPLE :]
        elif behind < 0:
            self.gap -= behind
            self._data += bytes(-behind * BYTES_PER_SAMPLE)
        self._data += pcm

    def pad(self, frame: int) -> None:
        """Silence up to a multiple of `frame`."""
        self._data += bytes(-self.received % frame * BYTES_PER_SAMPLE)

    def take(self, start: int, end: int) -> bytes:
        first = (start - self.kept) * BYTES_PER_SAMPLE
        return bytes(self._data[first : first + (end - start) * BYTES_PER_SAMPLE])

    def silence(self, start: int, end: int) -> None:
        """What was heard already is not to be heard again."""
        first, last = (max(0, place - self.kept) * BYTES_PER_SAMPLE for place in (start, end))
        self._data[first:last] = bytes(last - first)

    def forget(self, before: int) -> None:
        """What lies before `before` will not be asked for again."""
        if before > self.kept:
            before = min(before, self.received)
            del self._data[: (before - self.kept) * BYTES_PER_SAMPLE]
            self.kept = before
