"""When to try LiveKit again, and what to tell the operator meanwhile: pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

FIRST_S = 0.5
MOST_S = 10.0
SLOW_S = 30.0
"""Between tries that only somebody's hand can make succeed."""
REMIND_S = 300.0


class Trouble(Enum):
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    """It does not take our key."""
    STRANGER = "stranger"
    """What answers there is no LiveKit."""
    LOST = "lost"
    """We were registered, and the connection ended."""


SLOW = frozenset({Trouble.REFUSED, Trouble.STRANGER})


@dataclass(frozen=True, slots=True)
class Pause:
    """Until the next try; `tell` when the operator has not been told of this trouble, or not for long."""

    seconds: float
    tell: bool


class Retries:
    """`jitter()` gives a number in [0, 1), so that many orchestrators don't come back at the same moment."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._failures = 0
        self._told: Trouble | None = None
        self._told_at = 0.0

    def succeeded(self) -> None:
        self._failures = 0
        self._told = None

    def failed(self, trouble: Trouble, now: float) -> Pause:
        self._failures += 1
        tell = trouble is not self._told or now - self._told_at >= REMIND_S
        if tell:
            self._told, self._told_at = trouble, now
        full = SLOW_S if trouble in SLOW else min(MOST_S, FIRST_S * 2.0 ** min(self._failures - 1, 30))
        return Pause(full * (0.5 + self._jitter() / 2), tell)
