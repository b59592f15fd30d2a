"""What counts as said."""

from __future__ import annotations

import pytest

from asr.engines.whisper.guard import is_said

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
