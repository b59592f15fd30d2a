"""A bounded channel: every queue in Antiphon has a capacity, a policy and a number that says how it fares.

Policies when full: `block` (only `put` waits), `drop_oldest` (a live microphone never blocks the network), `reject`
(`put_nowait` raises `ChannelFull`). One consumer; any number of producers on the same event loop.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from base.errors import AtCapacity

T = TypeVar("T")
PUT, DROPPED, REJECTED = range(3)


class Policy(Enum):
    BLOCK = "block"
    DROP_OLDEST = "drop_oldest"
    REJECT = "reject"


class ChannelFull(AtCapacity):
    default_reason = "QUEUE_FULL"


class ChannelClosed(Exception):
    """The other side is gone; nothing more comes or goes."""


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    name: str
    length: int
    capacity: int
    put: int
    dropped: int
    rejected: int
    high_water: int


class Book:
    """All channels of a process, and what those counted that are gone: counters never go back."""

    def __init__(self) -> None:
        self._live: dict[int, tuple[weakref.ref[Channel[Any]], str, list[int]]] = {}
        self._gone: dict[str, list[int]] = {}

    def add(self, channel: Channel[Any]) -> None:
        place = id(channel)
        self._live[place] = (weakref.ref(channel, lambda _: self._forget(place)), channel.name, channel.counts)

    def live(self) -> Iterator[ChannelStatistics]:
        """Of those that are neither closed nor gone."""
        for reference, _, _ in list(self._live.values()):
            channel = reference()
            if channel is not None and not channel.closed:
                yield channel.statistics()

    def totals(self) -> dict[str, tuple[int, int, int]]:
        """By name: put, dropped, rejected since the start."""
        out = {name: list(counts) for name, counts in self._gone.items()}
        for _, name, counts in list(self._live.values()):
            _add(out.setdefault(name, [0, 0, 0]), counts)
        return {name: (put, dropped, rejected) for name, (put, dropped, rejected) in out.items()}

    def _forget(self, place: int) -> None:
        _, name, counts = self._live.pop(place)
        _add(self._gone.setdefault(name, [0, 0, 0]), counts)


def _add(total: list[int], counts: list[int]) -> None:
    for place, count in enumerate(counts):
        total[place] += count


BOOK = Book()


class Channel(Generic[T]):
    """See the module. `name` is what its numbers are told under: a few names a process, not one a session.

    `get` raises `ChannelClosed` after `close` once everything in it was taken."""

    def __init__(self, name: str, capacity: int, policy: Policy = Policy.BLOCK) -> None:
        if capacity < 1:
            raise ValueError(f"channel {name!r}: capacity must be at least 1, not {capacity}")
        self.name = name
        self.capacity = capacity
        self.policy = policy
        self._items: deque[T] = deque()
        # Lists, which take no room while they are empty, as they are most of the time: a session has several channels.
        self._readers: list[asyncio.Future[None]] = []
        self._writers: list[asyncio.Future[None]] = []
        self._closed = False
        self._high = 0
        self.counts = [0, 0, 0]
        """Items put, dropped, rejected."""
        BOOK.add(self)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        return self._closed

    def put_nowait(self, item: T) -> T | None:
        """Adds `item`; returns what had to be dropped for it (drop_oldest), else None."""
        if self._closed:
            raise ChannelClosed(self.name)
        lost: T | None = None
        if len(self._items) >= self.capacity:
            if self.policy is not Policy.DROP_OLDEST:
                self.counts[REJECTED] += 1
                raise ChannelFull(f"queue {self.name!r} is full ({self.capacity} places); slow down")
            lost = self._items.popleft()
            self.counts[DROPPED] += 1
        self._items.append(item)
        self.counts[PUT] += 1
        self._high = max(self._high, len(self._items))
        _wake(self._readers)
        return lost

    async def put(self, item: T) -> None:
        """Adds `item`, waiting for a place when the policy is `block`."""
        while self.policy is Policy.BLOCK and len(self._items) >= self.capacity and not self._closed:
            await _wait(self._writers)
        self.put_nowait(item)

    def get_nowait(self) -> T | None:
        """The oldest item, or None where there is none."""
        if not self._items:
            return None
        item = self._items.popleft()
        _wake(self._writers)
        return item

    async def get(self) -> T:
        while not self._items:
            if self._closed:
                raise ChannelClosed(self.name)
            await _wait(self._readers)
        item = self._items.popleft()
        _wake(self._writers)
        return item

    def clear(self) -> int:
        """Throws away what is in it; returns how many."""
        n = len(self._items)
        self._items.clear()
        while self._writers:
            _wake(self._writers)
        return n

    def close(self) -> None:
        self._closed = True
        for waiters in (self._readers, self._writers):
            while waiters:
                _wake(waiters)

    def statistics(self) -> ChannelStatistics:
        put, dropped, rejected = self.counts
        return ChannelStatistics(self.name, len(self._items), self.capacity, put, dropped, rejected, self._high)


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    while waiters:
        waiter = waiters.pop(0)
        if not waiter.done():
            waiter.set_result(None)
            return


async def _wait(waiters: list[asyncio.Future[None]]) -> None:
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiters.append(waiter)
    try:
        await waiter
    except asyncio.CancelledError:
        if waiter.done() and not waiter.cancelled():
            _wake(waiters)
        raise
    finally:
        if waiter in waiters:
            waiters.remove(waiter)
