"""A client in Python: a session over WebSocket that holds to the sample and survives a lost connection.

    async with connect("http://127.0.0.1:8765", voice="en-us") as session:
        session.send_audio(pcm)                      # 16 kHz mono s16le, any length, as it is recorded
        async for event in session.events():         # Transcript, Reply, TurnFinished, …
            ...

Whoever owns a loudspeaker takes what is to be heard from `session.player.read(samples)`, steadily: it is the last
queue, it is silent from a hold on, and what is read there is what the server takes as heard. Without a loudspeaker,
`antiphon.pace` listens by the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from antiphon import wire
from antiphon.player import Player
from antiphon.wire import Unknown
from base.audio import BYTES_PER_SAMPLE
from base.channels import Channel, ChannelClosed, Policy
from base.errors import AntiphonError, AtCapacity, BadRequest, Denied, NotFound, Unavailable
from orchestrator.messages import (
    Audio,
    Clear,
    ClientMessage,
    CloseCode,
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
    pack_audio,
    unpack_audio,
)

FINAL = frozenset({int(CloseCode.ENDED), int(CloseCode.RESUMED_ELSEWHERE), int(CloseCode.POLICY)})
"""Close codes after which coming back makes no sense."""
REPORT_S = 0.02
EVENTS = 10_000
AUDIO_PIECES = 100
BACKOFF_S = (0.2, 5.0)
CONNECT_S = 10.0
LINE = 100
"""Characters of what somebody else said that are told."""


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

    async def run(self, url: str, http: aiohttp.ClientSession, reconnect_s: float) -> None:
        """Keeps the session connected until it is over. Does not raise: `events` does."""
        loop = asyncio.get_running_loop()
        try:
            lost_at: float | None = None
            attempt = 0
            while True:
                before = self.started
                try:
                    await self._converse(url, http)
                    return
                except _Broken as broken:
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

    async def _converse(self, url: str, http: aiohttp.ClientSession) -> None:
        """One connection. Returns when the session is over; raises `_Broken` when it may go on over another."""
        async with self._open(url, http) as ws:
            start = msgspec.structs.replace(self.start, resume=self.started.resume) if self.started else self.start
            await ws.send_str(wire.encode(start))
            try:
                async with asyncio.TaskGroup() as tasks:
                    others = [tasks.create_task(self._write(ws)), tasks.create_task(self._report())]
                    try:
                        await self._read(ws)
                    finally:
                        for other in others:
                            other.cancel()
            except* (_Broken, AntiphonError, ConnectionError) as group:
                raise _first(group) from None
            finally:
                self._connected = False
                self.player.disconnected()

    @asynccontextmanager
    async def _open(self, url: str, http: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        try:
            async with asyncio.timeout(CONNECT_S):
                ws = await http.ws_connect(url, heartbeat=15.0, compress=0, max_msg_size=1 << 20)
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (403, 421):
                raise Denied(f"{url} refused the connection ({error.status}): this address may not be used") from error
            raise _Broken(f"{url} answered {error.status} {_one_line(error.message)}") from error
        except aiohttp.ClientResponseError as error:
            raise _Broken(f"what answers at {url} is no web server: {_one_line(error.message)}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _Broken(f"nothing answers at {url}{_why(error)}") from error
        try:
            yield ws
        finally:
            # A server that does not take part in closing is not waited for.
            with contextlib.suppress(TimeoutError, aiohttp.ClientError, ConnectionError):
                async with asyncio.timeout(2.0):
                    await ws.close()

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            if message.type is aiohttp.WSMsgType.BINARY:
                self._take_audio(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                self._take(wire.decode(message.data))
        if ws.close_code not in FINAL:
            raise _Broken(f"the connection was lost (code {ws.close_code})")

    def _take_audio(self, data: bytes) -> None:
        with contextlib.suppress(BadRequest):  # a type of a later version
            audio = unpack_audio(data)
            self.player.push(audio.turn, audio.sample, audio.pcm)

    def _take(self, message: ServerMessage | Unknown) -> None:
        """The player first: a hold must not wait for anybody."""
        match message:
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

    async def _write(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Control before audio, and nothing before the session has started."""
        while True:
            self._news.clear()
            if self._connected:
                while (message := self._control.get_nowait()) is not None:
                    await ws.send_str(wire.encode(message))
                while not len(self._control) and (audio := self._audio.get_nowait()) is not None:
                    await ws.send_bytes(pack_audio(audio))
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


class _Broken(Exception):
    """This connection is over, the session perhaps not."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    """What the tasks of a connection failed with: the server's own word before the broken line that followed it."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found.append(_first(error) if isinstance(error, BaseExceptionGroup) else error)
    found.sort(key=lambda e: not isinstance(e, AntiphonError))
    return _Broken(f"the connection was lost ({_words(found[0])})") if isinstance(found[0], OSError) else found[0]


def _why(error: BaseException) -> str:
    """What the system said, without what aiohttp puts around it."""
    said = error.os_error.strerror if isinstance(error, aiohttp.ClientConnectorError) else str(error)
    return f" ({_one_line(said)})" if said else ""


def _one_line(text: str) -> str:
    """What somebody else said, for one line of a terminal."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.split())[:LINE]


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


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
    target = wire.socket_url(url)
    try:
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:
            running = tasks.create_task(session.run(target, http, reconnect_s))
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
