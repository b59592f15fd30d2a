"""A responder that takes its time, for what an early start saves: `--responder benchmarks.slow_brain:SlowBrain`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from orchestrator.conversation.history import Item
from orchestrator.ports import Context, Delta, Done, Text

THINKS_S = 0.4


class SlowBrain:
    name = "slow"
    early = True

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        await asyncio.sleep(THINKS_S)
        yield Text("So it is, I should think.")
        yield Done()

    async def warm(self) -> None:
        pass

    async def close(self) -> None:
        pass
