"""Which sample of the session's media time a frame of the microphone's track begins at. Pure.

LiveKit's library gives frames without a place. They come as regularly as our own clock goes, whether the user sends
anything or not (WebRTC conceals and then is silent), so that they count media time themselves, but for two things: a
time without a track, which the clock bridges, and frames that were dropped because we were too busy to take them. The
latter show as a lag behind the clock that stays: a burst that we took late makes up for itself, a loss does not.
"""

from __future__ import annotations

import math

from base.audio import UPLINK_RATE

FRAME = UPLINK_RATE // 50
WINDOW = 50
"""Frames in which the least lag is looked for: a second."""
LOST_S = 0.1


class MediaTime:
    """Samples are at 16 kHz and multiples of a frame. `begin`: where media time goes on."""

    def __init__(self, begin: int) -> None:
        self._next = -(-begin // FRAME) * FRAME
        self._lag: float | None = None
        """The least lag of the last window whole: `now` less media time, in seconds."""
        self._least = math.inf
        self._frames = 0
        self._restarted = False
        self.lost = 0
        """Samples that were skipped as lost."""

    def restart(self) -> None:
        """Another track, after a time without one; the clock says how long that was."""
        self._restarted = True

    def frame(self, now: float) -> int:
        """The sample at which the frame begins that came at `now`."""
        lag = now - self._next / UPLINK_RATE
        known = self._least if self._lag is None else self._lag
        if self._restarted:
            self._restarted = False
            if known < lag < math.inf:
                lag -= self._skip(lag - known)
            self._frames, self._least = 0, math.inf
        self._least = min(self._least, lag)
        self._frames += 1
        if self._frames >= WINDOW:
            if self._lag is not None and self._least - self._lag > LOST_S:
                before = self._next
                self._least -= self._skip(self._least - self._lag)
                self.lost += self._next - before
            self._lag, self._least, self._frames = self._least, math.inf, 0
        sample = self._next
        self._next += FRAME
        return sample

    def _skip(self, seconds: float) -> float:
        """By whole frames; returns by how much."""
        frames = int(seconds * UPLINK_RATE / FRAME)
        self._next += frames * FRAME
        return frames * FRAME / UPLINK_RATE
