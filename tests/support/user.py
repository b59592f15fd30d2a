"""Users of a running system: they listen and keep what they heard, speak, and lose their connection when told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import aiohttp

from antiphon import pace
from antiphon.client import Event, Session, connect
from antiphon.player import Player
from benchmarks.speech import synthetic_speech
from orchestrator.messages import (
    Audio,
    Clear,
    Endpointing,
    Error,
    MarkMessage,
    Notice,
    Played,
    Reply,
    ReplyDelta,
    ReplyEnd,
    SessionStarted,
    State,
    Transcript,
    TurnEnded,
    TurnFinished,
)
from orchestrator.transports.memory import Listener
from tests.support.house import LIMIT_S, plainly, until

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


class Plain:
    """A loudspeaker that cannot hold, with the face of a player: it plays what it is sent, and drops it on `clear`."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.held = False
        self.changed: list[tuple[int, int]] = []
        self._news: list[Played] = []
        self._listener = Listener(rate, holds=False, report=lambda t, s: self._news.append(Played(turn=t, samples=s)))

    @property
    def jumps(self) -> list[tuple[int, int, int]]:
        return self._listener.jumps

    @property
    def waiting(self) -> int:
        return self._listener.queued

    def heard(self, turn: int) -> bytes:
        return bytes(self._listener.heard.get(turn, b""))

    def push(self, turn: int, sample: int, pcm: bytes) -> None:
        self._listener.take(Audio(turn, sample, pcm))

    def clear(self, turn: int) -> None:
        self._listener.take(Clear(turn=turn))

    def read(self, samples: int) -> bytes:
        return self._listener.advance(samples)

    def take_reports(self) -> list[Played]:
        news, self._news = self._news, []
        return news

    def hold(self, turn: int) -> None:
        raise AssertionError("a client that cannot hold was told to")

    def resume(self, turn: int, sample: int) -> None:
        raise AssertionError("a client that cannot hold was told to resume")

    def disconnected(self) -> None:
        for turn in range(1000):
            self._listener.take(Clear(turn=turn))
        self._news.clear()

    def reconnected(self) -> None:
        pass


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

    def hush(self) -> None:
        """Nothing more is said."""
        self._waiting.clear()

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
        self._next: dict[type, int] = {}

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
            for at in range(self._next.get(kind, 0), len(self.events)):
                event = self.events[at]
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in values.items()):
                    self._next[kind] = at + 1
                    return event
            return None

        try:
            event: M = await until(found, "", limit_s)
        except AssertionError:
            raise AssertionError(f"no {kind.__name__} {values} among {self.events[-20:]}; {self.failure!r}") from None
        return event

    def state(self) -> str:
        return next((s.state for s in reversed(self.all(State))), "")

    def written(self, turn: int) -> str:
        return "".join(reply.text for reply in self.all(Reply) if reply.turn == turn)

    def all_marks(self) -> list[MarkMessage]:
        return self.all(MarkMessage)

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

    async def greeted(self) -> None:
        """The responder has answered once, and is quiet again."""
        await self.finished()
        await self.wait(State, state="idle")

    async def hears(self, seconds: float, turn: int) -> None:
        """Until so much of the turn was heard."""
        size = round(seconds * self.player.rate) * 2
        await until(lambda: len(self.player.heard(turn)) >= size, f"{seconds} s of turn {turn}")

    # --- what it does -------------------------------------------------------------------------------------------------

    async def asks(self, text: str) -> TurnFinished:
        """Types, and hears the reply to its end."""
        before = len(self.events)
        self.session.ask(text)

        def turns() -> list[int]:
            ended = [e for e in self.events[before:] if isinstance(e, TurnEnded) and e.transcript == text]
            return [e.turn for e in ended]

        return await self.finished(turn=(await until(turns, f"the turn of {text!r}"))[0])

    def answers(self, turn: int, *texts: str) -> None:
        """As the brain that it is."""
        for text in texts:
            self.session.send(ReplyDelta(turn=turn, text=text))
        self.session.send(ReplyEnd(turn=turn))

    async def speaks(self, seconds: float = 0.4, seed: int = 1) -> None:
        """What it says is up to the recogniser's script."""
        await self.microphone.say(synthetic_speech(seconds, seed=seed))


@asynccontextmanager
async def user(url: str, *, at_once: bool = False, speaks: bool = False, **start: Any) -> AsyncIterator[User]:
    """`at_once`: hears everything as soon as it comes. `speaks`: has an open microphone. Silent at the start."""
    start = {"greeting": False, "endpointing": QUICK} | start
    rate = start.get("output_rate", 48_000)
    player = Recorder(rate) if start.get("hold", True) else cast(Recorder, Plain(rate))
    async with plainly(), connect(url, player=player, **start) as session, asyncio.TaskGroup() as tasks:
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


# --- a client without manners ----------------------------------------------------------------------------------------


class Raw:
    """A WebSocket and what came over it, parsed no further than JSON. It answers nothing by itself."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.messages: list[dict[str, Any]] = []
        self.audio_bytes = 0

    async def send(self, **message: Any) -> None:
        await self.ws.send_str(json.dumps(message))

    async def read(self) -> None:
        async for message in self.ws:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.messages.append(json.loads(message.data))
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.audio_bytes += len(message.data)

    def all(self, type: str) -> list[dict[str, Any]]:
        return [m for m in self.messages if m["type"] == type]

    async def wait(self, type: str, count: int = 1) -> dict[str, Any]:
        """The `count`th message of this type."""
        await until(lambda: len(self.all(type)) >= count, f"{count} {type} among {self.messages[-10:]}")
        return self.all(type)[count - 1]

    async def start(self, **wishes: Any) -> dict[str, Any]:
        await self.send(type="session_start", **({"greeting": False} | wishes))
        return await self.wait("session_started")

    async def closed(self) -> int:
        """With which code."""
        await until(lambda: self.ws.closed, "the close")
        return self.ws.close_code or 0


@asynccontextmanager
async def raw(url: str, *, reads: bool = True, **headers: str) -> AsyncIterator[Raw]:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/v1/converse", headers=headers) as ws:
        made = Raw(ws)
        reading = asyncio.ensure_future(made.read()) if reads else None
        try:
            yield made
        finally:
            if reading is not None:
                reading.cancel()
