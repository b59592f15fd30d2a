"""The client is the brain: what it sends as `reply_delta` is the reply.

`turn_ended` tells the client which turn to answer. Deltas may come before the reply asks for them; what is for another
turn, an older one or one that was not named yet, is ignored and counted. One instance a session.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from base.channels import Channel, ChannelClosed, Policy
from orchestrator.brain_errors import ModelSlow
from orchestrator.conversation.commands import Cause
from orchestrator.conversation.history import Item
from orchestrator.ports import Context, Delta, Done, Text

WAITING_DELTAS = 256


class ClientResponder:
    """See the module. `timeout_s`: the longest wait for the client's next delta."""

    name = "client"

    def __init__(self, timeout_s: float = 30.0) -> None:
        self._timeout_s = timeout_s
        self._named = 0
        self._turn = 0
        self._ended = 0
        self._deltas: Channel[Text | None] = Channel("reply_delta", WAITING_DELTAS, Policy.REJECT)
        self.ignored = 0

    def named_nowait(self, turn: int) -> None:
        """The client was told to answer `turn`."""
        self._named = max(self._named, turn)

    def delta_nowait(self, turn: int, text: str, language: str = "") -> None:
        """A piece of the reply to `turn`. Raises ChannelFull when the client is too far ahead of its own voice."""
        if self._accepts(turn):
            self._deltas.put_nowait(Text(text, language))

    def end_nowait(self, turn: int) -> None:
        """The reply to `turn` is complete."""
        if self._accepts(turn):
            self._ended = turn
            self._deltas.put_nowait(None)

    def _accepts(self, turn: int) -> bool:
        if turn < self._turn or turn <= self._ended or turn > self._named:
            self.ignored += 1
            return False
        if turn > self._turn:
            self._turn = turn
            self._deltas.clear()
        return True

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        if context.cause is Cause.GREETING:
            yield Done()
            return
        self.named_nowait(context.turn)
        if context.turn > self._turn:
            self._turn = context.turn
            self._deltas.clear()
        while context.turn == self._turn:
            try:
                async with asyncio.timeout(self._timeout_s):
                    delta = await self._deltas.get()
            except TimeoutError:
                raise ModelSlow(
                    f"the client sent no reply_delta for turn {context.turn} within {self._timeout_s:g} s",
                    spoken="I was given nothing to say.",
                ) from None
            except ChannelClosed:
                return
            if delta is None:
                break
            yield delta
        yield Done()

    async def warm(self) -> None:
        pass

    async def close(self) -> None:
        self._deltas.close()
