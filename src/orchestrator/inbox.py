"""A session's inbox: 64 places. A newer partial takes the place of a waiting one of the same utterance; the client's
text is refused where there is no place; everything else is bounded by what causes it and always fits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from orchestrator.conversation.events import Asked, Event, PartialHeard, Said


class Inbox:
    """One consumer, on the event loop."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self.refused = 0

    def __len__(self) -> int:
        return len(self._events)

    def post_nowait(self, event: Event) -> bool:
        """False when the event was refused."""
        if isinstance(event, PartialHeard):
            for i, waiting in enumerate(self._events):
                if isinstance(waiting, PartialHeard) and waiting.utterance == event.utterance:
                    self._events[i] = event
                    return True
        if isinstance(event, Asked | Said) and len(self._events) >= self._capacity:
            self.refused += 1
            return False
        self._events.append(event)
        self._wake.set()
        return True

    async def get(self, deadline_s: float | None, clock: Callable[[], float]) -> Event | None:
        """The oldest event, or None once `deadline_s` (on `clock`) has come."""
        while not self._events:
            self._wake.clear()
            try:
                async with asyncio.timeout(None if deadline_s is None else max(0.0, deadline_s - clock())):
                    await self._wake.wait()
            except TimeoutError:
                return None
        if deadline_s is not None and deadline_s <= clock():
            return None
        return self._events.popleft()
