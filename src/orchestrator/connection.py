"""What every connection of a client does, whatever carries it: limits, the writing half, the port, the reading half.

A transport that carries messages and audio itself (WebSocket, gRPC) has a `Link`, which writes what waits in its
outbox, and an `Incoming`, which its reader feeds. `ClientTransport` is the port between them and the session.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from base.audio import UPLINK_RATE
from base.errors import AntiphonError, AtCapacity, BadRequest, Denied, TimedOut, Unavailable, WrongState
from orchestrator.edge import Allowance, InputAudio
from orchestrator.messages import (
    PROTOCOL,
    Audio,
    AudioInput,
    Clear,
    ClientMessage,
    CloseCode,
    Error,
    Hold,
    Malformed,
    Played,
    Resume,
    ServerMessage,
    SessionStart,
    decode_base64,
)
from orchestrator.outbox import Outbox, OutboxStatistics
from orchestrator.ports import Ahead, ClientSide, Hub, Peer, Transport
from orchestrator.resend import Unplayed
from orchestrator.wishes import check_formats


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may do. Seconds, messages, bytes."""

    start_s: float = 10.0
    """Until session_start."""
    messages_per_s: float = 500.0
    message_burst: float = 1_000.0
    """A client that was cut off for ten seconds sends what it recorded at once."""
    bytes_per_s: float = 1e6
    byte_burst: float = 4e6
    message_bytes: int = 1 << 20
    errors_per_s: float = 5.0
    error_burst: float = 20.0
    """Errors beyond this are counted, not sent."""
    stalled_s: float = 10.0
    """A client that reads nothing for this long is closed."""
    heartbeat_s: float = 20.0
    closing_s: float = 2.0
    waiting_s: float = 0.3
    """Audio that may wait on its way into the network."""
    unsent_s: float = 0.04
    """… of which this much below the outbox, where nothing can overtake it."""


# --- writing ---------------------------------------------------------------------------------------------------------

Control = TypeVar("Control")
T = TypeVar("T")


class Link(ABC, Generic[Control]):
    """The writing half. What it is given waits in the outbox until the connection's writer takes it from there.

    `Control` is a message as the connection writes it.
    """

    def __init__(self) -> None:
        self.outbox: Outbox[Control] = Outbox()
        self.closing: tuple[int, str] | None = None
        """Code and reason, once the session wants it to end; what was sent before still goes out, audio aside."""
        self._news = asyncio.Event()
        self._gone = False

    @abstractmethod
    def send_nowait(self, message: ServerMessage) -> None: ...

    @abstractmethod
    def room(self, rate: int) -> int:
        """Samples that can be taken without more than `Limits.waiting_s` waiting."""

    def tune(self, rate: int) -> None:
        """The output rate is known."""

    def play_nowait(self, audio: Audio) -> None:
        if self._open() and not self.outbox.put_audio(audio):
            self._overflow()
        self._news.set()

    def clear_nowait(self, turn: int) -> None:
        self.outbox.drop_audio(turn)
        self.send_nowait(Clear(turn=turn))

    def close_nowait(self, code: int, reason: str) -> None:
        if self.closing is None:
            self.closing = (code, reason)
            self.outbox.drop_audio()
            self._news.set()

    def fail_nowait(self, error: Error, code: CloseCode) -> None:
        """A fatal error, then the close that it announces."""
        self.send_nowait(error)
        self.close_nowait(code, error.message)

    def gone_nowait(self) -> None:
        """The other side closed, or the network did."""
        self._gone = True
        self._news.set()

    async def next(self) -> Control | Audio | None:
        """What to write next, waiting for it. None: a close was asked for and all else is written, or the client is
        gone."""
        while not self._gone:
            item = self.outbox.pop()
            if item is not None or self.closing is not None:
                return item
            self._news.clear()
            await self._news.wait()
        return None

    def _open(self) -> bool:
        return self.closing is None and not self._gone

    def _put(self, message: Control, size: int, *, first: bool = False) -> None:
        if self._open() and not self.outbox.put_control(message, size, first=first):
            self._overflow()
        self._news.set()

    def _overflow(self) -> None:
        self.outbox.drop_control()
        self.outbox.drop_audio()
        reason = "the client does not read what it is sent"
        self.fail_nowait(Error(code=TimedOut.code, message=reason, fatal=True, reason="NOT_READING"), CloseCode.POLICY)


