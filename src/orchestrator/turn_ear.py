"""Asks a turn detector, off the event loop, how likely it is that a user is done.

All sessions share one thread: an answer that comes too late is of no use, so who finds `BUSY` others waiting is not
asked, and counted; the words and the silence decide then, as they do without a detector. The thread is a daemon: a
detector that hangs keeps no process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from queue import SimpleQueue

from base.log import get_logger
from orchestrator.faults import fault
from orchestrator.ports import Said, TurnDetector

BUSY = 8
log = get_logger("turn_ear")

_Asked = tuple[asyncio.AbstractEventLoop, "asyncio.Future[float | None]", Said]


class TurnEar:
    """`close` ends its thread."""

    def __init__(self, detector: TurnDetector) -> None:
        self._detector = detector
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._waiting = 0
        self.counts: Counter[str] = Counter()

    async def done(self, said: Said) -> float | None:
        """The probability; None where there is none to be had."""
        if self._waiting >= BUSY:
            self.counts["busy"] += 1
            return None
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="turn-ear", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[float | None] = loop.create_future()
        self._asked.put((loop, answer, said))
        self._waiting += 1
        try:
            return await answer
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._asked.put(None)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            loop, answer, said = asked
            done: float | None = None
            if not answer.cancelled():
                try:
                    done = float(self._detector.done(said))
                except Exception as error:
                    # Whatever it is: a model may break in any way, and the conversation goes on without it.
                    self.counts["faults"] += 1
                    log.error("turn_detector_fault", **fault(error))
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(_give, answer, done)


def _give(answer: asyncio.Future[float | None], done: float | None) -> None:
    if not answer.done():
        answer.set_result(done)
