"""Records and their leases, as a pure core: every method takes `now` (monotonic seconds) and says what changed.

A lease is over the moment its deadline is reached, whether or not `expire` was called in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from base.errors import AtCapacity, BadRequest, NotFound, WrongState
from registry.records import WorkerRecord
from registry.store import Change, Put, Removed

SUPERSEDED = "SUPERSEDED"


@dataclass(frozen=True, slots=True)
class _Lease:
    record: WorkerRecord
    deadline: float
    size: int


class Leases:
    """See the module. `capacity` bounds the number of workers; `size` says how many bytes a record has in a snapshot,
    which `largest` bounds for each, and `capacity_bytes` for all: a snapshot must fit in one message.
    """

    def __init__(
        self,
        *,
        min_ttl_s: float = 0.2,
        max_ttl_s: float = 120.0,
        capacity: int = 4096,
        size: Callable[[WorkerRecord], int] = lambda _: 0,
        largest: int = 256 * 1024,
        capacity_bytes: int = 4_000_000,
    ) -> None:
        self._min_ttl_s = min_ttl_s
        self._max_ttl_s = max_ttl_s
        self._capacity = capacity
        self._size = size
        self._largest = largest
        self._capacity_bytes = capacity_bytes
        self._leases: dict[str, _Lease] = {}

    def grant(self, ttl_s: float) -> float:
        """The TTL that a lease gets when `ttl_s` is asked for; raises `BadRequest` for what is no time."""
        if not math.isfinite(ttl_s) or ttl_s <= 0:
            raise BadRequest(f"ttl_s is {ttl_s}; it is a number of seconds above 0", reason="BAD_TTL")
        return min(max(ttl_s, self._min_ttl_s), self._max_ttl_s)

    def put(self, record: WorkerRecord, ttl_s: float, now: float) -> list[Change]:
        """Raises `AtCapacity` for one worker too many, or too much of it, and `BadRequest` for too large a record."""
        granted = self.grant(ttl_s)
        changes = self.expire(now)
        if record.id not in self._leases and len(self._leases) >= self._capacity:
            raise AtCapacity(f"the registry holds {self._capacity} workers and takes no more", reason="REGISTRY_FULL")
        return changes + self._set(record, now + granted)

    def renew(self, record: WorkerRecord, ttl_s: float, now: float) -> list[Change]:
        """Raises `NotFound` (the lease is lost) or `WrongState` (another life holds it); for its size, as `put`."""
        granted = self.grant(ttl_s)
        held = self._leases.get(record.id)
        if held is None or held.deadline <= now:
            raise NotFound(f"worker {record.id!r} has no lease; register it again", reason="LEASE_LOST")
        if held.record.epoch != record.epoch:
            raise WrongState(
                f"worker id {record.id!r} is held by another process, at {held.record.address}; give each its own id",
                reason=SUPERSEDED,
            )
        return self.expire(now) + self._set(record, now + granted)

    def remove(self, id: str, epoch: str, now: float) -> list[Change]:
        changes = self.expire(now)
        held = self._leases.get(id)
        if held is not None and epoch in ("", held.record.epoch):
            del self._leases[id]
            changes.append(Removed(id))
        return changes

    def expire(self, now: float) -> list[Change]:
        """Drops what is over."""
        over = [id for id, lease in self._leases.items() if lease.deadline <= now]
        for id in over:
            del self._leases[id]
        return [Removed(id) for id in over]

    def next_deadline(self) -> float | None:
        """When `expire` will find something; None where there is no lease."""
        return min((lease.deadline for lease in self._leases.values()), default=None)

    def snapshot(self, now: float) -> tuple[WorkerRecord, ...]:
        return tuple(lease.record for _, lease in sorted(self._leases.items()) if lease.deadline > now)

    def _set(self, record: WorkerRecord, deadline: float) -> list[Change]:
        before = self._leases.get(record.id)
        if before is not None and before.record == record:
            self._leases[record.id] = replace(before, deadline=deadline)
            return []
        size = self._size(record)
        self._check_size(record.id, size, size - (before.size if before is not None else 0))
        self._leases[record.id] = _Lease(record, deadline, size)
        return [Put(record)]

    def _check_size(self, id: str, size: int, more: int) -> None:
        if size > self._largest:
            raise BadRequest(
                f"the record of worker {id!r} has {size} bytes; at most {self._largest}: name fewer voices",
                reason="RECORD_TOO_LARGE",
            )
        total = more + sum(lease.size for lease in self._leases.values())
        if more > 0 and total > self._capacity_bytes:
            raise AtCapacity(
                f"with worker {id!r} the records would have {total} bytes; the registry holds {self._capacity_bytes}",
                reason="REGISTRY_FULL",
            )
