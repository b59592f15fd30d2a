"""A brain that does what its text says, good or bad: `house(responder="tests.support.brains:Obedient")`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

from orchestrator.conversation.history import Item
from orchestrator.ports import Adjust, Context, Delta, Done, Text, ToolCall, ToolResult


class Obedient:
    name = "obedient"
    go: ClassVar[asyncio.Event]
    """What "count later" waits for, of the last one made."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        type(self).go = asyncio.Event()

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        said = history[-1].text if history else ""
        try:
            async for delta in self._obey(said, history, context):
                yield delta
            yield Done()
        finally:
            self.closed.append(said)

    async def _obey(self, said: str, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        match said:
            case "break":
                yield Text("I begin. And then")
                raise ValueError("a secret of this brain")
            case "cancel":
                yield Text("I begin. And then")
                raise asyncio.CancelledError
            case "exit":
                yield Text("I begin. And then")
                raise SystemExit(3)
            case "number":
                yield 5  # type: ignore[misc]
            case "nothing":
                yield Text(None)  # type: ignore[arg-type]
            case "halves":
                yield Text("Well \ud83d")
                yield Text("\ude00 then. \udc00 Done.")
            case "half a tool":
                yield ToolCall("1", "clock \ud83d", "{}")
                yield Text("It is noon.")
            case "brackets":
                for _ in range(5):
                    yield Text("[" * 20_000)
                yield Text("Done.")
            case "endless":
                while True:
                    yield Text("[" * 100_000)
            case "hang":
                yield Text("I begin.")
                await asyncio.Event().wait()
            case "closed":
                yield Text(", ".join(self.closed) or "none")
            case "alto":
                yield Adjust(voice="alto")
                yield Text("My own voice.")
            case "low":
                yield Adjust(voice="low")
                yield Text("Low.")
            case "tool":
                yield ToolCall("1", "clock", "{}")
                yield ToolResult("1", "clock", "noon")
                yield Text("It is noon.")
            case "history":
                yield Text(" / ".join(f"{item.role.value} {item.text}" for item in history[:-1]))
            case "count later":
                await self.go.wait()
                for number in range(150):
                    yield Text(f"{number} ")
            case "wait":
                yield Text("First this. ")
                await context.progress.wait_heard()
                yield Text("And when that was heard, this.")
            case _:
                yield Text(said)

    async def warm(self) -> None:
        raise RuntimeError("not today")

    async def close(self) -> None:
        pass


class Sleepy:
    """One that never gets ready; `warming` counts how often it is at it."""

    name = "sleepy"
    warming = 0

    def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        raise NotImplementedError

    async def warm(self) -> None:
        Sleepy.warming += 1
        try:
            await asyncio.Event().wait()
        finally:
            Sleepy.warming -= 1

    async def close(self) -> None:
        pass
