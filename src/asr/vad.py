"""Voice activity: a speech probability and levels a frame in, speech started and ended out. Pure.

A block of 5 ms is *loud* when it stands out of the noise (noise.py). Loud blocks with gaps of at most 15 ms make a
*sound*; a block far louder than all before it begins a new one, so that a knock on top of a murmur is judged alone.

**Speech starts** with a sound that the detector takes for speech and that lasts: for the usual trigger of two frames,
20 ms of it (four blocks of the last eight) must be about as loud as its loudest, and it must not be dying away. That is
what tells speech from key clicks and knocks, which are over before their echo is; and it is as quick as a detector that
answers once in 20 ms can be: half of all beginnings are told within 30 ms of their first sample.

**Speech ends** when nothing was voiced for `hangover` frames; news of it carries the last voiced sample, to a block. A
detector's own hang-over does not count, nor does what lies `range_db` below the loudest of the utterance: that is echo,
or somebody else. After a pause of 80 ms a sound must last again to count; a click does not keep an utterance alive.

At most one piece of news a frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from asr.judged import Judged, JudgeSettings
from asr.levels import BLOCK_SAMPLES, BLOCKS, FRAME_SAMPLES, SILENT_DBFS, block_levels
from asr.noise import NoiseFloor
from asr.speech_news import SpeechDismissed, SpeechEnded, SpeechStarted, VadEvent
from asr.waking import Judge, WakingJudge

__all__ = [
    "FRAME_SAMPLES",
    "Detector",
    "FrameVad",
    "SpeechDismissed",
    "SpeechEnded",
    "SpeechStarted",
    "Vad",
    "VadEvent",
    "VadSettings",
]


class Detector(Protocol):
    """Says how likely a stretch of sound is speech. One a stream: it may keep state.

    `frame_samples`: how many samples it wants at a time; FrameVad cuts for it.
    """

    frame_samples: int

    def probability(self, pcm: bytes) -> float:
        """0 to 1 for `frame_samples` of mono s16le at 16 kHz. Raises ValueError for another length."""
        ...


@dataclass(frozen=True, slots=True)
class VadSettings:
    """Frames are 20 ms; levels in dBFS as in levels.py."""

    trigger: int = 2
    """Frames that a sound must fill to be speech, the first of them in part."""
    hangover: int = 10
    """Frames without voice that end an utterance."""
    threshold: float = 0.5
    """The detector's probability from which a frame is speech."""
    quietest_dbfs: float = -63.0
    margin_db: float = 3.5
    """So far above the noise a sound begins to be one; the noise is measured by its loudest blocks."""
    going_on_db: float = 2.5
    """The same while somebody speaks: weak syllables belong to the strong ones before them."""
    ceiling_db: float = 3.0
    """The same above a noise learnt by `relearn_noise`."""
    range_db: float = 28.0
    near_db: float = 15.0
    """A block counts towards the trigger when it is at most so far below the sound's loudest."""
    dying_db: float = 8.0
    """Nothing starts when the last 10 ms are so far below the sound's loudest."""
    jump_db: float = 20.0
    """A block that exceeds all of a sound by so much begins another."""


_GAP_BLOCKS = 3
_JOIN_SAMPLES = 16 * BLOCK_SAMPLES
_FADE_DB = 1.2
"""How fast a sound's loudest block is forgotten, a frame (60 dB a second)."""
_TIRE_DB = 0.1
"""How fast the utterance's is (5 dB a second)."""


