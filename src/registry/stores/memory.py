"""A store in memory: what `up` and the registry's own server run on. It belongs to one event loop and needs no task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable

from registry.leases import Leases
from registry.records import WorkerRecord
from registry.store import Change, News, Put, Removed, Snapshot


class MemoryStore:
    """`clock` is monotonic seconds. Watchers wake for changes, and for leases that run out."""

    def __init__(self, leases: Leases | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._leases = leases if leases is not None else Leases()
        self._clock = clock
        self._watchers: set[asyncio.Event] = set()

    async def put(self, record: WorkerRecord, ttl_s: float) -> float:
        before = self._leases.next_deadline()
        self._tell(self._leases.put(record, ttl_s, self._clock()), before)
        return self._leases.grant(ttl_s)

    async def renew(self, record: WorkerRecord, ttl_s: float) -> float:
        before = self._leases.next_deadline()
        self._tell(self._leases.renew(record, ttl_s, self._clock()), before)
        return self._leases.grant(ttl_s)

    async def remove(self, id: str, epoch: str = "") -> None:
        self._tell(self._leases.remove(id, epoch, self._clock()), None)

    async def snapshot(self) -> tuple[WorkerRecord, ...]:
        return self._leases.snapshot(self._clock())

    async def watch(self) -> AsyncGenerator[News, None]:
        """Each watcher compares what it told last with what there is, so that a slow one holds nothing up."""
        wake = asyncio.Event()
        self._watchers.add(wake)
        try:
            told = self._now()
            yield Snapshot(tuple(told.values()))
            while True:
                await self._wait(wake)
                wake.clear()
                present = self._now()
                for change in _difference(told, present):
                    yield change
                told = present
        finally:
            self._watchers.discard(wake)

    async def _wait(self, wake: asyncio.Event) -> None:
        deadline = self._leases.next_deadline()
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - self._clock())):
                await wake.wait()
        except TimeoutError:
            self._tell(self._leases.expire(self._clock()), None)

    def _now(self) -> dict[str, WorkerRecord]:
        return {record.id: record for record in self._leases.snapshot(self._clock())}

    def _tell(self, changes: list[Change], before: float | None) -> None:
        """Wakes the watchers for changes, and for a next deadline that is sooner than the one they wait for."""
        after = self._leases.next_deadline()
        if changes or (before is not None and after is not None and after < before):
            for wake in self._watchers:
                wake.set()


def _difference(before: dict[str, WorkerRecord], after: dict[str, WorkerRecord]) -> list[Change]:
    gone: list[Change] = [Removed(id) for id in before if id not in after]
    return gone + [Put(record) for id, record in after.items() if before.get(id) != record]
