"""Somebody who talks with a system: a microphone, a loudspeaker that keeps what it played, a line that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np

from antiphon import pace
from antiphon.client import Event, Session, connect
from antiphon.player import Player
from benchmarks.sound import Comparison, Span, compare, first_audible, join, last_audible
from orchestrator import messages as m
from tests.support.loop import Loop
from tests.support.speech import Microphone, Said

LIMIT_S = 40.0
LOOK_S = 0.005
BYTES = 2

E = TypeVar("E", bound=Event)


class Loudspeaker(Player):
    """The client's own player, with a memory: what it was given, and what it played when."""

    def __init__(self, rate: int, loop: Loop | None = None) -> None:
        super().__init__(rate)
        self._loop = loop
        self.given: dict[int, bytearray] = {}
        """A turn's samples as they came first."""
        self.played: list[tuple[float, Span, bytes]] = []
        """(when the first of them sounded, which, their values)"""
        self._clock = asyncio.get_running_loop().time

    def push(self, turn: int, sample: int, pcm: bytes) -> None:
        given = self.given.setdefault(turn, bytearray())
        if sample * BYTES <= len(given):
            given += pcm[len(given) - sample * BYTES :]
        super().push(turn, sample, pcm)

    def read(self, samples: int) -> bytes:
        """A read never spans two turns here: the last one is heard, and told to be, before the next is sent."""
        before = self.position
        pcm = super().read(samples)
        if self._loop is not None:
            self._loop.played(pcm)
        after = self.position
        if after is not None:
            turn, end = after
            start = before[1] if before is not None and before[0] == turn else 0
            if end > start:
                span = Span(turn, start, end - start)
                self.played.append((self._clock(), span, pcm[: BYTES * span.count]))
        return pcm

    def spans(self, turn: int) -> list[Span]:
        """What was played of a turn, what follows on each other joined."""
        return join([span for _, span, _ in self.played if span.turn == turn])

    def heard(self, turn: int) -> int:
        """Samples of a turn that were played."""
        return sum(span.count for span in self.spans(turn))

    def against_given(self, turn: int, samples: int) -> Comparison:
        """What was played of a turn against its first `samples` as they were sent."""
        mine = [(span, pcm) for _, span, pcm in self.played if span.turn == turn]
        audio = b"".join(pcm for _, pcm in mine)
        return compare([span for span, _ in mine], audio, bytes(self.given[turn][: BYTES * samples]), turn)

    def loudest(self, turn: int, start: int, end: int) -> int:
        """Peak of these samples as they were sent."""
        piece = np.frombuffer(self.given[turn][BYTES * start : BYTES * end], "<i2").astype(np.int32)
        return int(np.abs(piece).max(initial=0))

    def first_sound_s(self, turn: int) -> float | None:
        for at_s, span, pcm in self.played:
            if span.turn == turn and (index := first_audible(pcm)) is not None:
                return at_s + index / self.rate
        return None

    def last_sound_s(self, turn: int) -> float:
        """The end of a turn's last audible sample: silence from then on."""
        for at_s, span, pcm in reversed(self.played):
            if span.turn == turn and (index := last_audible(pcm)) is not None:
                return at_s + (index + 1) / self.rate
        raise AssertionError(f"nothing of turn {turn} was heard")


