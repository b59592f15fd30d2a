"""Whisper's features: shape, range, where the tones are, and what does not change them."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.turn_detectors.features import features

pytestmark = pytest.mark.unit

RATE = 16_000


def tone(hertz: float, seconds: float, level: float = 0.3) -> bytes:
    wave = np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE)
    return (wave * level * 32767).astype("<i2").tobytes()


@pytest.mark.parametrize("seconds", [0.0, 0.01, 1.0, 8.0, 11.0])
def test_any_length_gives_eight_seconds(seconds: float) -> None:
    found = features(tone(440, seconds))
    assert found.shape == (1, 80, 800)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found.max() - found.min() <= 2.0 + 1e-6, "decibels are cut off 80 below the loudest"


def test_what_is_missing_is_silence_before_it() -> None:
    found = features(tone(440, 2.0))[0]
    assert found[:, :580].max() < found[:, 620:].max() - 1.0


def test_the_last_eight_seconds_count() -> None:
    assert np.array_equal(features(tone(440, 1.0) + tone(880, 8.0)), features(tone(880, 8.0)))


@pytest.mark.parametrize(("hertz", "band"), [(200, 5), (1000, 26), (4000, 61)])
def test_a_tone_is_in_its_mel_band(hertz: float, band: int) -> None:
    found = features(tone(hertz, 8.0))[0]
    assert abs(int(found[:, 400].argmax()) - band) <= 1


def test_loudness_does_not_matter() -> None:
    assert np.allclose(features(tone(440, 8.0, 0.5)), features(tone(440, 8.0, 0.1)), atol=0.02)
