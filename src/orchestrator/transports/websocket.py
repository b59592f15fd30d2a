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
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import WSMessage, WSMsgType, web

from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE
from base.errors import BadRequest, TimedOut, WrongState
from base.log import get_logger
from orchestrator.edge import InputAudio
from orchestrator.incoming import Allowances, Incoming, check_start
from orchestrator.messages import (
    Audio,
    AudioInput,
    Clear,
    CloseCode,
    Error,
    Hold,
    Played,
    Resume,
    ServerMessage,
    SessionStart,
    decode_base64,
    encoded,
    unpack_audio,
)
from orchestrator.outbox import Kind, Outbox, OutboxStatistics
from orchestrator.ports import ClientSide, Hub, Peer
from orchestrator.resend import Unplayed

log = get_logger("websocket")


@dataclass(frozen=True, slots=True)
class Limits(Allowances):
    """What one connection may do. Seconds, messages, bytes."""

    start_s: float = 10.0
    """Until session_start."""
    message_bytes: int = 1 << 20
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


class _Incoming(Incoming):
    """The reading half of a WebSocket: text as everywhere, and audio in messages of its own."""

    def __init__(
        self, hub: Hub, link: _Link, peer: Peer, limits: Limits, lead_s: float, clock: Callable[[], float]
    ) -> None:
        super().__init__(link, limits, clock)
        self._hub = hub
        self._link = link
        self._peer = peer
        self._lead_s = lead_s
        self._input: InputAudio | None = None
        self._socket: WebSocketTransport | None = None

    def take(self, message: WSMessage) -> None:
        """One message."""
        if self._link.closing is not None:
            return
        now = self._clock()
        size = len(message.data) if isinstance(message.data, str | bytes) else 0
        if not self.allowed(size, now):
            return
        with self.answering(now):
            if message.type is WSMsgType.TEXT:
                self.text(message.data, now)
            elif message.type is WSMsgType.BINARY:
                self._binary(message.data, now)
            elif message.type is WSMsgType.PING:
                self._link.pong_nowait(message.data)

    def _binary(self, data: bytes, now: float) -> None:
        audio = unpack_audio(data)
        if self._side is None:
            raise WrongState("audio came before session_start; send session_start first")
        if audio.turn:
            raise BadRequest(f"audio of turn {audio.turn}: the turn (bytes 4 to 7) is 0 in what a client sends")
        self._push(self._side, audio.sample, audio.pcm, now)

    def _audio(self, side: ClientSide, message: AudioInput, now: float) -> None:
        self._push(side, message.sample, decode_base64(message.data), now)

    def _push(self, side: ClientSide, sample: int | None, pcm: bytes, now: float) -> None:
        if self._input is not None:
            for at, frame in self._input.push(sample, pcm, now):
                side.audio_nowait(at, frame, now)

    def _played(self, side: ClientSide, message: Played) -> None:
        if self._socket is not None:
            self._socket.played(message.turn, message.samples)
        side.played_nowait(message.turn, message.samples)

    def _start(self, start: SessionStart) -> None:
        if self._side is not None:
            raise WrongState("session_start came twice; use session_update, or open another connection")
        check_start(start)
        self._link.tune(start.output_rate)
        transport = WebSocketTransport(self._link, start, lead_s=self._lead_s)
        side = self._open(self._hub, start, transport, self._peer)
        if side is None:
            return
        self._socket = transport
        begin = side.next_input_sample * start.input_rate // UPLINK_RATE
        self._input = InputAudio(start.input_rate, begin)


async def serve_websocket(
    request: web.Request,
    hub: Hub,
    *,
    limits: Limits | None = None,
    lead_s: float = 0.2,
    clock: Callable[[], float] = time.monotonic,
) -> web.WebSocketResponse:
    """Handles one connection from handshake to close. Origin and Host were checked before."""
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
    incoming = _Incoming(hub, link, _peer(request), limits, lead_s, clock)
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


def _peer(request: web.Request) -> Peer:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return Peer(
        kind="websocket",
        address=request.remote or "",
        origin=request.headers.get("Origin", ""),
        key=key.strip() if scheme.lower() == "bearer" else "",
    )


def _short(reason: str) -> bytes:
    """A close frame has room for 123 bytes; not half a character."""
    return reason.encode()[:120].decode(errors="ignore").encode()
