"""One bidirectional gRPC stream seen from its client: an outbox that never blocks, a reader that hands over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import grpc.aio

from base.channels import Channel, ChannelClosed, Policy
from base.errors import AntiphonError, Unavailable
from base.rpc import error_from_rpc

Out = TypeVar("Out")
In = TypeVar("In")


class Stream(Generic[Out, In]):
    """`call` is fresh and nobody else's. `run` owns it: it is cancelled when `run` ends, however it ends."""

    def __init__(self, call: grpc.aio.StreamStreamCall, name: str, capacity: int = 4096) -> None:
        self._call = call
        self._name = name
        self._outbox: Channel[Callable[[], Iterable[Out]]] = Channel("to_worker", capacity, Policy.REJECT)
        self._left = asyncio.Event()
        self._reason: Exception | None = None

    @property
    def open(self) -> bool:
        return not self._left.is_set()

    def send_nowait(self, message: Out) -> None:
        """Hands a message over; on a stream that is over it goes nowhere. A full outbox ends the stream."""
        self.due_nowait(lambda: (message,))

    def due_nowait(self, messages: Callable[[], Iterable[Out]]) -> None:
        """The same of messages that are made when it is their turn, one after another."""
        if self._left.is_set():
            return
        if len(self._outbox) >= self._outbox.capacity:
            self.unread_nowait()
            return
        self._outbox.put_nowait(messages)

    def unread_nowait(self) -> None:
        """Ends the stream: the worker takes nothing of what waits for it."""
        self.leave_nowait(Unavailable(f"{self._name}: the worker stopped reading"))

    def leave_nowait(self, reason: Exception | None = None) -> None:
        """Ends the stream from our side: nothing more is taken. `run` raises `reason`, if there is one, or returns."""
        if not self._left.is_set():
            self._reason = reason
            self._left.set()

    async def run(self, take: Callable[[In], None]) -> None:
        """Reads and writes until the stream is lost (raises an AntiphonError) or left. A fault of `take` is raised."""
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read(take))
                writer = tasks.create_task(self._write())
                await self._left.wait()
                reader.cancel()
                writer.cancel()
        except ExceptionGroup as group:
            raise _first(group) from None
        finally:
            self._left.set()
            self._outbox.close()
            self._call.cancel()
        if self._reason is not None:
            raise self._reason

    async def _read(self, take: Callable[[In], None]) -> None:
        while True:
            message = await self._call.read()
            if self._left.is_set():
                return
            if message is grpc.aio.EOF:
                # The status says why; it is OK when the server simply ended.
                code = await self._call.code()
                if code.name != "OK":
                    raise error_from_rpc(
                        grpc.aio.AioRpcError(
                            code,
                            await self._call.initial_metadata(),
                            await self._call.trailing_metadata(),
                            await self._call.details(),
                        )
                    )
                raise Unavailable(f"{self._name}: the worker ended the stream")
            take(message)

    async def _write(self) -> None:
        try:
            while True:
                for message in (await self._outbox.get())():
                    await self._call.write(message)
        except (ChannelClosed, asyncio.InvalidStateError, grpc.aio.AioRpcError):
            # The stream is over; the reader knows why.
            return


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The one error that tells most: the first that is ours, or what gRPC said. Anything else is a fault, as it is."""
    for error in group.exceptions:
        if isinstance(error, AntiphonError):
            return error
        if isinstance(error, grpc.aio.AioRpcError):
            return error_from_rpc(error)
    return group
