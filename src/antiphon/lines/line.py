"""What a session needs of the connection under it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from orchestrator.messages import Audio, ClientMessage, CloseCode, ServerMessage

FINAL = frozenset({int(CloseCode.ENDED), int(CloseCode.RESUMED_ELSEWHERE), int(CloseCode.POLICY)})
"""Close codes after which coming back makes no sense."""
CONNECT_S = 10.0
LINE = 100
"""Characters of what somebody else said that are told."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message that this client does not know, as it came."""

    text: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The server's last word on this connection, where that is a message."""

    code: int
    reason: str


class Broken(Exception):
    """This connection is over, the session perhaps not."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Line(Protocol):
    """One open connection."""

    async def send(self, message: ClientMessage | Audio) -> None:
        """Waits while the network takes nothing. On one that is over it does nothing, or raises ConnectionError."""
        ...

    def received(self) -> AsyncGenerator[ServerMessage | Audio | Unknown, None]:
        """In order; ends when the session is over. Raises Broken when it may go on over another connection, and what
        the server said when it may not."""
        ...


Opener = Callable[[], AbstractAsyncContextManager[Line]]
"""Opens a connection; raises Broken where nobody answers."""


def one_line(text: str) -> str:
    """What somebody else said, for one line of a terminal."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.split())[:LINE]