class ClientTransport:
    """Implements `ports.Transport` for one connection whose session_start was read."""

    def __init__(self, link: Link[Any], start: SessionStart, *, lead_s: float = 0.2) -> None:
        self.holds = start.hold
        self.ahead: Ahead | None = None
        self.acknowledges = start.hold
        self.lead_s = lead_s
        self.output_rate = start.output_rate
        self._link = link
        self._unplayed = None if start.hold else Unplayed(start.output_rate)
        self._held: int | None = None

    def send_nowait(self, message: ServerMessage) -> None:
        self._link.send_nowait(message)

    def room(self) -> int:
        return 0 if self._held is not None else self._link.room(self.output_rate)

    def play_nowait(self, turn: int, sample: int, pcm: bytes) -> None:
        if self._unplayed is not None:
            self._unplayed.add(turn, sample, pcm)
        if self._held is not None and turn > self._held:
            self._held = None
        if turn != self._held:
            self._link.play_nowait(Audio(turn, sample, pcm))

    def hold_nowait(self, turn: int) -> None:
        if self.holds:
            self._link.send_nowait(Hold(turn=turn))
            return
        self._held = turn
        self._link.clear_nowait(turn)

    def resume_nowait(self, turn: int, sample: int) -> None:
        if self._unplayed is None:
            self._link.send_nowait(Resume(turn=turn, sample=sample))
            return
        if self._held == turn:
            self._held = None
        for at, pcm in self._unplayed.rest(turn, sample):
            self._link.play_nowait(Audio(turn, at, pcm))

    def clear_nowait(self, turn: int) -> None:
        if self._held == turn:
            self._held = None
        if self._unplayed is not None:
            self._unplayed.drop(turn)
        self._link.clear_nowait(turn)

    def close_nowait(self, code: int, reason: str) -> None:
        self._link.close_nowait(code, reason)

    def played(self, turn: int, samples: int) -> None:
        """The client's word."""
        self.acknowledges = True
        if self._unplayed is not None:
            self._unplayed.played(turn, samples)

    def statistics(self) -> OutboxStatistics:
        return self._link.outbox.statistics()


# --- reading ---------------------------------------------------------------------------------------------------------


class Voice(NamedTuple):
    """What the client's microphone heard (s16le at the input rate); `sample` None: right after the last."""

    sample: int | None
    pcm: bytes


