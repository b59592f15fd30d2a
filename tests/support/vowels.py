"""A voice without words: a pulse train through three formants, which every detector takes for speech."""

from __future__ import annotations

import numpy as np


def vowel(seconds: float, *, level_dbfs: float = -20.0, pitch_hz: float = 120.0, rate: int = 16_000) -> bytes:
    """Mono s16le of an "ah" at a level in dBFS, with a little vibrato and breath."""
    n = round(seconds * rate)
    t = np.arange(n) / rate
    phase = np.cumsum(pitch_hz * (1 + 0.02 * np.sin(2 * np.pi * 5 * t))) / rate
    source = (phase % 1.0) * -2.0 + 1.0 + np.random.default_rng(7).normal(0, 0.02, n)
    spectrum = np.fft.rfft(source)
    hz = np.fft.rfftfreq(n, 1 / rate)
    shape = sum(
        gain / (1 + ((hz - f) / width) ** 2) for f, width, gain in ((700, 90, 1.0), (1200, 110, 0.6), (2600, 160, 0.3))
    )
    voice = np.fft.irfft(spectrum * shape, n)
    voice *= 32768 * 10 ** (level_dbfs / 20) / np.sqrt(np.mean(voice**2))
    return bytes(np.clip(voice, -32768, 32767).astype("<i2").tobytes())
