"""Voice activity: a speech probability and a level a frame in, speech started and ended out. Pure.

A frame is *voiced* when the detector says speech and its level stands out: above an absolute floor, and above the noise
floor by a margin. `trigger` voiced frames in a row start an utterance, at the first of them; `hangover` unvoiced
frames in a row end it, one past the last voiced sample. The noise floor follows quiet frames quickly down and slowly up
(minimum statistics, after Martin 2001, in its simplest form); `relearn_noise` takes the level of the last seconds for
noise, so that a steady hum that passed for speech ends.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from base.audio import UPLINK_RATE, rms_dbfs

FRAME_SAMPLES = UPLINK_RATE // 50


class Detector(Protocol):
    """Says how likely a frame is speech. One a stream: it may keep state."""

    frame_samples: int

    def probability(self, pcm: bytes) -> float:
        """0 to 1 for one frame of mono s16le at 16 kHz."""
        ...


@dataclass(frozen=True, slots=True)
class VadSettings:
    """Frames are 20 ms; levels in dBFS."""

    trigger: int = 2
    hangover: int = 10
    threshold: float = 0.5
    quietest_dbfs: float = -50.0
    margin_db: float = 6.0
    floor_start_dbfs: float = -65.0
    rise_db: float = 0.02
    """How fast the noise floor follows a rising level, a frame (1 dB a second)."""
    remembered: int = 100
    """Frames whose levels `relearn_noise` looks at."""


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


VadEvent = SpeechStarted | SpeechEnded


class Vad:
    """The rules; see the module."""

    def __init__(self, settings: VadSettings | None = None) -> None:
        self._settings = settings or VadSettings()
        self._trigger = self._settings.trigger
        self._floor = self._settings.floor_start_dbfs
        self._levels: deque[float] = deque(maxlen=self._settings.remembered)
        self._utterance = 0
        self._speaking = False
        self._voiced = 0
        self._unvoiced = 0
        self._first = 0
        self._last = 0

    @property
    def speaking(self) -> bool:
        return self._speaking

    @property
    def noise_dbfs(self) -> float:
        return self._floor

    def set_trigger(self, frames: int) -> None:
        self._trigger = max(1, frames)

    def relearn_noise(self) -> None:
        """What was loud lately is noise: the floor rises to its typical level."""
        if self._levels:
            self._floor = max(self._floor, sorted(self._levels)[len(self._levels) * 3 // 4])

    def push(self, sample: int, probability: float, rms: float) -> list[VadEvent]:
        """One frame whose first sample is `sample`, with its level in dBFS."""
        s = self._settings
        self._levels.append(rms)
        voiced = probability >= s.threshold and rms >= s.quietest_dbfs and rms >= self._floor + s.margin_db
        self._learn(rms, voiced)
        return self._voice(sample) if voiced else self._silence()

    def _learn(self, rms: float, voiced: bool) -> None:
        if rms < self._floor:
            self._floor += 0.2 * (max(rms, -90.0) - self._floor)
        elif not voiced:
            self._floor += min(self._settings.rise_db, rms - self._floor)

    def _voice(self, sample: int) -> list[VadEvent]:
        self._unvoiced = 0
        if self._voiced == 0:
            self._first = sample
        self._voiced += 1
        self._last = sample + FRAME_SAMPLES
        if self._speaking or self._voiced < self._trigger:
            return []
        self._speaking = True
        self._utterance += 1
        return [SpeechStarted(self._utterance, self._first)]

    def _silence(self) -> list[VadEvent]:
        if not self._speaking:
            self._voiced = 0
            return []
        self._unvoiced += 1
        if self._unvoiced < self._settings.hangover:
            return []
        self._speaking = False
        self._voiced = 0
        return [SpeechEnded(self._utterance, self._last)]


class FrameVad:
    """A detector and the rules, for one stream of 20 ms frames at 16 kHz."""

    def __init__(self, detector: Detector, settings: VadSettings | None = None) -> None:
        self._detector = detector
        self._vad = Vad(settings)

    @property
    def speaking(self) -> bool:
        return self._vad.speaking

    def set_trigger(self, frames: int) -> None:
        self._vad.set_trigger(frames)

    def relearn_noise(self) -> None:
        self._vad.relearn_noise()

    def push(self, sample: int, pcm: bytes) -> list[VadEvent]:
        rms = rms_dbfs(pcm)
        return self._vad.push(sample, self._detector.probability(pcm), rms)
