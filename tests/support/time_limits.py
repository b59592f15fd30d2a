"""A pytest plugin: what a test does on its event loop ends there when the test's time is over.

pytest-timeout alone raises from a signal, wherever Python happens to be: contexts that are open then may never be left,
and a whole process of tests may die of it. So some seconds before, what runs is cancelled: a test, or a fixture that is
being made or put away, fails in its own words and with its contexts left. pytest-timeout stays for what hangs the loop
itself, and for tests without one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

TIDYING_S = 20.0
"""What a test that is out of time has to put away what it opened; half of its time, if that is less."""
LEAST = 0.1
"""The part of that which every step of it has, however late it is."""


@dataclass
class Allowance:
    """When the test that runs is over, at the latest, by pytest-timeout."""

    ends: float = math.inf
    tidying_s: float = TIDYING_S
    threads_left: bool = False
    """Threads were left behind that hang still."""

    def begin(self, now: float, whole_s: float) -> None:
        self.ends = now + whole_s
        self.tidying_s = min(TIDYING_S, whole_s / 2)

    def end_of_step(self, now: float) -> float:
        """When what begins now is cancelled: in time to tidy up, or at half of what is left of the time for that."""
        return max(self.ends - self.tidying_s, now + max(LEAST * self.tidying_s, (self.ends - now) / 2))


class LimitedLoop(asyncio.SelectorEventLoop):
    """Cancels what takes longer than the test may, and once more if it hangs in putting things away."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__()
        self._allowance = allowance
        self.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))

    def set_default_executor(self, executor: ThreadPoolExecutor) -> None:  # type: ignore[override]
        self._threads = executor
        super().set_default_executor(executor)

    def run_until_complete(self, future: Awaitable[T]) -> T:  # type: ignore[override]
        __tracebackhide__ = True
        running = asyncio.ensure_future(future, loop=self)
        began = self.time()
        if math.isinf(self._allowance.ends):
            return super().run_until_complete(running)
        expired = False
        timer = self.call_at(self._allowance.end_of_step(began), lambda: expire())

        def expire() -> None:
            nonlocal expired, timer
            expired = True
            running.cancel()
            timer = self.call_at(self._allowance.end_of_step(self.time()), expire)

        cause: BaseException | None = None
        try:
            result = super().run_until_complete(running)
        except (Exception, asyncio.CancelledError) as error:
            if not expired:
                raise
            cause = error
        finally:
            timer.cancel()
        if not expired:
            return result
        took_s = self.time() - began
        raise AssertionError(f"out of time: it was cancelled, and ended after {took_s:.1f} s") from cause

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Nobody waits for long for the end of a thread that hangs."""
        done = asyncio.Event()

        def end() -> None:
            self._threads.shutdown(cancel_futures=True)
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self.call_soon_threadsafe(done.set)

        threading.Thread(target=end, name="executor's end", daemon=True).start()
        try:
            async with asyncio.timeout(self._allowance.tidying_s / 4):
                await done.wait()
        except TimeoutError:
            self._allowance.threads_left = True


ALLOWANCE = pytest.StashKey[Allowance]()
EXIT_STATUS = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ALLOWANCE] = Allowance()


def pytest_asyncio_loop_factories(config: pytest.Config) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"limited": functools.partial(LimitedLoop, config.stash[ALLOWANCE])}


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    """pytest-timeout sets its own; this only looks on, so that both have the same times."""
    item.config.stash[ALLOWANCE].begin(time.monotonic(), settings.timeout)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """After a failure, pytest-timeout leaves a test alone; here, putting things away is limited even then."""
    try:
        return (yield)
    finally:
        item.config.stash[ALLOWANCE].ends = math.inf


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[EXIT_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Python would wait for threads that hang, for ever; all is said by now."""
    if config.stash[ALLOWANCE].threads_left:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash.get(EXIT_STATUS, 1))
