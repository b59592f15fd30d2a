"""One turn's audio between the voice and the listener: what has come and may still be sent, or sent again. Pure.

It stays in the pieces that it came in: a session has a second or two of it, and one long buffer would be moved, and
half of it kept free, again and again.
"""

from __future__ import annotations

from collections import deque

from base.audio import BYTES_PER_SAMPLE


class TurnAudio:
    """Mono s16le; places are samples of the turn. Nothing before `kept` is there any more."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._first = 0
        """Where the first piece begins: at `kept` or before."""
        self.kept = 0
        self.received = 0
        self.overlap = 0
        """Samples that had been there before, and were dropped."""
        self.gap = 0
        """Samples that never came; they are silence."""

    def add(self, sample: int, pcm: bytes) -> None:
        """`sample`: where `pcm`, whole samples, begins."""
        behind = self.received - sample
        if behind > 0:
            self.overlap += min(behind, len(pcm) // BYTES_PER_SAMPLE)
            pcm = pcm[behind * BYTES_PER_SAMPLE :]
        elif behind < 0:
            self.gap -= behind
            self._append(bytes(-behind * BYTES_PER_SAMPLE))
        self._append(pcm)

    def pad(self, frame: int) -> None:
        """Silence up to a multiple of `frame`."""
        self._append(bytes(-self.received % frame * BYTES_PER_SAMPLE))

    def take(self, start: int, end: int) -> bytes:
        """`start` is not before `kept`. What has not come is left out."""
        parts = []
        at = self._first
        for piece in self._pieces:
            after = at + len(piece) // BYTES_PER_SAMPLE
            if after > start:
                if at >= end:
                    break
                parts.append(piece[max(0, start - at) * BYTES_PER_SAMPLE : (end - at) * BYTES_PER_SAMPLE])
            at = after
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def silence(self, start: int, end: int) -> None:
        """What was heard already is not to be heard again."""
        start, end = max(start, self.kept), min(end, self.received)
        if start < end:
            before, after = self.take(self.kept, start), self.take(end, self.received)
            self._pieces = deque(filter(None, (before, bytes((end - start) * BYTES_PER_SAMPLE), after)))
            self._first = self.kept

    def forget(self, before: int) -> None:
        """What lies before `before` will not be asked for again."""
        self.kept = max(self.kept, min(before, self.received))
        while self._pieces and self._first + len(self._pieces[0]) // BYTES_PER_SAMPLE <= self.kept:
            self._first += len(self._pieces.popleft()) // BYTES_PER_SAMPLE

    def _append(self, pcm: bytes) -> None:
        if pcm:
            self._pieces.append(pcm)
            self.received += len(pcm) // BYTES_PER_SAMPLE
