"""How loud this session's own speaker usually is, so that somebody far off is told from them. Pure.

Levels are of whole utterances, in dBFS. The usual one is the lower median of the last five, of the last two minutes;
with fewer than two nobody knows, and everybody is heard. Who speaks more than the margin below it is refused: so a
remark of somebody else in the room begins nothing. But the user may have turned soft, and level alone does not tell.
What does is when they speak: somebody else talks on whether or not anything was said to them; a user waits for the
reply to end, answers, and waits again. Hence:

- **A reply that ended, and nobody spoke so softly while it sounded**, gives *room*: the bar is lower by a step for what
  begins within ten seconds.
- **A try** gives one step more, two at most, for six seconds: a refused stretch of speech of three seconds at most in
  that time, with a second of quiet before it and after it. What is longer is talk, and gives nothing.
- **Speech so soft while a reply sounds** takes the room away until another reply has ended. Over a reply the bar is
  lower anyway, as an echo canceller may take some of the user's voice away; but not after somebody got over a lowered
  one.
- **Talk without end** lowers the bar, too, by a decibel in three seconds; quiet raises it as fast.

What gets over a lowered bar only leaves the usual level as it was. Of what talk has lowered it leaves nothing; where
there was room it gives a step more for ten seconds, as the next word may be softer. Three such utterances in a
row, each after another reply, are the user, who is softer now: they alone count from then on. An utterance at the usual
level takes the room away and begins that count anew.
"""

from __future__ import annotations

from collections import deque

from base.audio import UPLINK_RATE

_KEPT = 5
_LEAST = 2
_FORGOTTEN = 120 * UPLINK_RATE
_IN_A_ROW = 3
_STEP_DB = 6.0
_STEPS = 2
_SOON = 10 * UPLINK_RATE
_AGAIN = 6 * UPLINK_RATE
"""For so long after a reply, and after a try, there is room."""
_QUIET = 1 * UPLINK_RATE
"""What lies closer together is one stretch."""
_TRY = 3 * UPLINK_RATE
_LEAST_TRY = UPLINK_RATE // 10
_TALK_DB = 1 / (3 * UPLINK_RATE)
"""How much the bar sinks with each sample of refused speech, and rises with each of quiet."""
_OVER = 3 * UPLINK_RATE // 10
"""So much refused speech is somebody who talks while a reply sounds."""


class Near:
    def __init__(self, margin_db: float, over_reply_db: float = 0.0) -> None:
        """`over_reply_db`: so much lower is the bar while a reply sounds."""
        self._margin = margin_db
        self._over_reply = over_reply_db
        self._utterances: deque[tuple[int, float]] = deque(maxlen=_KEPT)
        self._soft: list[tuple[int, float]] = []
        """Utterances in a row that got over a lowered bar only."""
        self._answered = False
        """One of them answered the latest reply; until the next its next words have a step more."""
        self._steps = 0
        self._until = 0
        self._over = False
        self._over_refused = 0
        self._first = self._last = -_QUIET
        """Of the latest stretch of refused speech; where nothing was refused since the last try: both in the past."""
        self._stretch = 0
        """Samples refused in it; 0: it has been judged."""
        self._yielded = 0.0

    # --- the bar -----------------------------------------------------------------------------------------------------

    def usual_dbfs(self, now: int) -> float | None:
        """None where nobody knows. `now`: in samples."""
        while self._utterances and now - self._utterances[0][0] > _FORGOTTEN:
            self._utterances.popleft()
        if len(self._utterances) < _LEAST:
            return None
        levels = sorted(level for _, level in self._utterances)
        return levels[(len(levels) - 1) // 2]

    def bar_dbfs(self, now: int) -> float:
        """Who is quieter is somebody else."""
        usual = self.usual_dbfs(now)
        if usual is None:
            return float("-inf")
        if self._over:
            return usual - self._margin - (0.0 if self._soft else self._over_reply)
        self._close(now)
        return usual - self._margin - max(self._room_db(now), self._yielded_db(now))

    def _room_db(self, now: int) -> float:
        begun = self._stretch > 0 and self._first <= self._until and now - self._first <= _TRY
        if now > self._until and not begun:
            self._steps = 0
        return _STEP_DB * min(self._steps + (self._answered and self._steps > 0), _STEPS)

    def _yielded_db(self, now: int) -> float:
        return max(0.0, self._yielded - max(0, now - self._last) * _TALK_DB)

    def hears(self, now: int, level: float, samples: int) -> bool:
        """Whether so much speech, which ended now and is so loud, is the user's. Call it until it is, or over."""
        if level < self.bar_dbfs(now):
            self.refuse(now, samples)
            return False
        if self._over and level < (self.usual_dbfs(now) or level) - self._margin:
            self._talked_over()
        return True

    # --- what happens ------------------------------------------------------------------------------------------------

    def reply(self, now: int, over: bool) -> None:
        """A reply begins to sound, or ends."""
        if over == self._over:
            return
        if over:
            self._close(now)
            self._over_refused = 0
        elif self._over_refused < _OVER:
            self._steps, self._until = max(1, self._steps), now + _SOON
            self._answered = False
        self._over, self._stretch = over, 0

    def refuse(self, now: int, samples: int) -> None:
        """So much speech, which ended now, lay below the bar."""
        self._close(now - samples)
        if self._over:
            self._over_refused += samples
            if self._over_refused >= _OVER:
                self._talked_over()
        else:
            self._yielded = self._yielded_db(now - samples) + samples * _TALK_DB
        if not self._stretch and now - samples - self._last >= _QUIET:
            self._first = now - samples
        self._stretch += samples
        self._last = now

    def learn(self, now: int, level: float) -> None:
        """An utterance of the user's, which ended now, was so loud."""
        usual = self.usual_dbfs(now)
        self._stretch, self._yielded = 0, 0.0
        if usual is not None and level < usual - self._margin:
            if self._steps and not self._answered:
                self._answered, self._until = True, now + _SOON
                self._soft.append((now, level))
            if len(self._soft) < _IN_A_ROW:
                return
            self._utterances.clear()
            self._utterances.extend(self._soft)
        else:
            self._utterances.append((now, level))
        self._soft.clear()
        self._steps = 0

    def _talked_over(self) -> None:
        self._over_refused = max(self._over_refused, _OVER)
        self._steps, self._yielded = 0, 0.0

    def _close(self, now: int) -> None:
        """It has been quiet since the latest stretch: was that a try?"""
        if not self._stretch or now - self._last < _QUIET:
            return
        tried = not self._over and self._steps and self._first <= self._until
        if tried and self._stretch >= _LEAST_TRY and self._last - self._first <= _TRY:
            self._steps, self._until = min(self._steps + 1, _STEPS), max(self._until, self._last + _AGAIN)
        self._stretch = 0
