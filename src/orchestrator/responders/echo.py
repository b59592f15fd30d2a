"""Says back what it heard; for trying out ears and voices."""

from __future__ import annotations

from collections.abc import AsyncIterator

from orchestrator.conversation.commands import Cause
from orchestrator.conversation.history import Item, Role
from orchestrator.ports import Context, Delta, Done, Text


class EchoResponder:
    name = "echo"
    early = True

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        if context.cause is Cause.GREETING:
            yield Text("Say something, and I will say it back.")
        else:
            said = next((item.text for item in reversed(history) if item.role is Role.USER), "")
            yield Text(said or "I heard no words.")
        yield Done()

    async def warm(self) -> None:
        pass

    async def close(self) -> None:
        pass
