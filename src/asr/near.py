"""How loud this session's own speaker usually is, so that somebody far off is told from them. Pure.

Levels are of whole utterances, in dBFS. The usual one is the lower median of the last five, of the last two minutes;
with fewer than two nobody knows, and everybody is heard. Who speaks far below it is refused, but not for long: each
second of such speech lowers the bar by a decibel, and the first one that gets over it counts anew. So a user who leans
back, or speaks softly now, is heard after some seconds, and a remark of somebody else in the room is not.
"""

from __future__ import annotations

from collections import deque

from base.audio import UPLINK_RATE

_KEPT = 5
_LEAST = 2
_FORGOTTEN_SAMPLES = 120 * UPLINK_RATE
_YIELD_DB = 1 / UPLINK_RATE
"""How much the bar sinks with each sample of refused speech."""


class Near:
    def __init__(self, margin_db: float) -> None:
        self._margin = margin_db
        self._utterances: deque[tuple[int, float]] = deque(maxlen=_KEPT)
        self._yielded = 0.0

    def usual_dbfs(self, now: int) -> float | None:
        """None where nobody knows. `now`: in samples."""
        while self._utterances and now - self._utterances[0][0] > _FORGOTTEN_SAMPLES:
            self._utterances.popleft()
        if len(self._utterances) < _LEAST:
            return None
        levels = sorted(level for _, level in self._utterances)
        return levels[(len(levels) - 1) // 2]

    def bar_dbfs(self, now: int) -> float:
        """Who is quieter is somebody else."""
        usual = self.usual_dbfs(now)
        return float("-inf") if usual is None else usual - self._margin - self._yielded

    def refuse(self, samples: int) -> None:
        """So much speech lay below the bar."""
        self._yielded += samples * _YIELD_DB

    def learn(self, now: int, level: float) -> None:
        """An utterance of the user's, which ended now, was so loud."""
        usual = self.usual_dbfs(now)
        if usual is not None and level < usual - self._margin:
            self._utterances.clear()
        self._utterances.append((now, level))
        self._yielded = 0.0