class _Sound:
    """Loud blocks that belong together."""

    def __init__(self) -> None:
        self.first = self.end = 0
        self.loudest = SILENT_DBFS
        self.frames = self.taken = 0
        """How many frames the detector took for speech, and the first sample of the first of them. What sounded long
        before that was something else: speech began at most one frame before the detector saw it.
        """
        self._levels: deque[float] = deque(maxlen=8 * BLOCKS)
        self._gap = 0

    def clear(self) -> None:
        self._levels.clear()

    def block(self, sample: int, level: float, loud: bool, jump_db: float) -> None:
        if not loud:
            self._gap += 1
            if self._levels:
                self._levels.append(SILENT_DBFS)
            return
        if not self._levels or self._gap > _GAP_BLOCKS or level > self.loudest + jump_db:
            self._levels.clear()
            self.first, self.loudest, self.frames = sample, level, 0
        self._gap = 0
        self._levels.append(level)
        self.loudest = max(self.loudest, level)
        self.end = sample + BLOCK_SAMPLES

    def pause(self, blocks: int) -> None:
        """So many blocks that are not loud."""
        self._gap += blocks
        if self._levels:
            self._levels.extend([SILENT_DBFS] * blocks)

    def take(self, sample: int) -> None:
        """The detector takes the frame that begins at `sample` for speech."""
        self.frames += 1
        if self.frames == 1:
            self.taken = sample

    def near(self, blocks: int, near_db: float) -> int:
        """How many of the last `blocks` are about as loud as the loudest."""
        levels = list(self._levels)[-blocks:]
        return sum(level >= self.loudest - near_db for level in levels)

    def fade(self) -> None:
        self.loudest -= _FADE_DB


class Vad:
    """The rules; see the module."""

    def __init__(self, settings: VadSettings | None = None) -> None:
        self._settings = settings or VadSettings()
        self._trigger = self._settings.trigger
        self._noise = NoiseFloor()
        self._sound = _Sound()
        self._next: int | None = None
        self._utterance = 0
        self._speaking = False
        self._loudest = SILENT_DBFS
        self._first = self._last = 0
        self.sounding = False
        """The last frame stood out of the noise, and the detector took it for speech."""

    @property
    def span(self) -> tuple[int, int] | None:
        """Of the utterance that goes on: its first sample, and one past its last voiced one so far."""
        return (self._first, self._last) if self._speaking else None

    @property
    def speaking(self) -> bool:
        return self._speaking

    @property
    def noise_dbfs(self) -> float:
        """What is taken for the level of the noise."""
        return max(self._noise.floor_dbfs, self._noise.ceiling_dbfs)

    def set_trigger(self, frames: int) -> None:
        """How many frames a sound must fill from now on; 1 to 8."""
        self._trigger = min(max(frames, 1), 8)

    def relearn_noise(self) -> None:
        """What was loud lately is noise: what is no louder ends, and starts nothing."""
        self._noise.relearn()

    def push(self, sample: int, probability: float, levels: Sequence[float]) -> list[VadEvent]:
        """One frame whose first sample is `sample`, with the levels of its BLOCKS blocks.

        Samples may be missing before it: they are taken for silence. Raises ValueError for a frame from the past.
        """
        loudest = max(levels)
        if self._next is None:
            self._noise.begin(loudest)
        elif sample < self._next:
            raise ValueError(f"a frame at sample {sample} after one that ended at {self._next}; frames come in order")
        elif sample > self._next:
            self._sound.clear()
        self._next = sample + FRAME_SAMPLES
        speech = probability >= self._settings.threshold
        sounding = self._listen(sample, levels, loudest)
        self.sounding = speech and sounding
        news = self._go_on(self.sounding, levels) if self._speaking else self._begin(self.sounding, levels)
        if sounding:
            self._sound.fade()
        self._noise.hear(loudest, speech=self._speaking or self.sounding)
        return news

    def _listen(self, sample: int, levels: Sequence[float], loudest: float) -> bool:
        """Whether the frame has part in a sound."""
        limit = self._limit()
        if loudest < limit:
            self._sound.pause(len(levels))
            return False
        jump_db = self._settings.jump_db
        for number, level in enumerate(levels):
            self._sound.block(sample + number * BLOCK_SAMPLES, level, level >= limit, jump_db)
        return True

    def _limit(self) -> float:
        s, noise = self._settings, self._noise
        limit = max(s.quietest_dbfs, noise.ceiling_dbfs + s.ceiling_db)
        if self._speaking:
            return max(limit, noise.floor_dbfs + s.going_on_db, self._loudest - s.range_db)
        return max(limit, noise.floor_dbfs + s.margin_db)

    def _begin(self, voiced: bool, levels: Sequence[float]) -> list[VadEvent]:
        if not (voiced and self._lasts(levels)):
            return []
        self._speaking = True
        self._utterance += 1
        self._loudest = max(levels)
        self._first = max(self._last, self._sound.first, self._sound.taken - FRAME_SAMPLES)
        self._last = self._sound.end
        return [SpeechStarted(self._utterance, self._first)]

    def _go_on(self, voiced: bool, levels: Sequence[float]) -> list[VadEvent]:
        if voiced:
            lasts = self._lasts(levels)
            if lasts or self._sound.first - self._last <= _JOIN_SAMPLES:
                self._last = self._sound.end
            self._loudest = max(self._loudest - _TIRE_DB, max(levels))
        assert self._next is not None
        if self._next - self._last < self._settings.hangover * FRAME_SAMPLES:
            return []
        self._speaking = False
        return [SpeechEnded(self._utterance, self._last)]

    def _lasts(self, levels: Sequence[float]) -> bool:
        """Whether the sound, which the detector takes for speech, is no click."""
        s, sound = self._settings, self._sound
        assert self._next is not None
        sound.take(self._next - FRAME_SAMPLES)
        whole = max(self._trigger - 1, 1)
        return (
            sound.frames >= whole
            and sound.near(BLOCKS * self._trigger, s.near_db) >= BLOCKS * whole
            and max(levels[-2:]) >= sound.loudest - s.dying_db
        )


