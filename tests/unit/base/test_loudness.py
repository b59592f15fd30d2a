"""Speech level against a literal transcription of ITU-T P.56, and the limiter's promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.loudness import PeakLimiter, active_speech_level

pytestmark = pytest.mark.unit

RATE = 8_000


def tone(seconds: float, amplitude: float, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * 200 * t)).astype(np.float32)


def silence(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.zeros(round(seconds * rate), dtype=np.float32)


def babble(seed: int, seconds: float) -> np.ndarray:
    """Noise in syllables and pauses of speech-like lengths."""
    rng = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * RATE:
        n = rng.integers(800, 2400)
        envelope = np.hanning(n) * rng.uniform(0.1, 0.6)
        parts.append((rng.normal(size=n) * 0.3 * envelope).astype(np.float32))
        parts.append(np.zeros(rng.integers(100, 6000 if rng.random() < 0.2 else 800), dtype=np.float32))
    return np.clip(np.concatenate(parts), -1, 1)


def p56_literally(x: np.ndarray, rate: int) -> float:
    """The recommendation's steps, sample by sample (slow)."""
    g = math.exp(-1 / (rate * 0.03))
    hang = math.floor(rate * 0.2 + 0.5)
    thresholds = [2.0 ** (j - 15) for j in range(15)]
    active = [0] * 15
    since = [hang] * 15
    p = q = square = 0.0
    for value in x.astype(float):
        square += value * value
        p = g * p + (1 - g) * abs(value)
        q = g * q + (1 - g) * p
        for j, c in enumerate(thresholds):
            if q >= c:
                active[j] += 1
                since[j] = 0
            elif since[j] < hang:
                active[j] += 1
                since[j] += 1
    previous: tuple[float, float] | None = None
    for j, c in enumerate(thresholds):
        if not active[j]:
            break
        level = 10 * math.log10(square / active[j])
        over = level - 20 * math.log10(c) - 15.9
        if over <= 0:
            if previous is None:
                return level
            return previous[0] + (level - previous[0]) * previous[1] / (previous[1] - over)
        previous = (level, over)
    assert previous is not None
    return previous[0]


@pytest.mark.parametrize("seed", range(3))
def test_level_is_that_of_the_recommendation(seed: int) -> None:
    x = babble(seed, 6.0)
    assert active_speech_level(x, RATE).dbfs == pytest.approx(p56_literally(x, RATE), abs=0.05)


def test_pauses_do_not_lower_the_level() -> None:
    speech = babble(1, 5.0)
    paused = np.concatenate([speech, silence(10.0)])
    assert active_speech_level(paused, RATE).dbfs == pytest.approx(active_speech_level(speech, RATE).dbfs, abs=0.3)
    assert active_speech_level(paused, RATE).activity < 0.5


def test_a_steady_tone_has_its_rms_level() -> None:
    level = active_speech_level(tone(3.0, 0.5), RATE)
    assert level.dbfs == pytest.approx(20 * math.log10(0.5) - 3.01, abs=0.2)
    assert level.activity > 0.95


def test_level_follows_gain_exactly() -> None:
    x = babble(2, 5.0)
    louder = active_speech_level(x * np.float32(2.0), RATE).dbfs
    assert louder - active_speech_level(x, RATE).dbfs == pytest.approx(6.02, abs=0.15)


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(8000, np.float32), np.ones(1, np.float32) * 0.5])
def test_no_speech_has_no_level(samples: np.ndarray) -> None:
    level = active_speech_level(samples, RATE)
    assert level.dbfs == float("-inf")
    assert level.activity == 0.0


def in_pieces(limiter: PeakLimiter, x: np.ndarray, sizes: list[int]) -> np.ndarray:
    out = []
    at = 0
    for size in sizes:
        out.append(limiter.process(x[at : at + size]))
        at += size
    out.append(limiter.process(x[at:]))
    out.append(limiter.flush())
    return np.concatenate(out)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000),
    gain=st.floats(0.1, 20.0),
    sizes=st.lists(st.integers(0, 900), max_size=12),
    rate=st.sampled_from([8_000, 22_050, 48_000]),
)
def test_limiter_holds_the_ceiling_and_loses_no_sample(seed: int, gain: float, sizes: list[int], rate: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=6000) * 0.1 * gain * (rng.random(6000) < 0.5)).astype(np.float32)
    y = in_pieces(PeakLimiter(rate), x, sizes)
    assert len(y) == len(x)
    assert np.abs(y).max(initial=0) <= 0.891 + 1e-4
    assert np.all(np.sign(y) == np.sign(x))
    whole = in_pieces(PeakLimiter(rate), x, [])
    np.testing.assert_allclose(y, whole, atol=1e-5)


def test_limiter_leaves_quiet_audio_alone() -> None:
    x = tone(1.0, 0.8)
    np.testing.assert_array_equal(in_pieces(PeakLimiter(RATE), x, [100, 333, 160]), x)


def test_limiter_gain_moves_without_steps() -> None:
    x = np.full(RATE, 0.5, dtype=np.float32)
    x[4000:4010] = 4.0
    y = in_pieces(PeakLimiter(RATE), x, [777] * 5)
    gain = y / x
    assert gain.min() == pytest.approx(0.891 / 4, rel=0.01)
    assert np.abs(np.diff(gain)).max() < 0.04
    assert gain[:3900].min() == 1.0
    assert gain[4400:].min() == 1.0


def test_limiter_is_new_after_flush() -> None:
    limiter = PeakLimiter(RATE)
    in_pieces(limiter, np.full(500, 3.0, dtype=np.float32), [])
    x = tone(0.2, 0.5)
    np.testing.assert_array_equal(in_pieces(limiter, x, []), x)
