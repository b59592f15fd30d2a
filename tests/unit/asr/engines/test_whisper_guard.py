"""What counts as said."""

from __future__ import annotations

import numpy as np
import pytest

from asr.engines.whisper.guard import is_quiet, is_said

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("no_speech", "log_probability", "compression", "speechlike", "said"),
    [
        (0.01, -0.2, 1.2, True, True),
        (0.7, -0.2, 1.2, True, True),
        (0.7, -0.8, 1.2, True, False),
        (0.9, -0.1, 1.2, True, False),
        (0.01, -1.1, 1.2, True, False),
        (0.01, -0.2, 2.5, True, False),
        (0.05, -0.2, 1.2, False, True),
        (0.3, -0.2, 1.2, False, False),
        (0.05, -0.5, 1.2, False, False),
    ],
    ids=[
        "plain speech", "quiet but clear", "probably silence", "surely silence", "a guess", "over and over",
        "a whisper that is clear", "hum", "noise",
    ],
)  # fmt: skip
def test_a_segment(no_speech: float, log_probability: float, compression: float, speechlike: bool, said: bool) -> None:
    assert is_said(no_speech, log_probability, compression, speechlike=speechlike) is said


def _tone(level_dbfs: float, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(16_000 * seconds)) / 16_000
    return (np.sqrt(2) * 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * 200 * t)).astype(np.float32)


def test_what_is_below_the_floor_is_quiet() -> None:
    assert is_quiet(_tone(-58))
    assert not is_quiet(_tone(-52))
    assert is_quiet(np.zeros(0, dtype=np.float32))


def test_one_loud_moment_is_enough() -> None:
    assert not is_quiet(np.concatenate((np.zeros(32_000, dtype=np.float32), _tone(-40, 0.1))))
