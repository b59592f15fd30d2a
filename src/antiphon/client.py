"""A client in Python: a session over WebSocket or gRPC that holds to the sample and survives a lost connection.

    async with connect("http://127.0.0.1:8765", voice="en-us") as session:
        session.send_audio(pcm)                      # 16 kHz mono s16le, any length, as it is recorded
        async for event in session.events():         # Transcript, Reply, TurnFinished, …
            ...

An address grpc://host:port means gRPC, grpcs:// with TLS; what is under a session is in `antiphon.lines`.

Whoever owns a loudspeaker takes what is to be heard from `session.player.read(samples)`, steadily: it is the last
queue, it is silent from a hold on, and what is read there is what the server takes as heard. Without a loudspeaker,
`antiphon.pace` listens by the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from antiphon import wire
from antiphon.lines.line import Broken, Line, Opener, Unknown
from antiphon.player import Player
from base.audio import BYTES_PER_SAMPLE
from base.channels import Channel, ChannelClosed, Policy
from base.errors import AntiphonError, AtCapacity, NotFound, Unavailable
from orchestrator.messages import (
    Audio,
    Clear,
    ClientMessage,
    Error,
    Hold,
    InputState,
    Interrupt,
    Resume,
    ServerMessage,
    SessionEnd,
    SessionStart,
    SessionStarted,
    SessionUpdate,
    TextInput,
)

REPORT_S = 0.02
EVENTS = 10_000
AUDIO_PIECES = 100
BACKOFF_S = (0.2, 5.0)


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The connection is lost; what was being said is held. Another try in `wait_s`."""

    reason: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The session goes on where it was."""

    started: SessionStarted


Event = ServerMessage | Unknown | Reconnecting | Reconnected


class SessionLost(Unavailable):
    """The connection broke and the session could not be taken up again."""

    default_reason = "SESSION_LOST"


class Session:
    """See the module. All methods but `events` return at once; call them on the event loop."""

    def __init__(self, start: SessionStart, player: Player) -> None:
        self.start = start
        self.player = player
        self.started: SessionStarted | None = None
        self._events: Channel[Event] = Channel("client.events", EVENTS, Policy.DROP_OLDEST)
        self._control: Channel[ClientMessage] = Channel("client.control", 256, Policy.REJECT)
        self._audio: Channel[Audio] = Channel("client.audio", AUDIO_PIECES, Policy.DROP_OLDEST)
        self._news = asyncio.Event()
        self._ready = asyncio.Event()
        self._connected = False
        self._next_sample = 0
        self._failure: AntiphonError | None = None

    # --- what a caller does ------------------------------------------------------------------------------------------

    def send_audio(self, pcm: bytes) -> None:
        """What the microphone heard: s16le at `start.input_rate`. Lost while there is no connection: it is live."""
        samples = len(pcm) // BYTES_PER_SAMPLE
        if self._connected and samples:
            self._audio.put_nowait(Audio(0, self._next_sample, pcm))
            self._next_sample += samples
            self._news.set()

    def send(self, message: ClientMessage) -> None:
        """Kept until it can be sent. Raises AtCapacity when 256 messages wait."""
        if self._control.closed:
            return
        self._control.put_nowait(message)
        self._news.set()

    def ask(self, text: str) -> None:
        """Typed instead of spoken: it is answered."""
        self.send(TextInput(text=text))

    def say(self, text: str) -> None:
        """Spoken as it is, after what is being said."""
        self.send(TextInput(text=text, mode="say"))

    def interrupt(self) -> None:
        self.send(Interrupt())

    def mute(self) -> None:
        """The microphone is off: the server takes it as silence at once."""
        self.send(InputState(state="muted"))

    def unmute(self) -> None:
        self.send(InputState(state="open"))

    def update(self, **changes: Any) -> None:
        """Voice, language, rate, …: fields of `session_update`; they hold from the next turn."""
        self.send(SessionUpdate(**changes))

    def end(self) -> None:
        self.send(SessionEnd())

    async def events(self) -> AsyncGenerator[Event, None]:
        """Everything the server says, in order, and how the connection fares; ends with the session.

        Raises the error that ended it: `SessionLost`, or what the server said.
        """
        while True:
            try:
                event = await self._events.get()
            except ChannelClosed:
                if self._failure is not None:
                    raise self._failure from None
                return
            yield event

    # --- the connection ------------------------------------------------------------------------------------------

    async def wait_started(self) -> SessionStarted:
        """Raises what kept it from starting."""
        await self._ready.wait()
        if self.started is None:
            raise self._failure or SessionLost("the server closed the connection before the session started")
        return self.started

    async def run(self, opened: Opener, reconnect_s: float) -> None:
        """Keeps the session connected until it is over. Does not raise: `events` does."""
        loop = asyncio.get_running_loop()
        try:
            lost_at: float | None = None
            attempt = 0
            while True:
                before = self.started
                try:
                    await self._converse(opened)
                    return
                except Broken as broken:
                    if self.started is None:
                        raise Unavailable(f"{broken.reason}; `antiphon up` starts a system here") from None
                    if self.started is not before or lost_at is None:
                        lost_at, attempt = loop.time(), 0
                    if loop.time() - lost_at >= reconnect_s:
                        raise SessionLost(
                            f"{broken.reason}; the session could not be taken up again in {reconnect_s:g} s"
                        ) from None
                    wait_s = min(BACKOFF_S[1], BACKOFF_S[0] * 2.0**attempt) * (0.5 + random.random() / 2)
                    attempt += 1
                    self._events.put_nowait(Reconnecting(broken.reason, wait_s))
                    await asyncio.sleep(wait_s)
        except NotFound as error:
            self._failure = SessionLost(f"the session is over: {error.message}") if self.started else error
        except AntiphonError as error:
            self._failure = error
        finally:
            self._ready.set()
            self._events.close()
            self._control.close()

    async def _converse(self, opened: Opener) -> None:
        """One connection. Returns when the session is over; raises `Broken` when it may go on over another."""
        async with opened() as line:
            start = msgspec.structs.replace(self.start, resume=self.started.resume) if self.started else self.start
            await line.send(start)
            try:
                async with asyncio.TaskGroup() as tasks:
                    others = [tasks.create_task(self._write(line)), tasks.create_task(self._report())]
                    try:
                        async with contextlib.aclosing(line.received()) as messages:
                            async for message in messages:
                                self._take(message)
                    finally:
                        for other in others:
                            other.cancel()
            except* (Broken, AntiphonError, ConnectionError) as group:
                raise _first(group) from None
            finally:
                self._connected = False
                self.player.disconnected()

    def _take(self, message: ServerMessage | Audio | Unknown) -> None:
        """The player first: a hold must not wait for anybody."""
        match message:
            case Audio(turn=turn, sample=sample, pcm=pcm):
                self.player.push(turn, sample, pcm)
                return
            case Hold(turn=turn):
                self.player.hold(turn)
                self._send_reports()
            case Clear(turn=turn):
                self.player.clear(turn)
                self._send_reports()
            case Resume(turn=turn, sample=sample):
                self.player.resume(turn, sample)
            case SessionStarted():
                self._begin(message)
                return
            case Error(fatal=fatal) if fatal or self.started is None or not self._connected:
                raise wire.as_exception(message)
            case _:
                pass
        self._events.put_nowait(message)

    def _begin(self, started: SessionStarted) -> None:
        again = self.started is not None
        self.started = started
        self._next_sample = started.next_input_sample
        while self._audio.get_nowait() is not None:
            pass
        self._connected = True
        self.player.reconnected()
        self._send_reports()
        self._ready.set()
        self._events.put_nowait(Reconnected(started) if again else started)

    async def _write(self, line: Line) -> None:
        """Control before audio, and nothing before the session has started."""
        while True:
            self._news.clear()
            if self._connected:
                while (message := self._control.get_nowait()) is not None:
                    await line.send(message)
                while not len(self._control) and (audio := self._audio.get_nowait()) is not None:
                    await line.send(audio)
            await self._news.wait()

    async def _report(self) -> None:
        """What was played is told as it is played."""
        while True:
            if self._connected:
                self._send_reports()
            await asyncio.sleep(REPORT_S)

    def _send_reports(self) -> None:
        for played in self.player.take_reports():
            with contextlib.suppress(AtCapacity):
                self.send(played)


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    """What the tasks of a connection failed with: the server's own word before the broken line that followed it."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found.append(_first(error) if isinstance(error, BaseExceptionGroup) else error)
    found.sort(key=lambda e: not isinstance(e, AntiphonError))
    return Broken(f"the connection was lost ({_words(found[0])})") if isinstance(found[0], OSError) else found[0]


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _dial(url: str) -> AbstractAsyncContextManager[Opener]:
    """Who is not called is not loaded."""
    if url.startswith(("grpc://", "grpcs://")):
        from antiphon.lines.grpc import line as over_grpc

        return over_grpc.dial(url)
    from antiphon.lines import websocket

    return websocket.dial(wire.socket_url(url))


@asynccontextmanager
async def connect(
    url: str,
    *,
    start: SessionStart | None = None,
    player: Player | None = None,
    reconnect_s: float = 30.0,
    **options: Any,
) -> AsyncIterator[Session]:
    """A started session. `options` are fields of `session_start` (voice, language, output_rate, phrases, …).

    Raises `Unavailable` where nothing answers, or what the server said. Leaving ends the session: no grace is left to
    it. `player` only to share one with a sound card's thread.
    """
    start = start or SessionStart(**{"hold": True, **options})
    player = player or Player(start.output_rate)
    session = Session(start, player)
    try:
        async with _dial(url) as opened, asyncio.TaskGroup() as tasks:
            running = tasks.create_task(session.run(opened, reconnect_s))
            try:
                await session.wait_started()
                yield session
            finally:
                if session.started is not None:
                    with contextlib.suppress(AtCapacity):
                        session.end()
                    # Time for the goodbye to go out; the server closes at once.
                    await asyncio.wait([running], timeout=1.0)
                running.cancel()
    except BaseExceptionGroup as group:
        # `run` raises nothing: this is the caller's own error, and nothing was ever beside it.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
