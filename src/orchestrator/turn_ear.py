"""Asks a turn detector, off the event loop, how likely it is that a user is done.

All sessions share one thread: an answer that comes too late is of no use, so who finds `BUSY` others waiting is not
asked, and counted; the words and the silence decide then, as they do without a detector.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from base.log import get_logger
from orchestrator.faults import fault
from orchestrator.ports import Said, TurnDetector

BUSY = 8
log = get_logger("turn_ear")


class TurnEar:
    """`close` ends its thread."""

    def __init__(self, detector: TurnDetector) -> None:
        self._detector = detector
        self._thread = ThreadPoolExecutor(1, "turn-ear")
        self._waiting = 0
        self.counts: Counter[str] = Counter()

    async def done(self, said: Said) -> float | None:
        """The probability; None where there is none to be had."""
        if self._waiting >= BUSY:
            self.counts["busy"] += 1
            return None
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._detector.done, said)
        except Exception as error:
            # Whatever it is: a model may break in any way, and the conversation goes on without it.
            self.counts["faults"] += 1
            log.error("turn_detector_fault", **fault(error))
            return None
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
