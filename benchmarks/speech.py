"""What the simulated users say and make: speech, knocks, coughs, key clicks. Mono s16le at 16 kHz.

`synthetic_speech` has edges that are exact to the sample. `say` is a synthesiser's, made once with the espeak engine.
"""

from __future__ import annotations

import atexit
import functools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE, StreamResampler, from_float, to_float
from tts_workers.engine import Audio, Mark, ModelSpec, Request, Style
from tts_workers.engines.espeak.engine import EspeakEngine, EspeakModel

LEVEL = 0.1
"""RMS of what is said: -20 dBFS."""

VOICED_FLOOR = 0.02
"""Speech has begun at the first sample beyond this part of full scale, and ended after the last."""


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * UPLINK_RATE))


def room(seconds: float, seed: int = 1) -> bytes:
    """The noise of a quiet room, at -70 dBFS: a microphone is never silent."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * UPLINK_RATE)) * 3e-4
    return from_float(noise.astype(np.float32))


def synthetic_speech(seconds: float, *, pitch_hz: float = 120.0, seed: int = 1) -> bytes:
    """Vowels one after another, four syllables a second; voiced from its first sample to its last."""
    n = round(seconds * UPLINK_RATE)
    t = np.arange(n) / UPLINK_RATE
    rng = np.random.default_rng(seed)
    pitch = pitch_hz * (1 + 0.06 * np.sin(2 * np.pi * 1.3 * t))
    phase = np.cumsum(pitch) / UPLINK_RATE
    pulses = (np.diff(np.floor(phase), prepend=-1.0) > 0).astype(np.float64)
    out = np.zeros(n)
    formants = [(730, 1090, 2440), (270, 2290, 3010), (530, 1840, 2480), (570, 840, 2410)]
    for at in range(0, n, UPLINK_RATE // 4):
        piece = slice(at, min(n, at + UPLINK_RATE // 4))
        for number, centre in enumerate(formants[int(rng.integers(len(formants)))]):
            out[piece] += _resonate(pulses[piece], centre, 80 + 40 * number) / (1 + number)
    envelope = 0.65 - 0.35 * np.cos(2 * np.pi * 4 * t)
    return _levelled(out * envelope)


def noise_burst(seconds: float = 0.1, seed: int = 1, level: float = LEVEL) -> bytes:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * UPLINK_RATE))
    return _levelled(noise, level)


def knock(seed: int = 1) -> bytes:
    """A fist on a table: a thump of 120 ms around 180 Hz."""
    t = np.arange(round(0.12 * UPLINK_RATE)) / UPLINK_RATE
    click = np.random.default_rng(seed).standard_normal(len(t)) * np.exp(-t / 0.004)
    return _levelled(np.sin(2 * np.pi * 180 * t) * np.exp(-t / 0.03) + click, LEVEL * 1.5)


def cough(seed: int = 1) -> bytes:
    """A burst of breath, then a voiced tail: 250 ms."""
    t = np.arange(round(0.25 * UPLINK_RATE)) / UPLINK_RATE
    breath = np.random.default_rng(seed).standard_normal(len(t)) * np.exp(-t / 0.05)
    tail = to_float(synthetic_speech(0.25, seed=seed)).astype(np.float64)[: len(t)] * 8 * (t > 0.08)
    return _levelled(breath + tail * np.exp(-t / 0.08), LEVEL * 1.5)


def key_click(seed: int = 1) -> bytes:
    """A key of a laptop: 12 ms of noise, and a softer one as it comes up."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(0.09 * UPLINK_RATE)) / UPLINK_RATE
    down = rng.standard_normal(len(t)) * np.exp(-t / 0.004)
    up = rng.standard_normal(len(t)) * np.exp(-np.maximum(0, t - 0.07) / 0.003) * (t > 0.07) * 0.4
    return _levelled(down + up, LEVEL * 0.6)


@functools.lru_cache(maxsize=512)
def say(text: str, voice: str = "en-us", rate: float = 1.0) -> bytes:
    """`text` by the espeak engine at 16 kHz, trimmed to what is voiced: its edges are those of the samples."""
    return trimmed(utterance(text, voice, rate))


@functools.lru_cache(maxsize=512)
def utterance(text: str, voice: str = "en-us", rate: float = 1.0) -> bytes:
    """`text` by the espeak engine at 16 kHz, with its soft edges."""
    pcm, sample_rate = spoken(text, voice, rate)
    resampler = StreamResampler(sample_rate, UPLINK_RATE)
    return levelled(resampler.process(pcm) + resampler.flush())


def spoken(text: str, voice: str, rate: float = 1.0) -> tuple[bytes, int]:
    """What the espeak engine itself makes of `text`, and its sample rate."""
    parts = synthesis(text, voice, rate)
    return b"".join(part.data for part in parts if isinstance(part, Audio)), espeak_rate()


def synthesis(text: str, voice: str, rate: float = 1.0) -> Iterator[Audio | Mark]:
    """The same as it comes, with the marks of its words."""
    return _espeak().synthesize(Request(turn=1, text=text, voice=voice, style=Style(rate=rate)))


def espeak_rate() -> int:
    """Samples a second of what the espeak engine makes."""
    return _espeak().info.sample_rate


@functools.cache
def _espeak() -> EspeakModel:
    model = EspeakEngine().load(ModelSpec(id="espeak", engine="espeak"))
    atexit.register(model.close)
    return model


def voiced_span(pcm: bytes) -> tuple[int, int]:
    """First voiced sample and the one after the last; (0, 0) when there is none."""
    loud = np.flatnonzero(np.abs(to_float(pcm)) >= VOICED_FLOOR)
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, 0)


def levelled(pcm: bytes) -> bytes:
    """Brought to LEVEL."""
    return _levelled(to_float(pcm).astype(np.float64))


def trimmed(pcm: bytes) -> bytes:
    start, end = voiced_span(pcm)
    return pcm[2 * start : 2 * end]


def _resonate(x: NDArray[np.float64], centre: float, width: float) -> NDArray[np.float64]:
    """A two-pole resonator by its impulse response, which has died down within 40 ms."""
    t = np.arange(UPLINK_RATE // 25) / UPLINK_RATE
    response = np.exp(-np.pi * width * t) * np.sin(2 * np.pi * centre * t)
    return np.convolve(x, response)[: len(x)]


def _levelled(x: NDArray[np.float64], level: float = LEVEL) -> bytes:
    rms = float(np.sqrt(np.mean(x * x))) or 1.0
    return from_float(np.clip(x * (level / rms), -0.99, 0.99).astype(np.float32))
