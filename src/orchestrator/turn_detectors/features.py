"""Whisper's log-mel features of the last eight seconds of a turn, as smart-turn wants them. Pure.

After Radford et al., "Robust speech recognition via large-scale weak supervision", 2022, and the feature extractor that
smart-turn v3 was trained with: 16 kHz, windows of 400 samples every 160, 80 Slaney mel bands up to 8 kHz, decibels cut
off 80 below the loudest; the audio is first brought to mean 0 and variance 1, silence before it included.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE

SECONDS = 8
BANDS = 80
FRAMES = 100 * SECONDS
_SAMPLES = UPLINK_RATE * SECONDS
_WINDOW, _HOP = 400, 160

Floats = NDArray[np.float32]


def features(pcm: bytes) -> Floats:
    """`pcm`: mono s16le at 16 kHz, any length; what is missing of eight seconds is silence before it. [1, 80, 800]."""
    audio = np.frombuffer(pcm[-2 * _SAMPLES :], "<i2").astype(np.float64) / 32768
    audio = np.concatenate([np.zeros(_SAMPLES - len(audio)), audio])
    audio = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
    padded = np.pad(audio, _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:FRAMES]
    power = np.abs(np.fft.rfft(windows * _hann(), axis=1)) ** 2
    log = np.log10(np.maximum(_mel() @ power.T, 1e-10))
    log = (np.maximum(log, log.max() - 8) + 4) / 4
    return np.asarray(log[np.newaxis], np.float32)


@cache
def _hann() -> NDArray[np.float64]:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW), np.float64)


@cache
def _mel() -> NDArray[np.float64]:
    """[80, 201]: triangles, evenly spaced on Slaney's scale, each of area one."""
    top = _to_mel(np.array([UPLINK_RATE / 2]))[0]
    edges = _to_hertz(np.linspace(0.0, top, BANDS + 2))
    bins = np.linspace(0.0, UPLINK_RATE / 2, _WINDOW // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)) * area[:, None], np.float64)


_BREAK_HZ, _BREAK_MEL, _STEP = 1000.0, 15.0, np.log(6.4) / 27.0
"""Slaney's scale is even up to 1 kHz, logarithmic above."""


def _to_mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _BREAK_MEL + np.log(np.maximum(hertz, _BREAK_HZ) / _BREAK_HZ) / _STEP
    return np.where(hertz < _BREAK_HZ, hertz * 3 / 200, above)


def _to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _BREAK_HZ * np.exp(_STEP * np.maximum(mel - _BREAK_MEL, 0.0))
    return np.where(mel < _BREAK_MEL, mel * 200 / 3, above)
