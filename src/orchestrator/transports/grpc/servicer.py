"""The gRPC transport: `antiphon.v1.Conversation`, as docs/grpc.md states it.

A call has one reader and one writer, both children of its handler. The writer takes control before audio, one message
at a time. What it has handed to gRPC nothing can overtake, and gRPC takes what the receiver's window allows, which is
seconds of audio: so what is on its way to a listener that tells what it played is bounded here (`underway`); to one
that tells nothing the downlink sends 40 ms ahead of the clock. How a call ends says how the session does: OK is its
end, every other status leaves it its grace time.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from urllib.parse import unquote

from base.audio import BYTES_PER_SAMPLE
from base.errors import AntiphonError, AtCapacity, Denied, Internal, TimedOut, Unavailable, WrongState
from base.log import get_logger
from orchestrator.access import Network, seen
from orchestrator.connection import ClientTransport, Incoming, Limits, Link
from orchestrator.messages import Audio, CloseCode, Error, InputState, ServerMessage, SessionEnd, SessionStart, State
from orchestrator.ports import Hub, Peer
from orchestrator.transports.grpc import wire
from orchestrator.transports.grpc.underway import Underway
from pb.antiphon.v1 import conversation_pb2_grpc

log = get_logger("grpc")

ROUND_TRIP_S = 0.4
"""What may be under way beyond the lead: the interval of the listener's word, and the way there and back."""
RESTING = frozenset({"idle", "listening"})
LAST_WORDS_S = 1.0
"""A session whose client has closed its sending side ends when it has rested for this long."""
RETRY_S = 1.0


