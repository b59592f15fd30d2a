"""What is too quiet to be speech."""

from __future__ import annotations

import numpy as np
import pytest

from asr.quiet import is_quiet

pytestmark = pytest.mark.unit


def _tone(level_dbfs: float, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(16_000 * seconds)) / 16_000
    return (np.sqrt(2) * 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * 200 * t)).astype(np.float32)


def test_what_is_below_the_floor_is_quiet() -> None:
    assert is_quiet(_tone(-58))
    assert not is_quiet(_tone(-52))
    assert is_quiet(np.zeros(0, dtype=np.float32))


def test_one_loud_moment_is_enough() -> None:
    assert not is_quiet(np.concatenate((np.zeros(32_000, dtype=np.float32), _tone(-40, 0.1))))
