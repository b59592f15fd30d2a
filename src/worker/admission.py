"""Slots: how many turns (or utterances) a worker carries at the promised latency, and who has them. Pure.

A worker never admits more: what it cannot carry it refuses at once, so that the caller can go to the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from base.errors import AtCapacity


@dataclass(frozen=True, slots=True)
class SlotStatistics:
    """`taken`, `refused` and `high_water` since the start."""

    capacity: int
    used: int
    taken: int
    refused: int
    high_water: int


class Slot:
    """One slot, until it is released; releasing it again changes nothing."""

    def __init__(self, slots: Slots) -> None:
        self._slots: Slots | None = slots

    @property
    def held(self) -> bool:
        return self._slots is not None

    def release(self) -> None:
        slots, self._slots = self._slots, None
        if slots is not None:
            slots._give_back()


class Slots:
    """`capacity` slots. `changed` is called after every change of `used`, from whoever made it."""

    def __init__(
        self,
        capacity: int,
        *,
        what: str = "turns",
        retry_after_s: float = 0.5,
        changed: Callable[[], None] | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"a worker has at least 1 slot, not {capacity}")
        self.capacity = capacity
        self._what = what
        self._retry_after_s = retry_after_s
        self._changed = changed
        self._used = self._taken = self._refused = self._high = 0

    @property
    def used(self) -> int:
        return self._used

    def reserve(self) -> Slot:
        """Takes a slot; raises `AtCapacity` (reason AT_CAPACITY, with a time to try again) when all are taken."""
        if self._used >= self.capacity:
            self._refused += 1
            message = (
                f"all {self.capacity} slots of this worker are taken by {self._what}; try another worker, or again"
            )
            raise AtCapacity(message, retry_after_s=self._retry_after_s)
        self._used += 1
        self._taken += 1
        self._high = max(self._high, self._used)
        if self._changed is not None:
            self._changed()
        return Slot(self)

    def statistics(self) -> SlotStatistics:
        return SlotStatistics(self.capacity, self._used, self._taken, self._refused, self._high)

    def _give_back(self) -> None:
        self._used -= 1
        if self._changed is not None:
            self._changed()
