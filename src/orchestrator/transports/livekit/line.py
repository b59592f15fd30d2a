"""The writing half: docs/protocol.md's messages, one after another, to the user.

They wait in an outbox with a bound; who does not take them is given up, as on every transport. A client that never
spoke the protocol is sent none of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from orchestrator.connection import Link
from orchestrator.messages import Clear, Hold, Resume, ServerMessage, SessionStarted, encoded


class Line(Link[bytes]):
    """`publish` sends one message, which takes milliseconds: orders to the loudspeaker wait for no other message, but
    for the one that a session begins with.

    It raises ConnectionError when nothing can be sent any more.
    """

    def __init__(self, publish: Callable[[bytes], Awaitable[None]], *, speaks: bool) -> None:
        super().__init__()
        self.speaks = speaks
        """Whether the client knows the protocol."""
        self._publish = publish

    def send_nowait(self, message: ServerMessage) -> None:
        if self.speaks:
            data = encoded(message)
            self._put(data, len(data), first=isinstance(message, SessionStarted | Hold | Resume | Clear))

    def room(self, rate: int) -> int:
        """Audio goes another way."""
        return 0

    async def write(self) -> None:
        """Returns when a close was asked for and all else is sent, or when nothing can be sent any more."""
        try:
            while isinstance(item := await self.next(), bytes):
                await self._publish(item)
        except ConnectionError:
            self._gone = True
