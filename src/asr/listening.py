"""Whose utterance is decoded next by a model that many share, and whether one more may come. Pure; takes `now`.

An utterance is due when `EVERY_S` of it were not decoded yet, and at once when its speech has ended. Of those that are
due the ones that ended come first, in the order in which they ended; then those that have waited longest. One decode
runs at a time. What is silent after the last decode needs none: an utterance that ends so is over.

**The promise** is a final within `behind_s` of the end of speech. Whether it can be kept is known at the end: whenever
somebody stops, and after each decode, what last decodes take is added up over those who wait for theirs. Whose turn
would come too late is `late`, and told so at once rather than when it is. Who is next is never late.

**Full** is a model that hears `ROOM` times as many as it could answer in time if they all stopped at the same moment.
They hardly ever do, and at the beginning of an utterance nobody can tell (docs/decisions/0016-promised-at-the-end.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from base.audio import UPLINK_RATE
from base.errors import AtCapacity

EVERY_S = 0.7
"""How much new audio makes a decode due."""
RETRY_S = 1.0
ROOM = 1.5
"""Of utterances that last a few seconds and end when they please, the finals of so many come in time."""
_EVERY = round(EVERY_S * UPLINK_RATE)
_AFTER = UPLINK_RATE // 10
"""So much of the silence after a word is to be in a decode that may be the last."""
_SMOOTH = 0.2


@dataclass(slots=True)
class _One:
    size: int = 0
    """Samples that came."""
    loud: int = 0
    """Where the last of them that is not silent ends."""
    decoded: int = 0
    """How many were decoded, or are being."""
    sure: bool = False
    """The last decode told all there is."""
    ended: bool = False
    due_s: float | None = None

    def covered(self) -> bool:
        return not self.size or (self.sure and self.decoded >= min(self.size, self.loud + _AFTER))


class Listening:
    """`most` utterances at once; `cost_s`: what a decode takes, as far as it is known."""

    def __init__(self, *, most: int, behind_s: float, cost_s: float = 0.0) -> None:
        self.cost_s = cost_s
        self._last_s = 0.0
        """The same of last decodes, which cover more and are done with more care; 0 until there was one."""
        self._most = most
        self._behind_s = behind_s
        self._live: dict[int, _One] = {}
        self._running: int | None = None
        self._started_s = 0.0

    @property
    def last_s(self) -> float:
        """What an utterance's last decode takes."""
        return self._last_s or self.cost_s

    @property
    def slots(self) -> int:
        """How many can be heard at once."""
        return max(1, min(self._most, int(ROOM * self._behind_s / self.last_s))) if self.last_s else self._most

    @property
    def busy(self) -> int:
        return len(self._live)

    @property
    def running(self) -> int | None:
        return self._running

    def begin(self, id: int) -> None:
        """Raises AtCapacity."""
        if len(self._live) >= self.slots:
            raise AtCapacity(
                f"{len(self._live)} are being heard, as many as this model keeps up with "
                f"(a decode takes {self.last_s:.2g} s); try again soon",
                retry_after_s=RETRY_S,
            )
        self._live[id] = _One()

    def audio(self, id: int, samples: int, *, loud: bool, now: float) -> None:
        one = self._live[id]
        one.size += samples
        if loud:
            one.loud = one.size
        if one.due_s is None and one.size - one.decoded >= _EVERY:
            one.due_s = now

    def finish(self, id: int, now: float) -> bool:
        """No more audio comes; whether everything is decoded."""
        one = self._live[id]
        one.ended = True
        one.due_s = now
        return self._running != id and one.covered()

    def behind(self, id: int) -> int:
        """Samples that were not decoded yet."""
        one = self._live[id]
        return one.size - one.decoded

    def oldest_end(self) -> float | None:
        """Since when the utterance that ended first waits."""
        return min((o.due_s for o in self._live.values() if o.ended and o.due_s is not None), default=None)

    def late(self, now: float, since: float = 0.0) -> list[int]:
        """Utterances that ended and whose finals would come later than they may; they are still to be dropped.

        Before `since` there was no model: nobody's time ran.
        """
        at_s = now
        if self._running is not None:
            at_s += max(0.0, self.cost_s - (now - self._started_s))
        late: list[int] = []
        first = True
        for ended_s, id in self._owed():
            due_s = max(ended_s, since) + self._behind_s
            if first or at_s + self.last_s <= due_s:
                at_s += self.last_s
                first = False
            else:
                late.append(id)
        return late

    def _owed(self) -> list[tuple[float, int]]:
        """Who ended and waits for a decode that has not begun, in order."""
        ended = ((one.due_s, id) for id, one in self._live.items() if one.ended and one.due_s is not None)
        return sorted(owed for owed in ended if owed[1] != self._running or not self._may_end(owed[1]))

    def _may_end(self, id: int) -> bool:
        """Whether the running decode, which is this utterance's, may be its last."""
        one = self._live[id]
        return one.decoded >= min(one.size, one.loud + _AFTER)

    def drop(self, id: int) -> None:
        """The utterance is over; a decode of it may still run."""
        self._live.pop(id, None)

    def next(self, now: float) -> int | None:
        """Whose decode is to start now, if any; it counts as running until `done`."""
        if self._running is not None:
            return None
        due = [(not one.ended, one.due_s, id) for id, one in self._live.items() if one.due_s is not None]
        if not due:
            return None
        id = min(due)[2]
        one = self._live[id]
        one.decoded = one.size
        one.sure = False
        if not one.ended:
            one.due_s = None
        self._running = id
        self._started_s = now
        return id

    def is_last(self, id: int) -> bool:
        """Whether the decode that starts is known to be the utterance's last."""
        return self._live[id].ended

    def done(self, took_s: float, *, sure: bool, last: bool, now: float) -> bool:
        """The running decode has ended; `last`: it was started as the last one. Whether its utterance is over."""
        id, self._running = self._running, None
        self.cost_s = _smoothed(self.cost_s, took_s)
        if last:
            self._last_s = _smoothed(self._last_s, took_s)
        one = self._live.get(id) if id is not None else None
        if one is None:
            return False
        one.sure = sure or last
        if one.due_s is None and one.size - one.decoded >= _EVERY:
            one.due_s = now
        return one.ended and (last or (sure and one.covered()))

    def lost(self) -> int | None:
        """The running decode will never end; whose it was, if that is still wanted."""
        id, self._running = self._running, None
        return id if id in self._live else None


def _smoothed(before_s: float, took_s: float) -> float:
    return before_s + _SMOOTH * (took_s - before_s) if before_s else took_s
