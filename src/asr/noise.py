"""What the room sounds like when nobody speaks, and how loud a sound must be to stand out of it. Pure.

Three things are known of a noise, all in dBFS of the loudest block of a frame:

- The *floor* follows quieter frames down quickly; up it goes slowly, and only while nobody speaks.
- A *steady* noise (a fan, hum, hiss) that came on suddenly would pass for speech. It gives itself away by the quieter
  half of its frames: over 600 ms they differ by less than 2.5 dB, while in 600 ms of speech there is always a pause, a
  closure or a fading vowel among them. Then the floor rises to it at once, speech or not. (Minimum statistics after
  Martin 2001, with a test of steadiness in place of a long window.)
- The *ceiling* is what `relearn` makes of a sound that went on and on without words, such as music, which is never
  steady: nearly all of the last two seconds lies below it. It is given up when nothing has come near it for 3 s, so
  that nobody whose own voice was learnt by mistake stays unheard.

Digital silence says nothing about the room: it is a muted microphone, or zeros in place of what the network lost.
"""

from __future__ import annotations

from collections import deque

INFORMATIVE_DBFS = -85.0
"""What is quieter is digital silence, with or without dither."""

_LOWEST_DBFS = -80.0
_UNKNOWN_DBFS = -70.0
_FIRST_AT_MOST_DBFS = -45.0
"""A stream that begins louder may begin with speech."""
_DOWN = 0.2
_UP_DB = 0.15
_STEADY_FRAMES = 30
_STEADY_DB = 2.5
_EVERY = 5
_REMEMBERED = 100
_NEAR_CEILING_DB = 6.0
_CEILING_FRAMES = 150


class NoiseFloor:
    """One stream's; a frame at a time."""

    def __init__(self) -> None:
        self.floor_dbfs = _UNKNOWN_DBFS
        self.ceiling_dbfs = float("-inf")
        self._levels: deque[float] = deque(maxlen=_REMEMBERED)
        self._heard = 0
        self._far = 0

    def begin(self, level: float) -> None:
        """The stream's first frame: most likely nobody speaks yet."""
        if level > INFORMATIVE_DBFS:
            self.floor_dbfs = min(max(level, _LOWEST_DBFS), _FIRST_AT_MOST_DBFS)

    def hear(self, level: float, *, speech: bool) -> None:
        """One frame. `speech`: somebody is, or may be, speaking."""
        self._forget_ceiling(level)
        if level <= INFORMATIVE_DBFS:
            return
        self._levels.append(level)
        self._heard += 1
        if level < self.floor_dbfs:
            self.floor_dbfs += _DOWN * (max(level, _LOWEST_DBFS) - self.floor_dbfs)
        elif not speech:
            self.floor_dbfs += min(_UP_DB, level - self.floor_dbfs)
        if self._heard % _EVERY == 0 and len(self._levels) >= _STEADY_FRAMES:
            self._rise_to_steady()

    def relearn(self) -> None:
        """What was heard lately is noise."""
        if self._levels:
            self.ceiling_dbfs = sorted(self._levels)[len(self._levels) * 95 // 100]
            self._far = 0

    def _rise_to_steady(self) -> None:
        lately = sorted(list(self._levels)[-_STEADY_FRAMES:])
        quietest, typical = lately[_STEADY_FRAMES // 7], lately[_STEADY_FRAMES * 11 // 20]
        if typical - quietest < _STEADY_DB:
            self.floor_dbfs = max(self.floor_dbfs, typical)

    def _forget_ceiling(self, level: float) -> None:
        self._far = 0 if level > self.ceiling_dbfs - _NEAR_CEILING_DB else self._far + 1
        if self._far > _CEILING_FRAMES:
            self.ceiling_dbfs = float("-inf")
