"""A worker's place in the registry: put at the start, renewed at TTL/2, changed at once, removed at the end.

A lease that is lost (NOT_FOUND: the registry was started anew, or the worker was suspended too long) is taken again at
once. A registry that cannot be reached is tried again and again, and changes nothing about the work: the worker goes on
serving. Where another process holds the same id, this one says so and keeps asking, until that one is gone.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import NoReturn

from base.errors import AntiphonError, NotFound, TimedOut, Unavailable
from base.log import get_logger
from registry.records import WorkerRecord
from registry.store import Store

TTL_S = 6.0
COALESCE_S = 0.05
"""Changes are published no faster than this; the last one counts."""
BACKOFF_S = (0.1, 0.2, 0.5, 1.0)
REMOVE_S = 1.0
"""How long a worker that ends waits to say so; its lease runs out anyway."""

log = get_logger("announce")


class Standing(Enum):
    """How the worker stands with the registry."""

    NEW = "new"
    REGISTERED = "registered"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


def new_epoch() -> str:
    """An epoch for a record: no two lives of a process have the same."""
    return os.urandom(8).hex()


class Announcer:
    """Keeps one record in `store`; `run` does the work until cancelled. Belongs to one event loop."""

    def __init__(
        self,
        store: Store,
        record: WorkerRecord,
        *,
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._record = record
        self._ttl_s = ttl_s
        self._clock = clock
        self._changed = asyncio.Event()
        self._failures = 0
        self.standing = Standing.NEW

    @property
    def record(self) -> WorkerRecord:
        return self._record

    def update(self, record: WorkerRecord) -> None:
        """Publishes `record` in place of the last one, soon. Id and epoch stay what they were."""
        if (record.id, record.epoch) != (self._record.id, self._record.epoch):
            raise ValueError(
                f"a record keeps its id and epoch: {self._record.id}@{self._record.epoch}, not {record.id}"
            )
        if record != self._record:
            self._record = record
            self._changed.set()

    async def run(self) -> NoReturn:
        """Announces until cancelled, then removes the record."""
        has_lease = False
        try:
            while True:
                self._changed.clear()
                published_at = self._clock()
                try:
                    granted = await (self._store.renew if has_lease else self._store.put)(self._record, self._ttl_s)
                except AntiphonError as error:
                    if has_lease and isinstance(error, NotFound):
                        log.warning("lease.lost", worker=self._record.id, message=error.message)
                        has_lease = False
                    else:
                        await asyncio.sleep(self._failed(error))
                else:
                    has_lease = True
                    self._registered()
                    await self._wait(granted / 2, published_at)
        finally:
            await self._remove()

    async def _wait(self, delay_s: float, since: float) -> None:
        """Until the next renewal is due, or a change; a change waits out the coalescing time."""
        try:
            async with asyncio.timeout(delay_s):
                await self._changed.wait()
                await asyncio.sleep(max(0.0, since + COALESCE_S - self._clock()))
        except TimeoutError:
            pass

    def _registered(self) -> None:
        self._failures = 0
        if self.standing is not Standing.REGISTERED:
            self.standing = Standing.REGISTERED
            log.info("lease.held", worker=self._record.id, address=self._record.address)

    def _failed(self, error: AntiphonError) -> float:
        """How long to wait before the next attempt."""
        away = isinstance(error, Unavailable | TimedOut)
        standing = Standing.UNREACHABLE if away else Standing.REFUSED
        if standing is not self.standing:
            say = log.warning if away else log.error
            say("registry.unreachable" if away else "registry.refused", worker=self._record.id, message=error.message)
        self.standing = standing
        delay = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)] if away else self._ttl_s / 2
        self._failures += 1
        return delay

    async def _remove(self) -> None:
        try:
            async with asyncio.timeout(REMOVE_S):
                await self._store.remove(self._record.id, self._record.epoch)
        except (AntiphonError, TimeoutError) as error:
            log.info("lease.left", worker=self._record.id, message=str(error))


@asynccontextmanager
async def announced(store: Store, record: WorkerRecord, *, ttl_s: float = TTL_S) -> AsyncIterator[Announcer]:
    """The record stands in the registry while the context is open; entering does not wait for it to get there."""
    announcer = Announcer(store, record, ttl_s=ttl_s)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(announcer.run())
        try:
            yield announcer
        finally:
            running.cancel()
