"""The copy of what a sink was given and has not yet played, for sinks that keep no queue over a hold.

To hold, a transport reads the sink's position and clears the sink; to resume, it gives the sink `rest()` from there.
Pure; sample offsets are at the output rate and relative to their turn.
"""

from __future__ import annotations

from collections import deque

from base.audio import BYTES_PER_SAMPLE

KEPT_S = 3.0
"""A sink is fed half a second ahead at most; one that never says what it played is not believed to lag more."""


class Unplayed:
    """One turn's audio at a time: the first piece of a later turn forgets the earlier one's."""

    def __init__(self, rate: int) -> None:
        self._cap = round(KEPT_S * rate)
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._turn = -1
        self._end = 0

    @property
    def turn(self) -> int:
        """The turn whose audio is kept; -1 before the first."""
        return self._turn

    def add(self, turn: int, sample: int, pcm: bytes) -> None:
        if turn != self._turn:
            self._pieces.clear()
            self._turn = turn
        self._pieces.append((sample, pcm))
        self._end = sample + len(pcm) // BYTES_PER_SAMPLE
        self._forget(self._end - self._cap)

    def played(self, turn: int, samples: int) -> None:
        """Everything of `turn` before `samples` left the loudspeaker. More than was given counts as all of it."""
        if turn == self._turn:
            self._forget(samples)

    def rest(self, turn: int, sample: int) -> list[tuple[int, bytes]]:
        """What is to be played from `sample` on, the first piece cut to begin exactly there; it stays kept."""
        if turn != self._turn:
            return []
        self._forget(sample)
        out = list(self._pieces)
        if out and out[0][0] < sample:
            at, pcm = out[0]
            out[0] = (sample, pcm[(sample - at) * BYTES_PER_SAMPLE :])
        return out

    def drop(self, turn: int) -> None:
        if turn == self._turn:
            self._pieces.clear()

    def _forget(self, before: int) -> None:
        while self._pieces:
            at, pcm = self._pieces[0]
            if at + len(pcm) // BYTES_PER_SAMPLE > before:
                return
            self._pieces.popleft()
