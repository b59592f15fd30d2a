"""What left a loudspeaker lately, by the clock, for telling its echo from a voice. Pure.

The last `KEPT_S` of sound are kept, of one turn after another, at about `likeness.RATE`: 30 kB a session. What is sent
follows what was sent before without a pause, unless that `fell_silent`; so whoever knows when the last of it sounds
knows when all of it did. Times are monotonic seconds, by the same clock all of them.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from base.audio import BYTES_PER_SAMPLE, StreamResampler, to_float
from orchestrator.decimator import Decimator, Samples, Sound, to_sound
from orchestrator.likeness import RATE

KEPT_S = 1.75
"""A sound of 0.6 s that is 0.8 s late, and what is sent ahead."""
AT_ONCE_S = 0.18
"""It is brought to the lower rate in pieces of so much."""
MOST_SILENCES = 64


class Sounded:
    """Of a loudspeaker that plays mono s16le at `rate`."""

    def __init__(self, rate: int) -> None:
        self._factor = max(1, rate // RATE)
        self._rate = rate // self._factor
        self._decimator = Decimator(self._factor)
        self._fresh: list[bytes] = []
        self._size, self._most = 0, round(AT_ONCE_S * rate) * BYTES_PER_SAMPLE
        """Bytes that are still at the loudspeaker's rate."""
        self._pieces: deque[Samples] = deque()
        self._first = self._last = 0
        """Which samples they are, of all that were sent."""
        self._silences: deque[tuple[int, float]] = deque(maxlen=MOST_SILENCES)
        """Before which sample there was silence, and since when."""

    def sent(self, pcm: bytes) -> None:
        self._fresh.append(pcm)
        self._size += len(pcm)
        if self._size >= self._most:
            self._settle()

    def fell_silent(self, at_s: float, unplayed: int = 0, *, dropped: bool = False) -> None:
        """All but the last `unplayed` samples had sounded at `at_s`. They sound later, or never if they are `dropped`;
        what is sent from now on sounds later in any case.
        """
        end = self._end(unplayed)
        if dropped:
            self._pieces = deque((self._whole()[: end - self._first],))
            self._last = end
        self._silences.append((end, at_s))

    def sound(self, at_s: float, end_s: float, span_s: float, unplayed: int = 0) -> Sound:
        """The `span_s` until `end_s`, if all but the last `unplayed` samples had sounded at `at_s`, or will have."""
        last, last_s = self._end(unplayed), at_s
        kept = self._whole()
        out: Samples = np.zeros(round(span_s * self._rate), np.int16)
        free = len(out)
        for place, since_s in (*reversed(self._silences), (self._first, 0.0)):
            first = max(place, self._first)
            end = len(out) - round((end_s - last_s) * self._rate)
            begin = end - (last - first)
            here, there = max(0, begin), min(end, free)
            if here < there:
                shift = last - self._first - end
                out[here:there] = kept[here + shift : there + shift]
            if first < last:
                free = max(0, min(free, begin))
            if not free or first == self._first:
                break
            last, last_s = min(last, first), since_s
        if self._rate == RATE:
            return to_sound(out)
        resampler = StreamResampler(self._rate, RATE, quality="LQ")
        return to_float(resampler.process(out.tobytes()) + resampler.flush())

    def _end(self, unplayed: int) -> int:
        self._settle()
        return max(self._first, self._last - round(unplayed / self._factor))

    def _whole(self) -> Samples:
        """All that is kept; it is one piece then."""
        if len(self._pieces) != 1:
            self._pieces = deque((np.concatenate((np.zeros(0, np.int16), *self._pieces)),))
        return self._pieces[0]

    def _settle(self) -> None:
        if not self._fresh:
            return
        new = self._decimator.push(np.frombuffer(b"".join(self._fresh), "<i2"))
        self._fresh.clear()
        self._size = 0
        self._pieces.append(new)
        self._last += len(new)
        while self._last - self._first - len(self._pieces[0]) > KEPT_S * self._rate:
            self._first += len(self._pieces.popleft())