class Incoming:
    """The reading half: from messages to calls on the session.

    `take` is given each message's size and what reads it, so that a flood costs nothing but the counting. `transport`
    makes the port for a session_start that was read.
    """

    def __init__(
        self,
        hub: Hub,
        link: Link[Any],
        peer: Peer,
        limits: Limits,
        transport: Callable[[SessionStart], Transport],
        clock: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._link = link
        self._peer = peer
        self._clock = clock
        self._make = transport
        now = clock()
        self._messages = Allowance(limits.messages_per_s, limits.message_burst, now)
        self._bytes = Allowance(limits.bytes_per_s, limits.byte_burst, now)
        self._errors = Allowance(limits.errors_per_s, limits.error_burst, now)
        self._transport: Transport | None = None
        self._side: ClientSide | None = None
        self._audio: InputAudio | None = None
        self.refused = 0

    @property
    def started(self) -> bool:
        return self._side is not None

    def lost_nowait(self) -> None:
        side, self._side = self._side, None
        if side is not None and self._transport is not None:
            side.lost_nowait(self._transport)

    def take(self, size: int, read: Callable[[T], ClientMessage | Voice | None], received: T) -> None:
        """One message, of `size` bytes; `read` makes it of what was received (None: nothing to do), or raises
        BadRequest.

        Errors of the client's making are answered, not raised.
        """
        if self._link.closing is not None:
            return
        now = self._clock()
        if not self._messages.take(now) or not self._bytes.take(now, size):
            error = Error(
                code=AtCapacity.code,
                message="too many messages; send audio in pieces of 20 ms or more, and no faster than it was spoken",
                fatal=True,
                reason="RATE_LIMITED",
            )
            self._link.fail_nowait(error, CloseCode.POLICY)
            return
        try:
            self._dispatch(read(received), now)
        except BadRequest as e:
            self.refused += 1
            if self._errors.take(now):
                self._link.send_nowait(error_message(e, fatal=False))

    def message_nowait(self, message: ClientMessage) -> None:
        """In the client's name, once the session has started."""
        if self._side is not None and self._link.closing is None:
            self._side.message_nowait(message)

    def _dispatch(self, message: ClientMessage | Voice | None, now: float) -> None:
        if isinstance(message, Voice) and self._side is not None:
            # Nearly all that ever comes.
            self._push(self._side, message.sample, message.pcm, now)
        elif isinstance(message, SessionStart):
            self._start(message)
        elif isinstance(message, Voice):
            raise WrongState("audio came before session_start; send session_start first")
        elif message is not None:
            side = self._side
            if side is None:
                what = str(message.__struct_config__.tag)
                raise WrongState(f"{what} came before session_start; send session_start first")
            self._carry(side, message, now)

    def _carry(self, side: ClientSide, message: ClientMessage, now: float) -> None:
        if isinstance(message, AudioInput):
            self._push(side, message.sample, decode_base64(message.data), now)
        elif isinstance(message, Played):
            if isinstance(self._transport, ClientTransport):
                self._transport.played(message.turn, message.samples)
            side.played_nowait(message.turn, message.samples)
        else:
            side.message_nowait(message)

    def _push(self, side: ClientSide, sample: int | None, pcm: bytes, now: float) -> None:
        if self._audio is not None:
            for at, frame in self._audio.push(sample, pcm, now):
                side.audio_nowait(at, frame, now)

    def _start(self, start: SessionStart) -> None:
        if self._side is not None:
            raise WrongState("session_start came twice; use session_update, or open another connection")
        check_start(start)
        self._link.tune(start.output_rate)
        side = self._open(start, self._make(start))
        if side is not None:
            begin = side.next_input_sample * start.input_rate // UPLINK_RATE
            self._audio = InputAudio(start.input_rate, begin)

    def _open(self, start: SessionStart, transport: Transport) -> ClientSide | None:
        """The session, which is this connection's from now on. None: that was the end of the connection.

        Raises BadRequest for what another session_start can put right.
        """
        try:
            side = self._hub.open_nowait(start, transport, self._peer)
        except BadRequest:
            raise
        except AntiphonError as e:
            self._link.fail_nowait(error_message(e, fatal=True), _close_code(e))
            return None
        self._side, self._transport = side, transport
        return side


def check_start(start: SessionStart) -> None:
    """Raises BadRequest when it asks for what is not spoken here."""
    if start.protocol != PROTOCOL:
        raise Malformed(
            f"protocol {start.protocol} is not spoken here; this server speaks {PROTOCOL}",
            where="protocol",
            reason="BAD_PROTOCOL",
        )
    check_formats(start)


def error_message(e: AntiphonError, *, fatal: bool) -> Error:
    return Error(
        code=e.code, message=e.message, fatal=fatal, where=e.where, reason=e.reason, retry_after_s=e.retry_after_s
    )


def _close_code(e: AntiphonError) -> CloseCode:
    if isinstance(e, Denied):
        return CloseCode.POLICY
    return CloseCode.TRY_LATER if isinstance(e, AtCapacity | Unavailable | TimedOut) else CloseCode.INTERNAL
