"""One stream's outbox: what is sent, in which order, and when it is made."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc.aio
import pytest

from base.errors import Unavailable
from orchestrator.clients.stream import Stream

pytestmark = pytest.mark.unit


class Call:
    """A worker that takes a message each time that it is let."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.let = asyncio.Semaphore(0)

    async def write(self, message: str) -> None:
        await self.let.acquire()
        self.taken.append(message)

    async def read(self) -> str:
        await asyncio.get_running_loop().create_future()
        return ""

    def cancel(self) -> None:
        pass


def made(call: Call, capacity: int = 8) -> Stream[str, str]:
    return Stream(cast(grpc.aio.StreamStreamCall[Any, Any], call), "a worker", capacity)


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_is_due_is_made_when_its_turn_comes_and_in_order() -> None:
    call, kept = Call(), ["a"]
    stream = made(call)

    def due() -> list[str]:
        out, kept[:] = ["".join(kept)], []
        return out

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stream.run(lambda _: None))
        stream.send_nowait("first")
        stream.due_nowait(due)
        stream.send_nowait("last")
        await turns()
        kept += ["b", "c"]
        for _ in range(3):
            call.let.release()
            await turns()
        stream.leave_nowait()
        await running
    assert call.taken == ["first", "abc", "last"]


async def test_a_worker_that_takes_nothing_is_left() -> None:
    call = Call()
    stream = made(call, capacity=2)
    running = asyncio.create_task(stream.run(lambda _: None))
    for number in range(3):
        stream.send_nowait(str(number))
    with pytest.raises(Unavailable, match="stopped reading"):
        await running


async def test_a_stream_is_left_by_whoever_finds_that_nothing_is_read() -> None:
    call = Call()
    stream = made(call)
    running = asyncio.create_task(stream.run(lambda _: None))
    await turns()
    stream.unread_nowait()
    with pytest.raises(Unavailable, match="stopped reading"):
        await running
