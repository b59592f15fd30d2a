"""One reply: responder → chunker → synthesizer, with the downlink told what was written.

A reply is two tasks in a group of its own: one iterates the responder into a channel of 8 (so a slow voice holds a fast
brain back), one cuts and speaks. When the responder is silent for `PAUSE_S` with speakable text waiting, that text is
spoken. Cancelling the group closes the responder's iterator. What a responder wrote before it failed is spoken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, cast, get_args

from base.channels import Channel, ChannelClosed, Policy
from base.errors import AntiphonError, Internal
from base.log import get_logger
from base.surrogates import Halves
from orchestrator.cancellation import is_cancelled
from orchestrator.conversation.chunker import Chunk, Chunker
from orchestrator.conversation.history import Item
from orchestrator.faults import fault
from orchestrator.ports import (
    Adjust,
    Context,
    Delta,
    Done,
    Responder,
    Synthesizer,
    Text,
    ToolCall,
    ToolResult,
    VoiceChoice,
)

PAUSE_S = 0.35
SLICE = 512
"""Code points cut at a time; others have their turn in between (a few microseconds each)."""
MOST_CHARS = 1_000_000
"""Of a reply."""

log = get_logger("reply")


class ReplyAudience(Protocol):
    """Who hears what a reply writes; the downlink and the client. None of these waits."""

    def wrote_nowait(self, turn: int, text: str) -> None: ...

    def chunk_nowait(self, turn: int, chunk: Chunk) -> None: ...

    def finished_writing_nowait(self, turn: int) -> None: ...

    def fail_nowait(self, turn: int, code: str, message: str) -> None: ...


class _Flush:
    """In the channel: speak what is there, and say so."""

    def __init__(self) -> None:
        self.done = asyncio.Event()


@dataclass(frozen=True, slots=True)
class _Failed:
    """In the channel: the responder gave up, after all that is before this."""

    error: BaseException


_Item = Delta | _Flush | _Failed


class ReplyProgress:
    """`Progress` of one reply; see the port."""

    def __init__(self, wait_heard: Callable[[], Awaitable[None]], loading: Callable[[], None]) -> None:
        self._wait_heard = wait_heard
        self._loading = loading
        self._deltas: Channel[_Item] | None = None
        self._accepted = asyncio.Event()
        self._noises = 0

    @property
    def false_alarms(self) -> int:
        return self._noises

    def noise_nowait(self) -> None:
        self._noises += 1

    def attach(self, deltas: Channel[_Item]) -> None:
        self._deltas = deltas

    def accept_nowait(self) -> None:
        self._accepted.set()

    async def wait_accepted(self) -> None:
        await self._accepted.wait()

    async def wait_heard(self) -> None:
        if self._deltas is not None:
            flush = _Flush()
            await self._deltas.put(flush)
            await flush.done.wait()
        await self._wait_heard()

    def loading_nowait(self) -> None:
        self._loading()


@dataclass(frozen=True, slots=True)
class ReplyHooks:
    """What a reply changes in its session besides speaking. None waits."""

    wrote: Callable[[int, str], None]
    tool: Callable[[int, ToolCall | ToolResult], None]
    adjust: Callable[[Adjust], VoiceChoice]


class ReplyTask:
    """Runs one turn. `run` ends when everything is written and handed over; it never raises but for cancellation."""

    def __init__(
        self,
        *,
        turn: int,
        choice: VoiceChoice,
        synthesizer: Synthesizer,
        audience: ReplyAudience,
        hooks: ReplyHooks,
        progress: ReplyProgress,
    ) -> None:
        self.turn = turn
        self.progress = progress
        self.failed: AntiphonError | None = None
        self.first_text_s: float | None = None
        self._choice = choice
        self._synth = synthesizer
        self._audience = audience
        self._hooks = hooks
        self._began = False
        self._written = 0
        self._halves = Halves()
        self._chunker = Chunker(choice.language, rate=choice.rate)

    async def speak(self, text: str) -> None:
        """Speaks fixed words; no responder."""
        try:
            await self._write(Text(text))
            self._finish()
        except Exception as error:
            self._fail(error)

    async def run(self, responder: Responder, history: tuple[Item, ...], context: Context) -> None:
        """Asks the responder and speaks what it writes."""
        deltas: Channel[_Item] = Channel("deltas", 8, Policy.BLOCK)
        self.progress.attach(deltas)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pump(lambda: responder.reply(history, context), deltas))
                await self._consume(deltas)
        except ExceptionGroup as group:
            self._fail(group.exceptions[0])

    async def _consume(self, deltas: Channel[_Item]) -> None:
        while True:
            try:
                async with asyncio.timeout(PAUSE_S if self._chunker.waiting else None):
                    item = await deltas.get()
            except TimeoutError:
                await self._say(self._chunker.pause())
                self._synth.flush_nowait(self.turn)
                continue
            except ChannelClosed:
                break
            if isinstance(item, _Failed):
                self._fail(item.error)
                return
            await self._write(item)
        self._finish()

    async def _write(self, delta: Delta | _Flush) -> None:
        if isinstance(delta, Text):
            text = self._halves.join(delta.text)
            if not text:
                return
            self._written += len(text)
            if self._written > MOST_CHARS:
                raise Internal(f"the reply has more than {MOST_CHARS:,} characters, the most there may be")
            self._begin()
            self._audience.wrote_nowait(self.turn, text)
            self._hooks.wrote(self.turn, text)
            for at in range(0, len(text), SLICE):
                await self._say(self._chunker.push(text[at : at + SLICE], delta.language))
                await asyncio.sleep(0)
        elif isinstance(delta, _Flush):
            await self._say(self._chunker.flush())
            self._synth.flush_nowait(self.turn)
            delta.done.set()
        elif isinstance(delta, Adjust):
            choice = self._hooks.adjust(delta)
            if not self._began:
                self._choice = choice
        elif isinstance(delta, ToolCall | ToolResult):
            self._hooks.tool(self.turn, delta)

    def _begin(self) -> None:
        if not self._began:
            self._began = True
            self._synth.begin_nowait(self.turn, self._choice)

    async def _say(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            self._audience.chunk_nowait(self.turn, chunk)
            self._synth.say_nowait(self.turn, chunk.index, chunk.text, chunk.language)
            await self._synth.wait_room(self.turn)

    def _finish(self) -> None:
        self._begin()
        self._say_rest()
        self._audience.finished_writing_nowait(self.turn)
        self._synth.finish_nowait(self.turn)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, AntiphonError):
            self.failed = error
        else:
            log.error("responder_fault", turn=self.turn, **fault(error))
            self.failed = Internal(f"the responder broke ({type(error).__name__}); the server's log says more")
        self._begin()
        self._say_rest()
        self._audience.fail_nowait(self.turn, self.failed.code, self.failed.message)
        self._synth.finish_nowait(self.turn)

    def _say_rest(self) -> None:
        for chunk in self._chunker.flush():
            self._audience.chunk_nowait(self.turn, chunk)
            self._synth.say_nowait(self.turn, chunk.index, chunk.text, chunk.language)


async def _pump(reply: Callable[[], AsyncIterator[Delta]], deltas: Channel[_Item]) -> None:
    """Iterates the responder into the channel; closes its iterator however this ends."""
    try:
        async with aclosing(cast("AsyncClosable", replies := reply())):
            async for delta in replies:
                _check(delta)
                await deltas.put(delta)
                if isinstance(delta, Done):
                    break
    except BaseException as error:
        # Whatever it is: a brain may be anybody's code, and may cancel or exit where it means itself.
        if is_cancelled(error):
            raise
        await deltas.put(_Failed(error))
    deltas.close()


def _check(delta: object) -> None:
    if isinstance(delta, Text):
        if isinstance(delta.text, str) and isinstance(delta.language, str):
            return
        what = f"Text with {type(delta.text).__name__} and {type(delta.language).__name__}, both are str"
    elif isinstance(delta, Delta):
        return
    else:
        what = f"{type(delta).__name__}, which is none of {', '.join(kind.__name__ for kind in get_args(Delta))}"
    raise Internal(f"the responder yielded {what}", reason="RESPONDER_BROKEN")


class AsyncClosable(Protocol):
    async def aclose(self) -> None: ...
