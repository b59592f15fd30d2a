"""What Whisper says and nobody said. Pure.

Given silence, hum or music it likes to say what such sounds had for subtitles ("Thank you."), or one word over and
over. Such text is known by what the model itself says of it (Radford et al. 2022, section 4.5: probability of no
speech, mean log-probability, compression of the text), and by the sound, which is not speech-like or is too quiet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE

FLOOR = 10 ** (-55 / 20)
"""RMS of the loudest 50 ms below which nobody speaks: -55 dBFS."""
_BLOCK = UPLINK_RATE // 20


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A segment with more, or with less log-probability, is dropped."""

    no_speech: float
    log_probability: float
    compression: float = 2.4


SPEECH = Thresholds(no_speech=0.85, log_probability=-1.0)
NOT_SPEECHLIKE = Thresholds(no_speech=0.2, log_probability=-0.35)
"""For sounds that speech does not make: somebody may whisper, but then the model is to be sure of it."""
_LIKELY_SILENCE = Thresholds(no_speech=0.6, log_probability=-0.6)
"""Either alone may be; both together are silence."""


def is_quiet(samples: NDArray[np.float32]) -> bool:
    """Whether nothing in it is loud enough to be speech. Full scale is 1."""
    if not len(samples):
        return True
    whole = len(samples) // _BLOCK * _BLOCK
    blocks = samples[:whole].reshape(-1, _BLOCK) if whole else samples[None, :]
    return bool(np.sqrt(np.mean(blocks * blocks, axis=1)).max() < FLOOR)


def is_said(no_speech: float, log_probability: float, compression: float, *, speechlike: bool) -> bool:
    """Whether a segment counts."""
    limits = SPEECH if speechlike else NOT_SPEECHLIKE
    silence = no_speech > _LIKELY_SILENCE.no_speech and log_probability < _LIKELY_SILENCE.log_probability
    return (
        not silence
        and no_speech <= limits.no_speech
        and log_probability >= limits.log_probability
        and compression <= limits.compression
    )
