"""The orchestrator's live snapshot of the workers: always there at once, kept while the registry is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

from base.errors import AntiphonError, Denied
from base.log import get_logger
from registry.records import WorkerRecord
from registry.store import Store
from registry.view import View

BACKOFF_S = (0.1, 0.2, 0.5, 1.0)

log = get_logger("directory")

Workers = tuple[WorkerRecord, ...]


@dataclass(frozen=True, slots=True)
class DirectoryStatistics:
    workers: int
    stale: bool
    stale_s: float
    """How long there has been no news; 0 while there is."""
    losses: int


class Directory:
    """Belongs to one event loop; `run` keeps it up to date until cancelled."""

    def __init__(self, store: Store, *, settle_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._view = View(settle_s=settle_s)
        self._waiters: set[asyncio.Event] = set()
        self._stale_since = clock()
        self._losses = 0

    def snapshot(self) -> Workers:
        """The workers as last heard of, ordered by id; see `stale`."""
        self._view.handle_timer(self._clock())
        return self._view.workers

    @property
    def stale(self) -> bool:
        """The registry is not to be reached (or not yet): the snapshot is its last word."""
        return self._view.stale

    def statistics(self) -> DirectoryStatistics:
        stale_s = self._clock() - self._stale_since if self._view.stale else 0.0
        return DirectoryStatistics(len(self.snapshot()), self._view.stale, stale_s, self._losses)

    async def wait_for(self, predicate: Callable[[Workers], bool], timeout_s: float) -> bool:
        """Whether `predicate(snapshot)` is true now or becomes true within `timeout_s`."""
        wake = asyncio.Event()
        self._waiters.add(wake)
        deadline = self._clock() + timeout_s
        try:
            while not predicate(self.snapshot()):
                now = self._clock()
                if now >= deadline:
                    return False
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(deadline, self._view.next_deadline() or deadline) - now):
                        await wake.wait()
                wake.clear()
        finally:
            self._waiters.discard(wake)
        return True

    async def run(self) -> NoReturn:
        """Watches the store, over and over."""
        failures = 0
        said = ""
        while True:
            try:
                await self._follow()
            except AntiphonError as error:
                if not self._view.stale:
                    failures = 0
                    self._losses += 1
                    self._stale_since = self._clock()
                    log.warning("registry.lost", message=error.message, workers=len(self._view.workers))
                elif isinstance(error, Denied) and error.message != said:
                    # It is there and will not have us: that does not pass by itself.
                    log.error("registry.refused", message=error.message)
                said = error.message
                self._view.lost()
            await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
            failures += 1

    async def _follow(self) -> None:
        """Takes news until the store is lost."""
        async with aclosing(self._store.watch()) as news:
            async for one in news:
                if self._view.stale:
                    log.info("registry.found")
                self._view.apply(one, self._clock())
                for wake in self._waiters:
                    wake.set()


@asynccontextmanager
async def directory(store: Store, *, settle_s: float = 10.0) -> AsyncIterator[Directory]:
    """A directory that is kept up to date while the context is open."""
    made = Directory(store, settle_s=settle_s)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        try:
            yield made
        finally:
            running.cancel()
