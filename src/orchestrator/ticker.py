"""The process's one pacemaker: every downlink with a turn is looked after once a period, all at one moment: to spread
them over the period was tried, and cost a tenth of an orchestrator's CPU in wake-ups.

**Punctual without a thread.** A loop that is busy comes back to its timers late: it first carries out all that is
ready. So what is called all the time (the way of the users' frames, of voices' audio, of a session's events) calls
`look_nowait` first, which carries out what is due; the task is for when nobody calls.

Ticks lie on a grid. One that comes late is made up for by the next coming in time, not by two in a row: what a downlink
sends follows from the listener's place, not from how often it was asked.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Protocol

from base.log import get_logger

log = get_logger("ticker")

LATE_MS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Upper bounds of the histogram of lateness; the last bucket has none."""


class Ticked(Protocol):
    def tick(self, now: float) -> None: ...

    def fault_nowait(self) -> None:
        """Its tick raised: it ends what it was at."""
        ...


class Ticker:
    """`run` is to be a task of the process's group; everything on one event loop."""

    def __init__(self, period_s: float = 0.02, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s = period_s
        self._clock = clock
        self._ticked: dict[Ticked, None] = {}
        self._due_s = float("inf")
        """Never while there is nobody to look after."""
        self._looking = False
        self._wake = asyncio.Event()
        self._late = [0] * (len(LATE_MS) + 1)
        self._late_sum_s = 0.0
        self._ticks = self._skipped = self._faults = 0

    def __len__(self) -> int:
        return len(self._ticked)

    def add(self, ticked: Ticked) -> None:
        if not self._ticked:
            self._due_s = self._clock() + self._period_s
            self._wake.set()
        self._ticked[ticked] = None

    def remove(self, ticked: Ticked) -> None:
        self._ticked.pop(ticked, None)
        if not self._ticked:
            self._due_s = float("inf")

    def look_nowait(self, now: float) -> None:
        """Carries out what is due. Costs a comparison when nothing is; may be called from within a tick."""
        if now >= self._due_s and not self._looking:
            missed = int((now - self._due_s) / self._period_s)
            self._skipped += missed * len(self)
            due = self._due_s + missed * self._period_s
            self._due_s = due + self._period_s
            self._round(now, due)

    async def run(self) -> None:
        """Ticks until cancelled; sleeps while there is nobody to look after."""
        while True:
            while not self._ticked:  # who came may be gone again by the time that this task has its turn
                self._wake.clear()
                await self._wake.wait()
            await asyncio.sleep(max(0.0, self._due_s - self._clock()))
            self.look_nowait(self._clock())

    def tick(self, now: float) -> None:
        """One round, whether it is due or not."""
        self._round(now, now)

    def statistics(self) -> Mapping[str, float]:
        """Counts since the start, of downlinks looked after; `late_le_<ms>` and `late_more` are the histogram of how
        late each was, not cumulated."""
        out: dict[str, float] = {
            "ticks": self._ticks,
            "skipped": self._skipped,
            "faults": self._faults,
            "ticked": len(self),
            "late_sum_s": self._late_sum_s,
        }
        for bound, count in zip(LATE_MS, self._late, strict=False):
            out[f"late_le_{bound:g}"] = count
        out["late_more"] = self._late[-1]
        return out

    def _round(self, now: float, due: float) -> None:
        """A fault in one ends that one's turn, nothing else."""
        self._looking = True
        try:
            for ticked in tuple(self._ticked):
                self._ticks += 1
                self._note(max(now, self._clock()) - due)
                try:
                    ticked.tick(now)
                except Exception:
                    self._faults += 1
                    log.exception("tick_fault")
                    self.remove(ticked)
                    ticked.fault_nowait()
        finally:
            self._looking = False

    def _note(self, late_s: float) -> None:
        self._late[bisect_left(LATE_MS, late_s * 1000)] += 1
        self._late_sum_s += max(0.0, late_s)
