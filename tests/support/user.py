"""Users of a running system: they listen and keep what they heard, speak, and lose their connection when told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from antiphon import pace
from antiphon.client import Event, Session, connect
from antiphon.player import Player
from benchmarks.speech import synthetic_speech
from orchestrator.messages import (
    Endpointing,
    Error,
    Notice,
    Reply,
    SessionStarted,
    State,
    Transcript,
    TurnEnded,
    TurnFinished,
)
from tests.support.house import LIMIT_S, until

M = TypeVar("M")

FRAME_BYTES = 640
QUICK = Endpointing(endpoint_ms=200, resume_ms=300)
"""For tests that are not about how long things take."""


class Recorder(Player):
    """A player that keeps every turn's PCM as it left the loudspeaker, silence between left out."""

    def __init__(self, rate: int) -> None:
        super().__init__(rate)
        self.jumps: list[tuple[int, int, int]] = []
        """(turn, from, to) wherever it did not go on at the very next sample."""
        self.changed: list[tuple[int, int]] = []
        """(turn, sample) where audio that was sent again was not what it had been."""
        self._pcm: dict[int, bytearray] = {}
        self._at: dict[int, int] = {}

    def heard(self, turn: int) -> bytes:
        return bytes(self._pcm.get(turn, b"")[: 2 * self._at.get(turn, 0)])

    def push(self, turn: int, sample: int, pcm: bytes) -> None:
        super().push(turn, sample, pcm)
        kept = self._pcm.setdefault(turn, bytearray())
        begin = max(sample, self._at.get(turn, 0))
        new = pcm[2 * (begin - sample) :]
        kept += bytes(max(0, 2 * begin - len(kept)))
        again = kept[2 * begin : 2 * begin + len(new)]
        if again != new[: len(again)]:
            self.changed.append((turn, begin))
        kept[2 * begin : 2 * begin + len(new)] = new

    def read(self, samples: int) -> bytes:
        before = self.position
        pcm = super().read(samples)
        after = self.position
        if before is not None:
            turn, at = before
            if at != self._at.get(turn, 0):
                self.jumps.append((turn, self._at.get(turn, 0), at))
            self._at[turn] = len(self._pcm.get(turn, b"")) // 2 if after is not None and after[0] != turn else at
        if after is not None:
            self._at[after[0]] = after[1]
        return pcm


class Microphone:
    """Frames of 20 ms at the pace of sound: silence, and what is said."""

    def __init__(self, session: Session) -> None:
        self.open = True
        self._session = session
        self._waiting: deque[bytes] = deque()

    async def say(self, pcm: bytes) -> None:
        """Returns when the last of it was sent."""
        for at in range(0, len(pcm), FRAME_BYTES):
            self._waiting.append(pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))
        await until(lambda: not self._waiting, "the microphone")

    def say_nowait(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), FRAME_BYTES):
            self._waiting.append(pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))

    async def run(self) -> None:
        async for _ in pace.frames_by_clock():
            if self.open:
                self._session.send_audio(self._waiting.popleft() if self._waiting else bytes(FRAME_BYTES))


