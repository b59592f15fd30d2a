"""Connections that never ask for anything: pure. A port scan, half a request, or somebody who wants them all.

A proxy in front ends such connections itself; this is for those who are reached without one.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

C = TypeVar("C", bound=Hashable)


class Silent(Generic[C]):
    """Which of the connections have been open for `patience_s` without a whole request."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since: dict[C, float] = {}
        self._asked: set[C] = set()

    def asked(self, connection: C) -> None:
        """It has asked for something; how long it may stay is its handler's business from now on."""
        self._asked.add(connection)

    def overdue(self, connections: Collection[C], now: float) -> list[C]:
        """Of all that are open. What is not among them any more is forgotten."""
        self._asked.intersection_update(connections)
        self._since = {c: self._since.get(c, now) for c in connections if c not in self._asked}
        return [c for c, since in self._since.items() if now - since >= self._patience_s]
