"""What Whisper says and nobody said. Pure.

Given silence, hum or music it likes to say what such sounds had for subtitles ("Thank you."), or one word over and
over. Such text is known by what the model itself says of it (Radford et al. 2022, section 4.5: probability of no
speech, mean log-probability, compression of the text), and by the sound, which is not speech-like (`asr.speechlike`)
or is too quiet (`asr.quiet`).
"""

from __future__ import annotations

from dataclasses import dataclass


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
