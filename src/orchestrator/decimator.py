"""Sound at a whole fraction of its rate, for what need not be heard again. Pure.

A windowed-sinc low-pass whose output is reckoned only where it is kept, as one matrix product: a tenth of what a
resampler costs, which a session that plays all the time would notice.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PHASES = 6
"""The filter is so many output samples long."""
PASS = 0.9
"""Of the band that is left."""

Samples = NDArray[np.int16]
Sound = NDArray[np.float32]


def to_sound(samples: Samples) -> Sound:
    """In [-1, 1)."""
    return samples.astype(np.float32) / np.float32(32768.0)


def decimated(samples: Samples, factor: int) -> Samples:
    """All of a sound that is there as a whole."""
    rest = np.zeros(PHASES * factor // 2, np.int16)
    return Decimator(factor).push(np.concatenate((samples, rest)))[: len(samples) // factor]


class Decimator:
    """Keeps one sample of `factor`, of one stream piece by piece; what goes in and what comes out begin together."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._rest: Sound = np.zeros(PHASES * factor // 2, np.float32)

    def push(self, samples: Samples) -> Samples:
        """What is known of the output by now: it ends half a filter before the input. A little softer than that, so
        that nothing is clipped.
        """
        factor, kept = self._factor, len(self._rest)
        if factor == 1:
            return samples
        x = np.empty(kept + len(samples), np.float32)
        x[:kept] = self._rest
        x[kept:] = samples
        blocks = len(x) // factor
        count = max(0, blocks - PHASES + 1)
        self._rest = x[count * factor :].copy()
        if not count:
            return np.zeros(0, np.int16)
        parts = _filter(factor) @ x[: blocks * factor].reshape(blocks, factor).T
        out = parts[0, :count]
        for phase in range(1, PHASES):
            out += parts[phase, phase : phase + count]
        return out.astype(np.int16)


@lru_cache(maxsize=8)
def _filter(factor: int) -> NDArray[np.float32]:
    """Shape (PHASES, factor): what a sample of a block counts for in each of the outputs that it has part in."""
    length = factor * PHASES
    at = np.arange(length) - (length - 1) / 2
    taps = np.sinc(at * PASS / factor) * np.hamming(length)
    taps /= np.abs(taps).sum()
    return np.asarray(taps.reshape(PHASES, factor), np.float32)
