"""The WebSocket transport: `/v1/converse`, as docs/protocol.md states it.

A connection has one reader and one writer, both children of its handler. The writer takes control before audio, and
never lets more than a few frames into asyncio's and the kernel's buffers (TCP_NOTSENT_LOWAT): what waits, waits in our
outbox, where a hold can overtake it. The reader looks at every message's cost before its content and yields often, so
that a flood on one connection is that connection's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import WSMessage, WSMsgType, web

from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE
from base.errors import AntiphonError, AtCapacity, BadRequest, Denied, TimedOut, Unavailable, WrongState
from base.log import get_logger
from orchestrator.access import Network
from orchestrator.callers import peer_of
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
    encoded,
    parse_client,
    unpack_audio,
)
from orchestrator.outbox import Kind, Outbox, OutboxStatistics
from orchestrator.ports import ClientSide, Hub, Peer
from orchestrator.resend import Unplayed
from orchestrator.wishes import check_formats

log = get_logger("websocket")


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


class WebSocketTransport:
    """Implements `ports.Transport` for one connection whose session_start was read."""

    def __init__(self, link: _Link, start: SessionStart, *, lead_s: float = 0.2) -> None:
        self.holds = start.hold
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


class _Link:
    """The writing half of a connection."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        wire: asyncio.Transport,
        drained: Callable[[], Awaitable[None]],
        limits: Limits,
    ) -> None:
        self.outbox = Outbox()
        self.closing: tuple[int, str] | None = None
        self._ws = ws
        self._wire = wire
        self._drained = drained
        self._limits = limits
        self._news = asyncio.Event()
        self._gone = False
        self._high = 0
        self.tune(48_000)

    def tune(self, rate: int) -> None:
        """Keeps what can no longer be overtaken short, for audio at `rate`."""
        self._high = round(rate * BYTES_PER_SAMPLE * self._limits.unsent_s)
        self._wire.set_write_buffer_limits(high=self._high, low=self._high // 2)
        sock = self._wire.get_extra_info("socket")
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if sock is not None and option is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, option, self._high)

    def send_nowait(self, message: ServerMessage, kind: Kind = Kind.TEXT) -> None:
        self._put(encoded(message), kind)

    def pong_nowait(self, data: bytes) -> None:
        self._put(data, Kind.PONG)

    def play_nowait(self, audio: Audio) -> None:
        if self._open() and not self.outbox.put_audio(audio):
            self._overflow()
        self._news.set()

    def clear_nowait(self, turn: int) -> None:
        self.outbox.drop_audio(turn)
        self.send_nowait(Clear(turn=turn))

    def close_nowait(self, code: int, reason: str) -> None:
        """What was sent before still goes out, audio aside."""
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

    def room(self, rate: int) -> int:
        waiting = self.outbox.audio_bytes + self._wire.get_write_buffer_size()
        return max(0, round(self._limits.waiting_s * rate) - waiting // BYTES_PER_SAMPLE)

    async def write(self) -> None:
        """Returns when a close was asked for and all else is written, or when nothing can be written any more."""
        try:
            while not self._gone:
                item = self.outbox.pop()
                if item is not None:
                    await self._write_one(*item)
                elif self.closing is not None:
                    return
                else:
                    self._news.clear()
                    await self._news.wait()
        except ConnectionError:
            self._gone = True
        except TimeoutError:
            self._stalled()

    async def finish(self) -> None:
        """The closing handshake, as far as the other side takes part in it."""
        code, reason = self.closing or (CloseCode.ENDED, "")
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(self._limits.closing_s * 2):
                await self._ws.close(code=code, message=_short(reason), drain=False)
        if self._wire.get_write_buffer_size():
            # close() would wait for a peer that does not read, for as long as it likes.
            self._wire.abort()

    async def _write_one(self, kind: Kind, data: bytes) -> None:
        if kind is Kind.AUDIO:
            await self._ws.send_bytes(data)
        elif kind is Kind.TEXT:
            await self._ws.send_frame(data, WSMsgType.TEXT)
        else:
            await self._ws.pong(data)
        if self._wire.get_write_buffer_size() > self._high:
            async with asyncio.timeout(self._limits.stalled_s):
                await self._drained()

    def _open(self) -> bool:
        return self.closing is None and not self._gone

    def _put(self, data: bytes, kind: Kind) -> None:
        if self._open() and not self.outbox.put_control(data, kind):
            self._overflow()
        self._news.set()

    def _overflow(self) -> None:
        self.outbox.drop_control()
        self.outbox.drop_audio()
        reason = "the client does not read what it is sent"
        self.fail_nowait(Error(code=TimedOut.code, message=reason, fatal=True, reason="NOT_READING"), CloseCode.POLICY)

    def _stalled(self) -> None:
        self.closing = (CloseCode.POLICY, f"the client read nothing for {self._limits.stalled_s:g} s")
        self._gone = True
        self._wire.abort()


class _Incoming:
    """The reading half: from messages to calls on the session."""

    def __init__(
        self, hub: Hub, link: _Link, peer: Peer, limits: Limits, lead_s: float, clock: Callable[[], float]
    ) -> None:
        self._hub = hub
        self._link = link
        self._peer = peer
        self._lead_s = lead_s
        self._clock = clock
        now = clock()
        self._messages = Allowance(limits.messages_per_s, limits.message_burst, now)
        self._bytes = Allowance(limits.bytes_per_s, limits.byte_burst, now)
        self._errors = Allowance(limits.errors_per_s, limits.error_burst, now)
        self._transport: WebSocketTransport | None = None
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

    def take(self, message: WSMessage) -> None:
        """One message. Errors of the client's making are answered, not raised."""
        if self._link.closing is not None:
            return
        now = self._clock()
        size = len(message.data) if isinstance(message.data, str | bytes) else 0
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
            if message.type is WSMsgType.TEXT:
                self._text(parse_client(message.data), now)
            elif message.type is WSMsgType.BINARY:
                self._binary(message.data, now)
            elif message.type is WSMsgType.PING:
                self._link.pong_nowait(message.data)
        except BadRequest as e:
            self.refused += 1
            if self._errors.take(now):
                self._link.send_nowait(_error(e, fatal=False))

    def _text(self, message: ClientMessage, now: float) -> None:
        if isinstance(message, SessionStart):
            self._start(message)
            return
        side = self._side
        if side is None:
            raise WrongState(f"{_tag(message)} came before session_start; send session_start first")
        if isinstance(message, AudioInput):
            self._push(side, message.sample, decode_base64(message.data), now)
        elif isinstance(message, Played):
            if self._transport is not None:
                self._transport.played(message.turn, message.samples)
            side.played_nowait(message.turn, message.samples)
        else:
            side.message_nowait(message)

    def _binary(self, data: bytes, now: float) -> None:
        audio = unpack_audio(data)
        if self._side is None:
            raise WrongState("audio came before session_start; send session_start first")
        if audio.turn:
            raise BadRequest(f"audio of turn {audio.turn}: the turn (bytes 4 to 7) is 0 in what a client sends")
        self._push(self._side, audio.sample, audio.pcm, now)

    def _push(self, side: ClientSide, sample: int | None, pcm: bytes, now: float) -> None:
        if self._audio is not None:
            for at, frame in self._audio.push(sample, pcm, now):
                side.audio_nowait(at, frame, now)

    def _start(self, start: SessionStart) -> None:
        if self._side is not None:
            raise WrongState("session_start came twice; use session_update, or open another connection")
        if start.protocol != PROTOCOL:
            raise Malformed(
                f"protocol {start.protocol} is not spoken here; this server speaks {PROTOCOL}",
                where="protocol",
                reason="BAD_PROTOCOL",
            )
        check_formats(start)
        self._link.tune(start.output_rate)
        transport = WebSocketTransport(self._link, start, lead_s=self._lead_s)
        try:
            self._side = self._hub.open_nowait(start, transport, self._peer)
        except BadRequest:
            raise
        except AntiphonError as e:
            self._link.fail_nowait(_error(e, fatal=True), _close_code(e))
            return
        self._transport = transport
        begin = self._side.next_input_sample * start.input_rate // UPLINK_RATE
        self._audio = InputAudio(start.input_rate, begin)


async def serve_websocket(
    request: web.Request,
    hub: Hub,
    *,
    limits: Limits | None = None,
    lead_s: float = 0.2,
    trusted: Sequence[Network] = (),
    clock: Callable[[], float] = time.monotonic,
) -> web.WebSocketResponse:
    """Handles one connection from handshake to close. Origin and Host were checked before. `trusted`: the proxies that
    are believed about where it came from."""
    limits = limits or Limits()
    ws = web.WebSocketResponse(
        heartbeat=limits.heartbeat_s,
        autoping=False,
        compress=False,
        max_msg_size=limits.message_bytes,
        # Waiting for a slow client is `_Link.write`'s business alone: pings and closes must not wait.
        writer_limit=1 << 30,
        timeout=limits.closing_s,
    )
    stream = await ws.prepare(request)
    wire = request.transport
    if wire is None:
        return ws
    link = _Link(ws, wire, stream.drain, limits)
    incoming = _Incoming(hub, link, peer_of(request, "websocket", trusted), limits, lead_s, clock)
    try:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(_read(ws, incoming, link, limits))
            try:
                await link.write()
            finally:
                reader.cancel()
    finally:
        incoming.lost_nowait()
    await link.finish()
    code, reason = link.closing or (ws.close_code, "")
    log.info("connection.closed", code=code, reason=reason, refused=incoming.refused)
    return ws


async def _read(ws: web.WebSocketResponse, incoming: _Incoming, link: _Link, limits: Limits) -> None:
    """Until the connection or the session ends. At most a few messages run before others get their turn."""
    try:
        async with asyncio.timeout(limits.start_s) as deadline:
            taken = 0
            while link.closing is None:
                message = await ws.receive()
                if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                    break
                incoming.take(message)
                if incoming.started and deadline.when() is not None:
                    deadline.reschedule(None)
                taken += 1
                if taken % 16 == 0:
                    await asyncio.sleep(0)
            else:
                return
        link.gone_nowait()
    except TimeoutError:
        error = f"no session_start within {limits.start_s:g} s; send it first"
        link.fail_nowait(Error(code=TimedOut.code, message=error, fatal=True, reason="NO_SESSION"), CloseCode.POLICY)
    except Exception:
        log.exception("connection.fault")
        fault = Error(code="internal", message="a fault on our side; the session can be resumed", fatal=True)
        link.fail_nowait(fault, CloseCode.INTERNAL)


def _tag(message: ClientMessage) -> str:
    return str(message.__struct_config__.tag)


def _error(e: AntiphonError, *, fatal: bool) -> Error:
    return Error(
        code=e.code, message=e.message, fatal=fatal, where=e.where, reason=e.reason, retry_after_s=e.retry_after_s
    )


def _close_code(e: AntiphonError) -> CloseCode:
    if isinstance(e, Denied):
        return CloseCode.POLICY
    return CloseCode.TRY_LATER if isinstance(e, AtCapacity | Unavailable | TimedOut) else CloseCode.INTERNAL


def _short(reason: str) -> bytes:
    """A close frame has room for 123 bytes; not half a character."""
    return reason.encode()[:120].decode(errors="ignore").encode()