class ConversationServicer(conversation_pb2_grpc.ConversationServicer):
    """`hub` has the sessions; `trusted` are the proxies whose x-forwarded-for is believed."""

    def __init__(
        self,
        hub: Hub,
        *,
        limits: Limits | None = None,
        lead_s: float = 0.2,
        trusted: Sequence[Network] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hub = hub
        self._trusted = trusted
        self._limits = limits or Limits()
        self._lead_s = lead_s
        self._clock = clock

    async def Converse(self, request_iterator: AsyncIterator[wire.ConverseRequest], context: Any) -> None:
        limits = self._limits
        # At once: were it left to the first write, a call that ends during that write could not be given a status.
        await context.send_initial_metadata(())
        link = _Link(context, limits, self._clock)
        transport = functools.partial(_Transport, link, lead_s=self._lead_s)
        incoming = Incoming(self._hub, link, peer_of(context, self._trusted), limits, transport, self._clock)
        try:
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(_read(request_iterator, incoming, link, limits))
                try:
                    await link.write()
                finally:
                    reader.cancel()
        finally:
            incoming.lost_nowait()
            code, reason = link.closing or (CloseCode.GOING_AWAY, "the client is gone")
            # Of a client that went away, too: gRPC cancels its call.
            log.info("connection.closed", code=code, reason=reason, refused=incoming.refused)
        if code != CloseCode.ENDED:
            raise link.failure or _failure(code, reason)


class _Transport(ClientTransport):
    """Never lets more than a little get under way to a listener that tells how far it is."""

    def __init__(self, link: _Link, start: SessionStart, *, lead_s: float) -> None:
        super().__init__(link, start, lead_s=lead_s)
        self._underway = Underway(round((lead_s + ROUND_TRIP_S) * start.output_rate))

    def room(self) -> int:
        known = self._underway.room()
        room = super().room()
        return room if known is None else min(room, known)

    def play_nowait(self, turn: int, sample: int, pcm: bytes) -> None:
        self._underway.sent(turn, sample + len(pcm) // BYTES_PER_SAMPLE)
        super().play_nowait(turn, sample, pcm)

    def played(self, turn: int, samples: int) -> None:
        self._underway.played(turn, samples)
        super().played(turn, samples)


class _Link(Link[wire.ConverseResponse]):
    """The writing half of a call."""

    def __init__(self, context: Any, limits: Limits, clock: Callable[[], float]) -> None:
        super().__init__()
        self.failure: AntiphonError | None = None
        """What the call ends with, where it is more than its close code says."""
        self._context = context
        self._limits = limits
        self._clock = clock
        self._writing = 0
        self._resting = True
        self._sent_s = clock()

    def send_nowait(self, message: ServerMessage) -> None:
        if isinstance(message, State):
            self._resting = message.state in RESTING
        self._sent_s = self._clock()
        response = wire.response_of(message)
        self._put(response, wire.size_of(response))

    def play_nowait(self, audio: Audio) -> None:
        self._sent_s = self._clock()
        super().play_nowait(audio)

    def fail_nowait(self, error: Error, code: CloseCode) -> None:
        """Said as everywhere, and again by the status."""
        if self.closing is None:
            kind = _KINDS.get(error.code, Internal)
            self.failure = kind(error.message, reason=error.reason or None, retry_after_s=error.retry_after_s)
        super().fail_nowait(error, code)

    def room(self, rate: int) -> int:
        waiting = self.outbox.audio_bytes + self._writing
        return max(0, round(self._limits.waiting_s * rate) - waiting // BYTES_PER_SAMPLE)

    def rested_s(self) -> float:
        """For how long nothing was said or heard while nothing was to be; 0 in the middle of something."""
        return self._clock() - self._sent_s if self._resting else 0.0

    async def write(self) -> None:
        """Returns when a close was asked for and all else is written, or when nothing can be written any more."""
        try:
            while (item := await self.next()) is not None:
                await self._write_one(item)
            if self.closing is not None and not self._gone:
                await self._write_one(wire.closing_of(*self.closing))
        except TimeoutError:
            self._stalled()

    async def _write_one(self, item: wire.ConverseResponse | Audio) -> None:
        message = wire.audio_of(item) if isinstance(item, Audio) else item
        self._writing = len(item.pcm) if isinstance(item, Audio) else 0
        try:
            async with asyncio.timeout(self._limits.stalled_s):
                await self._context.write(message)
        finally:
            self._writing = 0

    def _stalled(self) -> None:
        message = f"the client read nothing for {self._limits.stalled_s:g} s"
        self.closing = (CloseCode.POLICY, message)
        self.failure = TimedOut(message, reason="NOT_READING")
        self._gone = True


async def _read(requests: AsyncIterator[wire.ConverseRequest], incoming: Incoming, link: _Link, limits: Limits) -> None:
    """Until the client closes its side, and then until what it has begun is over."""
    try:
        async with asyncio.timeout(limits.start_s) as deadline:
            taken = 0
            async for request in requests:
                incoming.take(wire.size_of(request), wire.message_from, request)
                if link.closing is not None:
                    return
                if incoming.started and deadline.when() is not None:
                    deadline.reschedule(None)
                taken += 1
                if taken % 16 == 0:
                    await asyncio.sleep(0)
            if incoming.started:
                await _last_words(incoming, link)
            else:
                error = "the call's sending side was closed before session_start"
                link.fail_nowait(
                    Error(code=WrongState.code, message=error, fatal=True, reason="NO_SESSION"), CloseCode.POLICY
                )
    except TimeoutError:
        error = f"no session_start within {limits.start_s:g} s; send it first"
        link.fail_nowait(Error(code=TimedOut.code, message=error, fatal=True, reason="NO_SESSION"), CloseCode.POLICY)


async def _last_words(incoming: Incoming, link: _Link) -> None:
    """The client says nothing more. What it said is answered to the end; then the session ends."""
    incoming.message_nowait(InputState(state="released"))
    while link.closing is None:
        left_s = LAST_WORDS_S - link.rested_s()
        if left_s <= 0:
            break
        await asyncio.sleep(left_s)
    incoming.message_nowait(SessionEnd())


def peer_of(context: Any, trusted: Sequence[Network] = ()) -> Peer:
    """Who calls, as far as gRPC and the metadata know."""
    metadata: dict[str, str] = {}
    forwarded: list[str] = []
    for key, value in context.invocation_metadata() or ():
        metadata[key] = value if isinstance(value, str) else ""
        if key == "x-forwarded-for":
            forwarded.append(metadata[key])
    scheme, _, key = metadata.get("authorization", "").partition(" ")
    address, proxied = seen(_address(context.peer()), metadata, forwarded, trusted)
    return Peer(
        kind="grpc",
        address=address,
        origin=metadata.get("origin", ""),
        key=key.strip() if scheme.lower() == "bearer" else "",
        proxied=proxied,
    )


def _address(peer: str) -> str:
    """ "ipv4:127.0.0.1:5000" and "ipv6:%5B::1%5D:5000" without their frills; "" for anything else."""
    kind, _, rest = peer.partition(":")
    host, _, _port = unquote(rest).rpartition(":")
    return host.strip("[]") if kind in ("ipv4", "ipv6") else ""


_KINDS: dict[str, type[AntiphonError]] = {
    e.code: e for e in (Denied, AtCapacity, Unavailable, TimedOut, WrongState, Internal)
}


def _failure(code: int, reason: str) -> AntiphonError:
    """The status that says what a close code says."""
    if code == CloseCode.RESUMED_ELSEWHERE:
        return WrongState(reason, reason="RESUMED_ELSEWHERE")
    if code == CloseCode.GOING_AWAY:
        return Unavailable(reason, reason="GOING_AWAY", retry_after_s=RETRY_S)
    if code == CloseCode.TRY_LATER:
        return AtCapacity(reason, retry_after_s=RETRY_S)
    return Internal(reason, reason="FAULT")
