"""The reading half of a connection that carries docs/protocol.md's text messages, whatever carries them.

A message's cost is looked at before its content. What is wrong with it is answered, never raised: errors of the
client's making leave the connection as it was, a flood ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from base.errors import AntiphonError, AtCapacity, BadRequest, Denied, TimedOut, Unavailable, WrongState
from orchestrator.edge import Allowance
from orchestrator.messages import (
    PROTOCOL,
    AudioInput,
    ClientMessage,
    CloseCode,
    Error,
    Malformed,
    Played,
    ServerMessage,
    SessionStart,
    parse_client,
)
from orchestrator.ports import ClientSide, Hub, Peer, Transport
from orchestrator.wishes import check_formats


@dataclass(frozen=True, slots=True)
class Allowances:
    """What one connection may send. Messages, bytes."""

    messages_per_s: float = 500.0
    message_burst: float = 1_000.0
    """A client that was cut off for ten seconds sends what it recorded at once."""
    bytes_per_s: float = 1e6
    byte_burst: float = 4e6
    errors_per_s: float = 5.0
    error_burst: float = 20.0
    """Errors beyond this are counted, not sent."""


class Line(Protocol):
    """The writing half, as much of it as answering takes."""

    @property
    def closing(self) -> tuple[int, str] | None:
        """The close code and its reason, from when a close was asked for."""
        ...

    def send_nowait(self, message: ServerMessage) -> None: ...

    def fail_nowait(self, error: Error, code: CloseCode) -> None:
        """A fatal error, then the close that it announces."""
        ...


class Incoming:
    """From messages to calls on the session. What a transport does its own way is for its subclass to say."""

    def __init__(self, line: Line, allowances: Allowances, clock: Callable[[], float]) -> None:
        self._line = line
        self._clock = clock
        now = clock()
        self._messages = Allowance(allowances.messages_per_s, allowances.message_burst, now)
        self._bytes = Allowance(allowances.bytes_per_s, allowances.byte_burst, now)
        self._errors = Allowance(allowances.errors_per_s, allowances.error_burst, now)
        self._transport: Transport | None = None
        self._side: ClientSide | None = None
        self.refused = 0

    @property
    def started(self) -> bool:
        return self._side is not None

    def lost_nowait(self) -> None:
        """The connection is gone; the session hears of it once."""
        side, self._side = self._side, None
        if side is not None and self._transport is not None:
            side.lost_nowait(self._transport)

    def allowed(self, size: int, now: float) -> bool:
        """Whether a message of `size` bytes may be looked at. If not, that was the end of this connection."""
        if self._messages.take(now) and self._bytes.take(now, size):
            return True
        error = Error(
            code=AtCapacity.code,
            message="too many messages; send audio in pieces of 20 ms or more, and no faster than it was spoken",
            fatal=True,
            reason="RATE_LIMITED",
        )
        self._line.fail_nowait(error, CloseCode.POLICY)
        return False

    @contextmanager
    def answering(self, now: float) -> Iterator[None]:
        """Errors of the client's making are answered, as far as it is allowed any."""
        try:
            yield
        except BadRequest as e:
            self.refused += 1
            if self._errors.take(now):
                self._line.send_nowait(told(e, fatal=False))

    def text(self, data: str | bytes, now: float) -> None:
        """One text message. Raises BadRequest."""
        message = parse_client(data)
        if isinstance(message, SessionStart):
            self._start(message)
            return
        side = self._side
        if side is None:
            raise WrongState(f"{_tag(message)} came before session_start; send session_start first")
        if isinstance(message, AudioInput):
            self._audio(side, message, now)
        elif isinstance(message, Played):
            self._played(side, message)
        else:
            side.message_nowait(message)

    def _start(self, start: SessionStart) -> None:
        """Raises BadRequest."""
        raise NotImplementedError

    def _audio(self, side: ClientSide, message: AudioInput, now: float) -> None:
        """Raises BadRequest."""
        raise NotImplementedError

    def _played(self, side: ClientSide, message: Played) -> None:
        raise NotImplementedError

    def _open(self, hub: Hub, start: SessionStart, transport: Transport, peer: Peer) -> ClientSide | None:
        """The session, which is this connection's from now on. None: that was the end of the connection.

        Raises BadRequest for what another session_start can put right.
        """
        try:
            side = hub.open_nowait(start, transport, peer)
        except BadRequest:
            raise
        except AntiphonError as e:
            self._line.fail_nowait(told(e, fatal=True), close_code(e))
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


def told(e: AntiphonError, *, fatal: bool) -> Error:
    """The error as the client reads it."""
    return Error(
        code=e.code, message=e.message, fatal=fatal, where=e.where, reason=e.reason, retry_after_s=e.retry_after_s
    )


def close_code(e: AntiphonError) -> CloseCode:
    if isinstance(e, Denied):
        return CloseCode.POLICY
    return CloseCode.TRY_LATER if isinstance(e, AtCapacity | Unavailable | TimedOut) else CloseCode.INTERNAL


def _tag(message: ClientMessage) -> str:
    return str(message.__struct_config__.tag)
