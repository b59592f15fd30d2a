"""What a VAD tells of a stream: when speech began and ended. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """`sample`: the first voiced one."""

    utterance: int
    sample: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """`sample`: one past the last voiced one."""

    utterance: int
    sample: int


@dataclass(frozen=True, slots=True)
class SpeechDismissed:
    """What started was no speech, after all. `sample`: one past the last that sounded like it."""

    utterance: int
    sample: int


VadEvent = SpeechStarted | SpeechEnded | SpeechDismissed
