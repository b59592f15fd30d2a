from __future__ import annotations

import asyncio

import pytest

from orchestrator.ticker import Ticker

pytestmark = pytest.mark.unit


class Counted:
    def __init__(self, fault: bool = False) -> None:
        self.times: list[float] = []
        self.faults = 0
        self._fault = fault

    def tick(self, now: float) -> None:
        self.times.append(now)
        if self._fault:
            raise RuntimeError("broken")

    def fault_nowait(self) -> None:
        self.faults += 1


def test_everybody_is_ticked_once_a_round() -> None:
    ticker = Ticker()
    one, two = Counted(), Counted()
    ticker.add(one)
    ticker.add(one)
    ticker.add(two)
    ticker.tick(1.0)
    ticker.remove(two)
    ticker.remove(two)
    ticker.tick(2.0)
    assert (one.times, two.times) == ([1.0, 2.0], [1.0])
    assert len(ticker) == 1


def test_a_fault_ends_what_is_broken_and_nothing_else() -> None:
    ticker = Ticker()
    broken, fine = Counted(fault=True), Counted()
    ticker.add(broken)
    ticker.add(fine)
    ticker.tick(1.0)
    ticker.tick(2.0)
    assert (len(broken.times), broken.faults) == (1, 1)
    assert fine.times == [1.0, 2.0]
    assert ticker.statistics()["faults"] == 1


async def test_it_ticks_while_there_is_somebody_and_sleeps_otherwise() -> None:
    ticker = Ticker(0.001)
    one = Counted()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ticker.run())
        for _ in range(100):
            await asyncio.sleep(0)
        assert ticker.statistics()["ticks"] == 0
        ticker.add(one)
        async with asyncio.timeout(10):
            while len(one.times) < 5:
                await asyncio.sleep(0.001)
        ticker.remove(one)
        async with asyncio.timeout(10):
            before = -1.0
            while before != ticker.statistics()["ticks"]:
                before = ticker.statistics()["ticks"]
                await asyncio.sleep(0.01)
        ticker.add(one)
        seen = len(one.times)
        async with asyncio.timeout(10):
            while len(one.times) == seen:
                await asyncio.sleep(0.001)
        running.cancel()


async def test_who_comes_and_goes_at_once_does_not_stop_it() -> None:
    ticker = Ticker(0.001)
    one = Counted()
    running = asyncio.create_task(ticker.run())
    await asyncio.sleep(0)
    ticker.add(one)
    ticker.remove(one)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ticker.add(one)
    async with asyncio.timeout(10):
        while len(one.times) < 3:
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_a_late_tick_is_followed_by_one_in_time_not_by_many() -> None:
    now = 100.0
    ticker = Ticker(0.02, clock=lambda: now)
    one = Counted()
    ticker.add(one)
    for now in (100.019, 100.021, 100.031, 100.249, 100.2491, 100.258, 100.266):
        ticker.look_nowait(now)
    assert one.times == [100.021, 100.249, 100.266]
    assert ticker.statistics()["skipped"] == 10
    ticker.remove(one)
    ticker.look_nowait(200.0)
    assert ticker.statistics()["ticks"] == 3


def test_who_looks_within_a_tick_does_not_tick_again() -> None:
    now = 0.0
    ticker = Ticker(0.02, clock=lambda: now)

    class Looks(Counted):
        def tick(self, at: float) -> None:
            super().tick(at)
            ticker.look_nowait(at + 1.0)

    one = Looks()
    ticker.add(one)
    now = 0.03
    ticker.look_nowait(now)
    assert one.times == [0.03]


def test_how_late_each_was_is_counted() -> None:
    now = 0.0
    ticker = Ticker(0.02, clock=lambda: now)

    class Slow(Counted):
        def tick(self, at: float) -> None:
            nonlocal now
            super().tick(at)
            now += 0.006

    for _ in range(2):
        ticker.add(Slow())
    now = 0.0205
    ticker.look_nowait(now)
    found = ticker.statistics()
    assert (found["late_le_1"], found["late_le_10"], found["ticks"]) == (1, 1, 2)
    assert sum(v for k, v in found.items() if k.startswith("late_") and k != "late_sum_s") == found["ticks"]
