"""Does this sound like somebody speaking? For recognisers that hear words in any noise. Pure.

Over the frames that stand out of the quiet (32 ms, every 10 ms), speech has all of these at once, and steady noise,
hum, chords, whistling, typing and coughs each lack one: enough frames with a pitch (normalised autocorrelation between
70 and 400 Hz, after Boersma 1993), a spectrum that keeps changing (distance of log band energies over 40 ms), that does
not stay within one shape (their deviation over time), and a level that rises and falls with the syllables.
The contract tests of recognisers hold the limits to noises and to speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE

HOP = UPLINK_RATE // 100
WINDOW = 512
_FFT = 1024
_LAGS = slice(UPLINK_RATE // 400, UPLINK_RATE // 70)
_APART = 4
"""Frames between the two spectra whose distance is the change."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Traits:
    """What was measured. `active` and `pitched` are frames of 10 ms; the rest are dB."""

    active: int = 0
    pitched: int = 0
    change_db: float = 0.0
    spread_db: float = 0.0
    level_db: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Speech has at least these."""

    pitched: int = 12
    change_db: float = 3.0
    spread_db: float = 3.6
    level_db: float = 2.5


class Speechlike:
    """Collects one utterance, piece by piece; mono s16le at 16 kHz."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._rest = np.zeros(0)
        self._energy: list[Floats] = []
        self._pitch: list[Floats] = []
        self._bands: list[Floats] = []

    def push(self, pcm: bytes) -> None:
        samples = np.concatenate((self._rest, np.frombuffer(pcm, dtype="<i2").astype(np.float64)))
        count = (len(samples) - WINDOW) // HOP + 1
        if count <= 0:
            self._rest = samples
            return
        self._rest = samples[count * HOP :]
        frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP][:count]
        power = np.abs(np.fft.rfft(frames * _TABLES.window, _FFT)) ** 2
        self._energy.append(10 * np.log10(power.sum(1) / WINDOW**2 + 1e-3))
        correlation = np.fft.irfft(power)[:, : _LAGS.stop]
        normal = correlation[:, _LAGS] / (correlation[:, :1] + 1e-9) / _TABLES.own_correlation[_LAGS]
        self._pitch.append(normal.max(1))
        bands = 10 * np.log10(np.add.reduceat(power, _TABLES.edges, axis=1)[:, :-1] + 1e2)
        self._bands.append(bands - bands.mean(1, keepdims=True))

    def traits(self) -> Traits:
        if not self._energy:
            return Traits()
        energy, pitch, bands = map(np.concatenate, (self._energy, self._pitch, self._bands))
        active = energy > max(float(np.percentile(energy, 5)) + 8.0, float(energy.max()) - 30.0)
        if not active.any():
            return Traits()
        change = np.zeros(len(bands))
        change[_APART:] = np.sqrt(((bands[_APART:] - bands[:-_APART]) ** 2).mean(1))
        return Traits(
            active=int(active.sum()),
            pitched=int((active & (pitch > 0.5)).sum()),
            change_db=float(np.median(change[active])),
            spread_db=float(np.sqrt(bands[active].var(0).mean())),
            level_db=float(energy[active].std()),
        )

    def verdict(self) -> bool:
        """Whether what came so far sounds like speech."""
        t, limits = self.traits(), self._limits
        return (
            t.pitched >= limits.pitched
            and t.change_db >= limits.change_db
            and t.spread_db >= limits.spread_db
            and t.level_db >= limits.level_db
        )


class _Tables:
    """The window, its autocorrelation (which the frames' own is divided by) and the edges of 18 bands to 6.2 kHz."""

    def __init__(self) -> None:
        self.window: Floats = np.hanning(WINDOW)
        spectrum: NDArray[Any] = np.abs(np.fft.rfft(self.window, _FFT)) ** 2
        own = np.fft.irfft(spectrum)
        self.own_correlation: Floats = own / own[0]
        self.edges = np.unique(np.round(np.geomspace(4, 200, 19)).astype(np.intp)) * 2


_TABLES = _Tables()