@dataclass(slots=True)
class Person:
    """Made by `person`. `log` holds everything the client said, with the time it came."""

    session: Session
    microphone: Microphone
    loudspeaker: Loudspeaker
    speech: Callable[[str], bytes]
    log: list[tuple[float, Event]] = field(default_factory=list)
    failure: BaseException | None = None

    # --- does --------------------------------------------------------------------------------------------------------

    async def say(self, text: str) -> Said:
        """Says it; returns when it is said."""
        return await self.microphone.say(self.speech(text))

    async def until(self, holds: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
        """Waits for what is true; returns it."""
        try:
            async with asyncio.timeout(limit_s):
                while not (found := holds()):
                    if self.failure is not None:
                        raise self.failure
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            recent = "\n".join(f"  {at_s:.2f} {event}" for at_s, event in self.log[-25:])
            raise AssertionError(f"no {what} in {limit_s:g} s; the last news was\n{recent}") from None
        return found

    async def until_heard(self, turn: int, words: str) -> None:
        """Waits until the first of these words has begun to sound, by the voice's marks."""

        def sounds() -> bool:
            at = self.text(turn).find(words)
            sample = next((x.sample for x in self.marks(turn) if at >= 0 and x.start >= at), None)
            return sample is not None and self.loudspeaker.heard(turn) > sample

        await self.until(sounds, f"{words!r} in turn {turn}")

    async def until_finished(self, turn: int) -> m.TurnFinished:
        found: m.TurnFinished = await self.until(lambda: self.finished(turn), f"end of turn {turn}")
        return found

    # --- what it knows -----------------------------------------------------------------------------------------------

    def all(self, kind: type[E], since: int = 0) -> list[E]:
        """Events of a kind, from entry `since` of the log on."""
        return [event for _, event in self.log[since:] if isinstance(event, kind)]

    def text(self, turn: int) -> str:
        return "".join(x.text for x in self.all(m.Reply) if x.turn == turn)

    def marks(self, turn: int) -> list[m.MarkMessage]:
        return [x for x in self.all(m.MarkMessage) if x.turn == turn]

    def finished(self, turn: int) -> m.TurnFinished | None:
        return next((x for x in self.all(m.TurnFinished) if x.turn == turn), None)

    def words(self, turn: int, samples: int) -> tuple[list[str], list[str]]:
        """Words of a reply that had sounded to their end after `samples`, and those that had begun to sound.

        By the voice's own marks: a word ends when the next begins. The last one's end nobody knows before the turn's.
        """
        marks, text = self.marks(turn), self.text(turn)
        said = [text[x.start : x.end] for x in marks]
        ends = [x.sample for x in marks[1:]] + [len(self.loudspeaker.given.get(turn, b"")) // BYTES]
        whole = [word for word, end in zip(said, ends, strict=True) if end <= samples]
        begun = [word for word, x in zip(said, marks, strict=True) if x.sample < samples]
        return whole, begun


@asynccontextmanager
async def person(
    url: str, speech: Callable[[str], bytes], *, loop: Loop | None = None, **start: Any
) -> AsyncIterator[Person]:
    """Connects, opens the microphone and listens until the end, when it says goodbye. `loop`: the microphone hears the
    loudspeaker.
    """
    loudspeaker = Loudspeaker(int(start.get("output_rate", 48_000)), loop)
    options = m.SessionStart(**{"hold": True, **start})
    async with connect(url, start=options, player=loudspeaker) as session:
        someone = Person(session, Microphone(session.send_audio, loop), loudspeaker, speech)
        clock = asyncio.get_running_loop().time

        async def watch() -> None:
            try:
                async for event in session.events():
                    someone.log.append((clock(), event))
            except Exception as error:
                someone.failure = error

        async with asyncio.TaskGroup() as tasks:
            always = [
                tasks.create_task(watch()),
                tasks.create_task(someone.microphone.run()),
                tasks.create_task(pace.listen(loudspeaker)),
            ]
            try:
                yield someone
            finally:
                for task in always:
                    task.cancel()


class Cable:
    """A TCP line to a server, for clients that connect to `url`; cut, nothing comes through until it is mended."""

    def __init__(self, host: str, port: int) -> None:
        self.url = ""
        self._target = (host, port)
        self._open: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._is_cut = False

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Cable]:
        there = urlsplit(url)
        cable = cls(there.hostname or "", there.port or 80)
        server = await asyncio.start_server(cable._accept, "127.0.0.1", 0)
        cable.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield cable
        finally:
            server.close()
            cable.cut()
            if cable._carrying:
                await asyncio.wait(cable._carrying)
            await server.wait_closed()

    def cut(self) -> None:
        """Without a goodbye to either side."""
        self._is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        self._is_cut = False

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        ends = (writer, there_writer)
        self._open.update(ends)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pump(reader, there_writer))
                tasks.create_task(_pump(there_reader, writer))
        finally:
            self._open.difference_update(ends)
            for end in ends:
                end.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await source.read(65_536):
            sink.write(piece)
            await sink.drain()
        sink.write_eof()
