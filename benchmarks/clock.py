"""Drives many listeners from one event loop: each at its own phase, as real users' devices are.

The loop wakes every `STEP_S` and serves whose turn it is, so that fifty users cost one timer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from benchmarks.listener import BLOCK_S, FRAME_S, Listener

STEP_S = 0.0025


class Clock:
    """`lateness` holds how late each step was: the driver's own jitter, which every figure contains."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._due: list[tuple[float, float, Listener]] = []
        self.lateness: list[float] = []

    def add(self, listeners: Sequence[Listener]) -> None:
        """Their phases are spread over a frame."""
        now = self._now()
        for number, listener in enumerate(listeners):
            phase = FRAME_S * number / len(listeners)
            self._due.append((now + phase, now + phase / 2, listener))

    def remove(self, listeners: Sequence[Listener]) -> None:
        self._due = [entry for entry in self._due if entry[2] not in listeners]

    async def run(self) -> None:
        """Until cancelled."""
        due = self._now()
        while True:
            due += STEP_S
            wait = due - self._now()
            if wait > 0:
                await asyncio.sleep(wait)
            else:
                await asyncio.sleep(0)
            self.step(due)

    def step(self, due: float) -> None:
        now = self._now()
        self.lateness.append(now - due)
        for number, (speak, hear, listener) in enumerate(self._due):
            if speak > now and hear > now:
                continue
            while speak <= now:
                listener.speak(speak)
                speak += FRAME_S
            while hear <= now:
                listener.hear(self._now())
                hear += BLOCK_S
            self._due[number] = (speak, hear, listener)
