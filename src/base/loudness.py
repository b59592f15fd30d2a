"""How loud speech is, and keeping it from clipping. Pure.

`active_speech_level` is method B of ITU-T Recommendation P.56 (12/2011), "Objective measurement of active speech
level": the level of a recording while somebody speaks, pauses left out. Levels are dB relative to a full-scale square
wave (dBFS here, dBov in ITU terms), so that a full-scale sine is at -3.

`PeakLimiter` holds peaks under a ceiling by looking ahead, so that a gain that fits the speech level never clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

ENVELOPE_S = 0.03
"""Time constant of the envelope (P.56: T)."""
HANGOVER_S = 0.2
"""Pauses shorter than this count as speech (P.56: H)."""
MARGIN_DB = 15.9
"""Between the threshold of activity and the active level (P.56: M)."""

_THRESHOLDS = 2.0 ** -np.arange(15, 0, -1)
_BLOCK = 256
_STEP_S = 0.001
"""The envelope is compared with the thresholds this often, not at every sample: it moves in 30 ms."""


@dataclass(frozen=True, slots=True)
class SpeechLevel:
    """`dbfs` is -inf and `activity` 0 where nobody speaks. `activity` is the part of the time with speech."""

    dbfs: float
    activity: float


def active_speech_level(samples: Samples, rate: int) -> SpeechLevel:
    """Measures mono `samples` in [-1, 1], shape (n,), at `rate` Hz. Needs about a second of speech to mean much."""
    x = np.asarray(samples, dtype=np.float64)
    power = float(np.sum(x * x))
    if power == 0.0:
        return SpeechLevel(float("-inf"), 0.0)
    factor = float(np.exp(-1.0 / (rate * ENVELOPE_S)))
    envelope = _smooth(_smooth(np.abs(x), factor), factor)
    step = max(1, round(rate * _STEP_S))
    points = envelope[step - 1 :: step]
    if not len(points):
        return SpeechLevel(float("-inf"), 0.0)
    hangover = round(HANGOVER_S * rate / step)
    active = np.array([_active(points >= c, hangover) for c in _THRESHOLDS]) * (len(x) / len(points))
    if active[0] == 0:
        return SpeechLevel(float("-inf"), 0.0)
    heard = active > 0
    levels = 10.0 * np.log10(power / active[heard])
    thresholds = 20.0 * np.log10(_THRESHOLDS[heard])
    level = _where_margin_is_met(levels, thresholds)
    share = power / len(x) / 10.0 ** (level / 10.0)
    return SpeechLevel(level, min(1.0, share))


def _smooth(x: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """First-order recursive average y[n] = factor*y[n-1] + (1-factor)*x[n], a block at a time."""
    n = len(x)
    padded = np.zeros(-(-n // _BLOCK) * _BLOCK)
    padded[:n] = x
    index = np.arange(_BLOCK)
    lag = index[:, None] - index[None, :]
    inside = np.where(lag >= 0, (1.0 - factor) * factor ** np.maximum(lag, 0), 0.0)
    rows = padded.reshape(-1, _BLOCK) @ inside.T
    decay = factor ** (index + 1.0)
    last = 0.0
    for row in rows:
        row += last * decay
        last = row[-1]
    out: NDArray[np.float64] = rows.reshape(-1)[:n]
    return out


def _active(above: NDArray[np.bool_], hangover: int) -> int:
    """Points that are above, or follow one within the hangover."""
    if not above.any():
        return 0
    index = np.arange(len(above))
    last = np.maximum.accumulate(np.where(above, index, -(hangover + 1)))
    return int(np.count_nonzero(index - last <= hangover))


def _where_margin_is_met(levels: NDArray[np.float64], thresholds: NDArray[np.float64]) -> float:
    """The level at which level - threshold = MARGIN_DB, linear between the two thresholds around it."""
    over = levels - thresholds - MARGIN_DB
    if over[0] <= 0:
        return float(levels[0])
    met = np.nonzero(over <= 0)[0]
    if not len(met):
        return float(levels[-1])
    j = int(met[0])
    part = over[j - 1] / (over[j - 1] - over[j])
    return float(levels[j - 1] + part * (levels[j] - levels[j - 1]))


class PeakLimiter:
    """Keeps one stream under `ceiling` (full scale is 1) without clipping it: gain falls 6 ms ahead of a peak.

    What does not reach the ceiling passes unchanged. `process` returns fewer samples than it got, at first; `flush`
    returns the rest, so that in all as many come out as went in, at the same places. After `flush` it is new again.

    How: each 1 ms block needs a gain; the least over the next 4 and the last 20 ms, averaged over 5 ms, is never more
    than any block of them needs; between blocks the gain moves linearly along the lesser of both.
    """

    AHEAD = 4
    HOLD = 20

    def __init__(self, rate: int, ceiling: float = 0.891) -> None:
        self._block = max(1, rate // 1000)
        self._ceiling = ceiling
        self._reset()

    def _reset(self) -> None:
        self._waiting: Samples = np.zeros(0, dtype=np.float32)
        """Samples from the first block on whose output is still to come."""
        self._needs = np.ones(self.HOLD + self.AHEAD + 1, dtype=np.float64)
        """Gains needed by the blocks before the first waiting one."""
        self._calm = True
        """None of them needs one."""

    def process(self, samples: Samples) -> Samples:
        return self._run(samples, last=False)

    def flush(self) -> Samples:
        out = self._run(np.zeros(0, dtype=np.float32), last=True)
        self._reset()
        return out

    def _run(self, samples: Samples, *, last: bool) -> Samples:
        size, ahead = self._block, self.AHEAD
        x = np.concatenate((self._waiting, samples)).astype(np.float32, copy=False)
        whole = -(-len(x) // size) if last else len(x) // size
        ready = whole if last else max(0, whole - ahead - 1)
        if not ready:
            self._waiting = x
            return np.zeros(0, dtype=np.float32)
        if self._calm and not last and max(x.max(), -x.min()) <= self._ceiling:
            # What most sound is like: nothing needs a gain, nor did what came before.
            self._waiting = x[ready * size :]
            return x[: ready * size]
        padded = np.zeros(whole * size, dtype=np.float32)
        padded[: min(len(x), len(padded))] = x[: len(padded)]
        peaks = np.abs(padded).reshape(whole, size).max(axis=1).astype(np.float64)
        needs = np.concatenate((self._needs, np.minimum(1.0, self._ceiling / np.maximum(peaks, 1e-9))))
        out = padded[: ready * size]
        if needs.min() < 1.0:
            out = out * self._gains(np.concatenate((needs, np.ones(ahead + 1))), ready)
        self._needs = needs[ready : ready + len(self._needs)]
        self._calm = bool(self._needs.min() == 1.0)
        self._waiting = x[ready * size :]
        return out[: len(x)] if last else out

    def _gains(self, needs: NDArray[np.float64], ready: int) -> Samples:
        """Gains of the samples of `ready` blocks, of which the first stands at HOLD + AHEAD + 1 in `needs`."""
        windows = np.lib.stride_tricks.sliding_window_view(needs, self.HOLD + 1 + self.AHEAD)
        least = np.lib.stride_tricks.sliding_window_view(windows.min(axis=1), self.AHEAD + 1)
        smooth = least.mean(axis=1)[: ready + 2]  # of the block before the first, then of each
        edges = np.minimum(smooth[:-1], smooth[1:])
        part = np.arange(self._block) / self._block
        steps = edges[:-1, None] + (edges[1:, None] - edges[:-1, None]) * part[None, :]
        out: Samples = steps.reshape(-1).astype(np.float32)
        return out