class User:
    """A session with somebody at it. `events` is all that came, in order."""

    def __init__(self, session: Session, player: Recorder) -> None:
        self.session = session
        self.player = player
        self.microphone = Microphone(session)
        self.events: list[Event] = []
        self.failure: Exception | None = None
        self._next = 0

    @property
    def started(self) -> SessionStarted:
        assert self.session.started is not None
        return self.session.started

    # --- what came ----------------------------------------------------------------------------------------------------

    def all(self, kind: type[M]) -> list[M]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait(self, kind: type[M], limit_s: float = LIMIT_S, **values: Any) -> M:
        """The next message of this kind, with these values, that was not waited for before."""

        def found() -> M | None:
            for at in range(self._next, len(self.events)):
                event = self.events[at]
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in values.items()):
                    self._next = at + 1
                    return event
            return None

        wanted = f"{kind.__name__} {values}; came: {self.events[self._next :]}; failed with {self.failure!r}"
        try:
            event: M = await until(found, wanted, limit_s)
        except AssertionError:
            raise AssertionError(f"no {kind.__name__} {values} among {self.events[-20:]}; {self.failure!r}") from None
        return event

    def state(self) -> str:
        return next((s.state for s in reversed(self.all(State))), "")

    def written(self, turn: int) -> str:
        return "".join(reply.text for reply in self.all(Reply) if reply.turn == turn)

    def notices(self) -> list[str]:
        return [notice.code for notice in self.all(Notice)]

    def errors(self) -> list[str]:
        return [error.code for error in self.all(Error)]

    def finals(self) -> list[str]:
        return [t.text for t in self.all(Transcript) if t.final]

    def heard(self, turn: int) -> bytes:
        return self.player.heard(turn)

    async def finished(self, **values: Any) -> TurnFinished:
        return await self.wait(TurnFinished, **values)

    async def hears(self, seconds: float, turn: int) -> None:
        """Until so much of the turn was heard."""
        size = round(seconds * self.player.rate) * 2
        await until(lambda: len(self.player.heard(turn)) >= size, f"{seconds} s of turn {turn}")

    # --- what it does -------------------------------------------------------------------------------------------------

    async def asks(self, text: str) -> TurnFinished:
        """Types, and hears the reply to its end."""
        self.session.ask(text)
        ended = await self.wait(TurnEnded, reason="asked")
        return await self.finished(turn=ended.turn)

    async def speaks(self, seconds: float = 0.4, seed: int = 1) -> None:
        """What it says is up to the recogniser's script."""
        await self.microphone.say(synthetic_speech(seconds, seed=seed))


@asynccontextmanager
async def user(url: str, *, at_once: bool = False, speaks: bool = False, **start: Any) -> AsyncIterator[User]:
    """`at_once`: hears everything as soon as it comes. `speaks`: has an open microphone. Silent at the start."""
    start = {"greeting": False, "endpointing": QUICK} | start
    player = Recorder(start.get("output_rate", 48_000))
    async with connect(url, player=player, **start) as session, asyncio.TaskGroup() as tasks:
        made = User(session, player)

        async def read() -> None:
            try:
                async for event in session.events():
                    made.events.append(event)
            except Exception as error:
                made.failure = error

        running = [
            tasks.create_task(read()),
            tasks.create_task(pace.listen_at_once(player) if at_once else pace.listen(player)),
        ]
        if speaks:
            running.append(tasks.create_task(made.microphone.run()))
        try:
            yield made
        finally:
            for task in running:
                task.cancel()


# --- a network that fails --------------------------------------------------------------------------------------------


class Cable:
    """TCP to a server, in the way of a connection. `url` is its near end."""

    def __init__(self, server: asyncio.Server, address: tuple[str, int]) -> None:
        host, port = server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self.plugged = True
        self.connections = 0
        self._address = address
        self._ends: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Every connection breaks at once; new ones are refused until `plug`."""
        self.plugged = False
        for end in list(self._ends):
            end.transport.abort()

    def plug(self) -> None:
        self.plugged = True

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.plugged:
            writer.transport.abort()
            return
        self.connections += 1
        there_reader, there_writer = await asyncio.open_connection(*self._address)
        self._ends |= {writer, there_writer}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_carry(reader, there_writer))
                tasks.create_task(_carry(there_reader, writer))
        finally:
            self._ends -= {writer, there_writer}
            for end in (writer, there_writer):
                end.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def cable(url: str) -> AsyncIterator[Cable]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    made: list[Cable] = []
    server = await asyncio.start_server(lambda r, w: made[0].join(r, w), "127.0.0.1", 0)
    async with server:
        made.append(Cable(server, (host, int(port))))
        yield made[0]
        made[0].cut()