class FrameVad:
    """A detector and the rules, for one stream of 20 ms frames at 16 kHz; and, where there is one, a judge beside them
    (judged.py).
    """

    def __init__(
        self,
        detector: Detector,
        settings: VadSettings | None = None,
        *,
        judge: Judge | None = None,
        judged: JudgeSettings | None = None,
    ) -> None:
        self._detector = detector
        self._settings = settings or VadSettings()
        self._vad = Vad(self._settings)
        self._judge = WakingJudge(judge) if judge is not None else None
        self._judged = Judged(judged)
        self._size = detector.frame_samples * 2
        self._rest = b""
        self._probability = 0.0
        self.loudest_dbfs = SILENT_DBFS
        """The loudest block of the last frame (levels.py)."""

    @property
    def speaking(self) -> bool:
        return self._vad.speaking if self._judge is None else self._judged.speaking

    def set_trigger(self, frames: int) -> None:
        self._vad.set_trigger(frames)
        self._judged.careful = frames > self._settings.trigger

    def set_over_reply(self, over: bool) -> None:
        """Whether a reply sounds, or may do so in a moment. Without a judge it makes no difference."""
        self._judged.over_reply = over

    def relearn_noise(self) -> None:
        self._vad.relearn_noise()

    def push(self, sample: int, pcm: bytes) -> list[VadEvent]:
        """One frame whose first sample is `sample`. Raises ValueError for another length, or a frame from the past."""
        levels = block_levels(pcm)
        self.loudest_dbfs = max(levels)
        news = self._vad.push(sample, self._detect(pcm), levels)
        if self._judge is None:
            return news
        sounding = self._vad.sounding or self._vad.speaking or self._judged.speaking
        probability = self._judge.push(pcm, sounding=sounding, steady=self._judged.agreed)
        return self._judged.push(sample, self._vad.span, probability, levels)

    def _detect(self, pcm: bytes) -> float:
        """The highest answer that this frame completes; the last one where it completes none."""
        if self._size == len(pcm):
            return self._detector.probability(pcm)
        self._rest += pcm
        whole = len(self._rest) // self._size * self._size
        if whole:
            pieces = (self._rest[at : at + self._size] for at in range(0, whole, self._size))
            self._probability = max(map(self._detector.probability, pieces))
            self._rest = self._rest[whole:]
        return self._probability
