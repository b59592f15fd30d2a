"""The port of a registry store: records with a time to live, and news about them.

Every method may raise `Unavailable` or `TimedOut` where the store cannot be reached; that says nothing about a lease.
A lease that is lost is said by `NotFound`, from `renew` only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from registry.records import WorkerRecord


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All there is, ordered by id."""

    workers: tuple[WorkerRecord, ...]


@dataclass(frozen=True, slots=True)
class Put:
    """A record that is new or has changed."""

    worker: WorkerRecord


@dataclass(frozen=True, slots=True)
class Removed:
    """The worker `id` is gone: it said so, or its lease ran out."""

    id: str


Change = Put | Removed
News = Snapshot | Change


class Store(Protocol):
    """Times are seconds. A TTL that is out of the store's bounds is moved into them; what was granted is returned."""

    async def put(self, record: WorkerRecord, ttl_s: float) -> float:
        """Puts the record and starts its lease, in place of any earlier life of that worker."""
        ...

    async def renew(self, record: WorkerRecord, ttl_s: float) -> float:
        """Renews the lease and replaces the record.

        Raises `NotFound` where there is no lease, and `WrongState` (reason SUPERSEDED) where another life of the worker
        has it.
        """
        ...

    async def remove(self, id: str, epoch: str = "") -> None:
        """Ends the lease of that life (empty: any); nothing happens where there is none."""
        ...

    async def snapshot(self) -> tuple[WorkerRecord, ...]:
        """All live records, ordered by id."""
        ...

    def watch(self) -> AsyncGenerator[News, None]:
        """A `Snapshot` first, then changes; a slow reader misses states in between, never the last one.

        Close it (`contextlib.aclosing`) when leaving early. It raises when the store is lost; then watch again.
        """
        ...
