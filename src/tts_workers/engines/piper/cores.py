"""The process's cores, shared among the runs of all Piper models in it.

Runs that fight over cores all come late. So as many run at once as there are cores for, and of those that wait, the
one whose listener has the least left to hear goes first.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tts_workers.engine import Request

POLL_S = 0.02


def available() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """Threads of one run: two sessions that speak at once have cores of their own; above four little is gained."""
    return max(1, min(4, available() // 2))


class Cores:
    """Any thread may ask."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._used = 0
        self._changed = threading.Condition()
        self._waiting: list[Request] = []

    @contextmanager
    def lent(self, request: Request, count: int) -> Iterator[bool]:
        """Waits for `count` cores (all there are, if that is more); False when the request was cancelled meanwhile."""
        count = min(count, self._count)
        if not self._wait(request, count):
            yield False
            return
        try:
            yield True
        finally:
            with self._changed:
                self._used -= count
                self._changed.notify_all()

    def _wait(self, request: Request, count: int) -> bool:
        with self._changed:
            self._waiting.append(request)
            try:
                while not request.cancelled():
                    if self._used + count <= self._count and self._most_urgent() is request:
                        self._used += count
                        return True
                    self._changed.wait(POLL_S)
                return False
            finally:
                self._waiting = [other for other in self._waiting if other is not request]
                self._changed.notify_all()

    def _most_urgent(self) -> Request:
        return min(self._waiting, key=lambda request: request.ahead_s())


CORES = Cores(available())
