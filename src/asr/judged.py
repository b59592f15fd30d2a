"""Two opinions about speech: quick rules (vad.py), and a slower judge that is surer. Pure.

The quick rules tell within 30 ms of its first sample that something like speech began, and take a chord or a cough for
it, too. A judge such as Silero VAD tells those from speech, but windows of 32 ms later (`bench --only vad` says how
late). So:

**Over a reply**, where every moment counts, the quick rules start an utterance and the judge *dismisses* it: if it has
not agreed 200 ms after the first sample, what was heard is no speech. Once dismissed, a sound can only become an
utterance by the judge's word.

**Otherwise**, and while false alarms have raised the trigger, an utterance starts when both agree. Nothing is lost by
that: what was said until then was kept.

**It goes on** while the quick rules hear a voice and the judge does: music under or after speech does not keep an
utterance open. What the judge heard last stands for 100 ms more, so that it need not be as exact as the quick rules
are: where it is quiet after speech, the last voiced sample is theirs.

**Who is far off** is nobody (near.py): a sound well below the speaker's own usual level starts nothing.

At most one piece of news a frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from asr.levels import FRAME_SAMPLES, SILENT_DBFS
from asr.near import Near
from asr.speech_news import SpeechDismissed, SpeechEnded, SpeechStarted, VadEvent
from base.audio import UPLINK_RATE


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    sure: float = 0.5
    """The judge's probability from which it agrees that speech began."""
    going_on: float = 0.3
    """The same while somebody speaks."""
    doubt_ms: int = 200
    """Without the judge's agreement an utterance is dismissed so long after its first sample."""
    fresh_ms: int = 120
    """A sound that is older when a reply begins is left to the judge."""
    reach_ms: int = 240
    """An utterance began where the quick rules say, if that is so long ago at most when the judge agrees…"""
    lead_ms: int = 100
    """…else, in the middle of some other sound, so long before."""
    stands_ms: int = 100
    """For so long after it last heard speech, what the quick rules hear is speech."""
    hangover: int = 10
    """Frames without voice that end an utterance."""
    margin_db: float = 10.0
    """Who is so far below the speaker's usual level is somebody else…"""
    over_reply_db: float = 5.0
    """…so much more over a reply: an echo canceller may take some of the speaker's voice away."""


_LEVELS = 15
"""Frames: a sound is as loud as its loudest frame of the last 300 ms; what is learnt of a voice takes as many."""
_LEARNT = 500


def _samples(ms: int) -> int:
    return ms * UPLINK_RATE // 1000


class Judged:
    """The rules; see the module."""

    def __init__(self, settings: JudgeSettings | None = None) -> None:
        self._settings = settings or JudgeSettings()
        self._near = Near(self._settings.margin_db, self._settings.over_reply_db)
        self._utterance = 0
        self._speaking = False
        self._sure = False
        """The judge agreed that the utterance is one."""
        self._first = self._last = 0
        self._agreed = 0
        """Until when the judge heard speech."""
        self._candidate: int | None = None
        """The first sample of what the quick rules take for speech."""
        self._tried = False
        """It was an utterance, and is none any more."""
        self._voiced = 0
        self._sound: deque[float] = deque(maxlen=_LEVELS)
        self._voice: deque[float] | None = None
        """Levels of an utterance that may be learnt from; None: a loudspeaker may be in it."""
        self.over_reply = False
        self.careful = False
        """The judge must agree first, over a reply as well."""

    @property
    def speaking(self) -> bool:
        return self._speaking

    @property
    def agreed(self) -> bool:
        """Somebody speaks, and the judge said so, too."""
        return self._speaking and self._sure

    def push(
        self, sample: int, quick: tuple[int, int] | None, probability: float, levels: Sequence[float]
    ) -> list[VadEvent]:
        """One frame whose first sample is `sample`, with the judge's latest probability and the frame's levels.

        `quick`: what the quick rules take for speech just now, from the first sample to past the last voiced one.
        """
        end, loudest = sample + FRAME_SAMPLES, max(levels)
        if quick is None:
            self._candidate = None
        elif quick[0] != self._candidate:
            self._candidate, self._tried = quick[0], False
            self._sound.clear()
        if quick is not None:
            self._sound.append(loudest if quick[1] > self._voiced else SILENT_DBFS)
            self._voiced = max(self._voiced, quick[1])
        self._near.reply(end, self.over_reply)
        if self.over_reply:
            self._voice = None
        return self._go_on(end, probability, loudest) if self._speaking else self._begin(end, probability)

    # --- not speaking ------------------------------------------------------------------------------------------------

    def _begin(self, end: int, probability: float) -> list[VadEvent]:
        s, first = self._settings, self._candidate
        if first is None or self._voiced <= self._last:
            return []
        sure = self._agrees(end, probability)
        if sure:
            if end - first > _samples(s.reach_ms):
                first = max(first, min(end - _samples(s.lead_ms), self._voiced - FRAME_SAMPLES))
            first = max(first, self._last)
        elif not (self.over_reply and not self.careful and not self._tried and end - first <= _samples(s.fresh_ms)):
            return []
        self._speaking, self._sure, self._tried = True, sure, True
        self._utterance += 1
        self._first = self._last = first
        self._agreed = end if sure else first
        self._voice = deque(maxlen=_LEARNT) if sure and not self.over_reply else None
        self._hear(end)
        return [SpeechStarted(self._utterance, first)]

    def _agrees(self, end: int, probability: float) -> bool:
        if probability < self._settings.sure:
            return False
        return self._near.hears(end, max(self._sound, default=SILENT_DBFS), FRAME_SAMPLES)

    # --- speaking ----------------------------------------------------------------------------------------------------

    def _go_on(self, end: int, probability: float, loudest: float) -> list[VadEvent]:
        s = self._settings
        if not self._sure:
            self._sure = self._agrees(end, probability)
            if not self._sure:
                return self._doubt(end)
        if probability >= s.going_on:
            self._agreed = end
            if self._voice is not None:
                self._voice.append(loudest)
        self._hear(end)
        if self._candidate is not None and end - self._last < s.hangover * FRAME_SAMPLES:
            return []
        self._speaking = False
        if self._voice is not None and len(self._voice) >= _LEVELS:
            self._near.learn(end, sorted(self._voice)[len(self._voice) * 9 // 10])
        return [SpeechEnded(self._utterance, self._last)]

    def _doubt(self, end: int) -> list[VadEvent]:
        if self._candidate is not None and end - self._first < _samples(self._settings.doubt_ms):
            return []
        self._speaking = False
        self._last = self._first
        return [SpeechDismissed(self._utterance, max(self._voiced, self._first + 1))]

    def _hear(self, end: int) -> None:
        """What the quick rules take for voiced, as far as the judge stands for it."""
        self._last = max(self._last, min(self._voiced, self._agreed + _samples(self._settings.stands_ms)))
