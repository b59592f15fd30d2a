"""TurnEar: off the loop, never raises, never a queue without end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator.ports import Said
from orchestrator.turn_ear import BUSY, TurnEar

pytestmark = pytest.mark.unit

SAID = Said("tell me", "en", b"")


class Slow:
    """Answers when it is let go."""

    name = "slow"

    def __init__(self, answer: float | Exception = 0.7) -> None:
        self.answer = answer
        self.go = threading.Event()
        self.thread = 0
        self.asked = 0

    def done(self, said: Said) -> float:
        self.asked += 1
        self.go.wait(5)
        self.thread = threading.get_ident()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_it_is_asked_off_the_event_loop() -> None:
    slow = Slow()
    slow.go.set()
    ear = TurnEar(slow)
    assert await ear.done(SAID) == 0.7
    assert slow.thread != threading.get_ident()
    ear.close()


async def test_a_detector_that_breaks_says_nothing() -> None:
    slow = Slow(RuntimeError("bad weights"))
    slow.go.set()
    ear = TurnEar(slow)
    assert await ear.done(SAID) is None
    assert ear.counts["faults"] == 1
    ear.close()


async def test_who_would_wait_for_long_is_not_asked() -> None:
    slow = Slow()
    ear = TurnEar(slow)
    waiting = [asyncio.ensure_future(ear.done(SAID)) for _ in range(BUSY)]
    await asyncio.sleep(0)
    assert await ear.done(SAID) is None
    assert ear.counts["busy"] == 1
    waiting[-1].cancel()
    slow.go.set()
    assert await asyncio.gather(*waiting[:-1]) == [0.7] * (BUSY - 1)
    ear.close()


async def test_an_answer_that_is_no_number_is_none() -> None:
    slow = Slow("very likely")  # type: ignore[arg-type]
    slow.go.set()
    ear = TurnEar(slow)
    assert await ear.done(SAID) is None
    assert ear.counts["faults"] == 1
    ear.close()


async def test_who_gave_up_waiting_is_not_asked_for() -> None:
    slow = Slow()
    ear = TurnEar(slow)
    first, second, third = (asyncio.ensure_future(ear.done(SAID)) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    slow.go.set()
    assert await first == await third == 0.7
    assert slow.asked == 2
    ear.close()


def test_a_detector_that_hangs_keeps_no_process_from_ending() -> None:
    script = (
        "import asyncio, threading\n"
        "from orchestrator.turn_ear import TurnEar\n"
        "class Hangs:\n"
        "    name = 'hangs'\n"
        "    def done(self, said):\n"
        "        threading.Event().wait()\n"
        "async def main():\n"
        "    asking = asyncio.ensure_future(TurnEar(Hangs()).done(None))\n"
        "    await asyncio.sleep(0.05)\n"
        "    asking.cancel()\n"
        "asyncio.run(main())\n"
    )
    src = Path(__file__).resolve().parents[3] / "src"
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(src)}, check=True, timeout=60)
