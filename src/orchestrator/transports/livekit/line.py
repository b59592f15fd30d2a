"""The writing half: docs/protocol.md's messages, one after another, to the user.

They wait in an outbox with a bound; who does not take them is given up, as on every transport. A client that never
spoke the protocol is sent none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from base.errors import TimedOut
from orchestrator.messages import CloseCode, Error, ServerMessage, encoded
from orchestrator.outbox import Outbox


class Line:
    """`publish` sends one message; it raises ConnectionError when nothing can be sent any more."""

    def __init__(self, publish: Callable[[bytes], Awaitable[None]], *, speaks: bool) -> None:
        self.closing: tuple[int, str] | None = None
        self.speaks = speaks
        """Whether the client knows the protocol."""
        self._publish = publish
        self._outbox: Outbox[bytes] = Outbox()
        self._news = asyncio.Event()
        self._gone = False

    def send_nowait(self, message: ServerMessage) -> None:
        if self.closing is not None or self._gone or not self.speaks:
            return
        data = encoded(message)
        if not self._outbox.put_control(data, len(data)):
            self._outbox.drop_control()
            reason = "the client does not read what it is sent"
            error = Error(code=TimedOut.code, message=reason, fatal=True, reason="NOT_READING")
            self.fail_nowait(error, CloseCode.POLICY)
        self._news.set()

    def close_nowait(self, code: int, reason: str) -> None:
        """What was sent before still goes out."""
        if self.closing is None:
            self.closing = (code, reason)
            self._news.set()

    def fail_nowait(self, error: Error, code: CloseCode) -> None:
        self.send_nowait(error)
        self.close_nowait(code, error.message)

    def gone_nowait(self) -> None:
        """The user is."""
        self._gone = True
        self._news.set()

    async def write(self) -> None:
        """Returns when a close was asked for and all else is sent, or when nothing can be sent any more."""
        try:
            while not self._gone:
                item = self._outbox.pop()
                if isinstance(item, bytes):
                    await self._publish(item)
                elif self.closing is not None:
                    return
                else:
                    self._news.clear()
                    await self._news.wait()
        except ConnectionError:
            self._gone = True
