"""What a watcher believes about the workers, as a pure core: news in, with `now` (monotonic seconds); records out.

When the registry is lost its last word stays in force, marked stale. When it is back, it may have been started anew and
know nobody yet: a worker that is missing from its first snapshot is kept for `settle_s`, the time it has to register
again. Keeping a dead worker costs a failed attempt; dropping all live ones would cost every session.
"""

from __future__ import annotations

from registry.records import WorkerRecord
from registry.store import News, Put, Removed, Snapshot


class View:
    """See the module."""

    def __init__(self, *, settle_s: float = 10.0) -> None:
        self._settle_s = settle_s
        self._records: dict[str, WorkerRecord] = {}
        self._missing: dict[str, float] = {}
        self._lost_before = False
        self.stale = True
        """No news is being received; true until the first snapshot."""

    @property
    def workers(self) -> tuple[WorkerRecord, ...]:
        """Ordered by id."""
        return tuple(record for _, record in sorted(self._records.items()))

    def apply(self, news: News, now: float) -> None:
        match news:
            case Snapshot(workers):
                self.stale = False
                present = {record.id: record for record in workers}
                missing = self._records.keys() - present.keys() if self._lost_before else set()
                self._missing = dict.fromkeys(missing, now + self._settle_s)
                self._records = {id: self._records[id] for id in missing} | present
                self._lost_before = False
            case Put(worker):
                self._records[worker.id] = worker
                self._missing.pop(worker.id, None)
            case Removed(id):
                self._records.pop(id, None)
                self._missing.pop(id, None)

    def lost(self) -> None:
        """The store cannot be reached."""
        self.stale = True
        self._lost_before = bool(self._records)
        self._missing.clear()

    def next_deadline(self) -> float | None:
        return min(self._missing.values(), default=None)

    def handle_timer(self, now: float) -> None:
        """Drops who has not registered again in time."""
        for id in [id for id, deadline in self._missing.items() if deadline <= now]:
            del self._missing[id]
            del self._records[id]
