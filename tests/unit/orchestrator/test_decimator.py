from __future__ import annotations

import itertools

import numpy as np
import pytest

from orchestrator.decimator import Decimator, decimated

pytestmark = pytest.mark.unit


def tone(hz: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    at = np.arange(round(seconds * rate)) / rate
    return np.rint(10_000 * np.sin(2 * np.pi * hz * at)).astype(np.int16)


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5, 6])
def test_what_is_heard_of_a_low_rate_passes_where_it_was(factor: int) -> None:
    found = decimated(tone(1_000, 8_000 * factor), factor).astype(float)
    found *= np.std(tone(1_000, 8_000)) / np.std(found)  # it is a little softer
    expected = tone(1_000, 8_000).astype(float)
    assert len(found) == len(expected)
    inside = slice(20, -20)
    # Within a sample of the higher rate: the filter's middle lies between two.
    assert np.sqrt(np.mean((found - expected)[inside] ** 2)) < 0.3 * np.sqrt(np.mean(expected[inside] ** 2))


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 6])
def test_what_the_low_rate_cannot_hold_does_not_come_back_as_something_else(factor: int) -> None:
    found = decimated(tone(8_000 * factor * 0.42 if factor > 2 else 6_500, 8_000 * factor), factor).astype(float)
    assert np.std(found[20:-20]) < 0.03 * 7_071


@pytest.mark.parametrize("factor", [1, 2, 5, 6])
def test_in_pieces_of_any_length_it_is_the_same(factor: int) -> None:
    rng = np.random.default_rng(1)
    sound = rng.integers(-32_768, 32_768, 5_000).astype(np.int16)
    whole = Decimator(factor).push(sound)
    pieces = Decimator(factor)
    cuts = [0, 1, 3, 10, 11, 500, 1_382, 1_382, 4_999, 5_000]
    found = np.concatenate([pieces.push(sound[a:b]) for a, b in itertools.pairwise(cuts)])
    assert np.array_equal(found, whole)
    assert len(whole) >= 5_000 // factor - 3


def test_the_loudest_does_not_wrap_around() -> None:
    loud = np.where(np.arange(6_000) // 40 % 2, 32_767, -32_768).astype(np.int16)
    found = decimated(loud, 6).astype(float)
    low = np.where(np.arange(1_000) * 6 // 40 % 2, 1.0, -1.0)
    assert float(np.mean(np.sign(found) == low)) > 0.8
    assert 20_000 < found.max() < 32_768


def test_silence_stays_silent() -> None:
    assert not decimated(np.zeros(960, np.int16), 6).any()
