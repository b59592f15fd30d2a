"""A client's 20 ms frame to a 20 ms frame at 16 kHz, without waiting for the next one.

libsoxr keeps 20 to 120 ms in its filter, which would come straight out of the barge-in budget. This is a plain
windowed sinc (Kaiser, 16 zero crossings a side; see Smith, "Digital Audio Resampling") with a table of weights a rate,
shared by all sessions: 15 µs a frame, and a shift of media time by its half length (1 ms; 2 ms from 8 kHz), which
nobody corrects.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from base.audio import FRAMES_PER_SECOND, UPLINK_RATE

ZERO_CROSSINGS = 16
BETA = 8.0
PASSED = 0.92
"""Share of the lower Nyquist frequency that passes unweakened."""


@lru_cache(maxsize=16)
def _weights(rate: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For each output sample of a frame: where its window begins in [history, frame], and the window's weights."""
    low = min(rate, UPLINK_RATE)
    half = ZERO_CROSSINGS * rate / low
    taps = int(np.ceil(2 * half))
    at = np.arange(UPLINK_RATE // FRAMES_PER_SECOND) * rate / UPLINK_RATE
    first = np.floor(at).astype(np.intp)
    distance = np.arange(taps)[None, :] + (first - taps + 1)[:, None] - (at - half)[:, None]
    cut = PASSED * low / rate
    window = np.i0(BETA * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, None))) / np.i0(BETA)
    weights = np.sinc(cut * distance) * window
    weights /= weights.sum(axis=1, keepdims=True)
    return first, weights.astype(np.float32)


class FrameResampler:
    """One stream at `rate` (one of base.audio.SAMPLE_RATES)."""

    def __init__(self, rate: int) -> None:
        self._first, self._table = _weights(rate)
        self._history: NDArray[np.float32] = np.zeros(self._table.shape[1] - 1, dtype=np.float32)

    def frame(self, pcm: bytes) -> bytes:
        """s16le in, s16le out; both 20 ms."""
        taps = self._table.shape[1]
        x = np.concatenate((self._history, np.frombuffer(pcm, dtype="<i2").astype(np.float32)))
        self._history = x[-(taps - 1) :]
        y = np.einsum("kt,kt->k", sliding_window_view(x, taps)[self._first], self._table)
        return bytes(np.clip(np.rint(y), -32768, 32767).astype("<i2").tobytes())

    def reset(self) -> None:
        """What comes next does not follow on what came last."""
        self._history = np.zeros_like(self._history)
