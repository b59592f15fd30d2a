"""Records and their leases, as a pure core: every method takes `now` (monotonic seconds) and says what changed.

A lease is over the moment its deadline is reached, whether or not `expire` was called in between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from base.errors import AtCapacity, BadRequest, NotFound, WrongState
from registry.records import WorkerRecord
from registry.store import Change, Put, Removed

SUPERSEDED = "SUPERSEDED"


@dataclass(frozen=True, slots=True)
class _Lease:
    record: WorkerRecord
    deadline: float


class Leases:
    """See the module. `capacity` bounds the number of workers."""

    def __init__(self, *, min_ttl_s: float = 0.2, max_ttl_s: float = 120.0, capacity: int = 4096) -> None:
        self._min_ttl_s = min_ttl_s
        self._max_ttl_s = max_ttl_s
        self._capacity = capacity
        self._leases: dict[str, _Lease] = {}

    def grant(self, ttl_s: float) -> float:
        """The TTL that a lease gets when `ttl_s` is asked for; raises `BadRequest` for what is no time."""
        if not math.isfinite(ttl_s) or ttl_s <= 0:
            raise BadRequest(f"ttl_s is {ttl_s}; it is a number of seconds above 0", reason="BAD_TTL")
        return min(max(ttl_s, self._min_ttl_s), self._max_ttl_s)

    def put(self, record: WorkerRecord, ttl_s: float, now: float) -> list[Change]:
        """Raises `AtCapacity` for one worker too many."""
        granted = self.grant(ttl_s)
        changes = self.expire(now)
        if record.id not in self._leases and len(self._leases) >= self._capacity:
            raise AtCapacity(f"the registry holds {self._capacity} workers and takes no more", reason="REGISTRY_FULL")
        return changes + self._set(record, now + granted)

    def renew(self, record: WorkerRecord, ttl_s: float, now: float) -> list[Change]:
        """Raises `NotFound` (the lease is lost) or `WrongState` (another life holds it)."""
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
        self._leases[record.id] = _Lease(record, deadline)
        return [] if before is not None and before.record == record else [Put(record)]
