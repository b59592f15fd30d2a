"""One stretch of the user's presence in the room: what they send, what they are sent, and the session between.

It ends when the user is gone (`end_nowait`: the session keeps its grace time) or when the session, or a rule that was
broken, closed the transport: then what was said last still goes out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from base.errors import BadRequest, NotFound, WrongState
from base.log import get_logger
from orchestrator import messages as m
from orchestrator.connection import Incoming, check_start, error_message
from orchestrator.ports import ClientSide, Hub, Peer
from orchestrator.transports.livekit.attendance import Person
from orchestrator.transports.livekit.captioner import Captioner
from orchestrator.transports.livekit.captions import Captions
from orchestrator.transports.livekit.line import Line
from orchestrator.transports.livekit.microphone import Microphone
from orchestrator.transports.livekit.settings import RATE, RoomSettings
from orchestrator.transports.livekit.transport import LiveKitTransport

if TYPE_CHECKING:
    from orchestrator.transports.livekit.connection import Connection, TextStream

log = get_logger("livekit")

LONGEST_CHAT = 20_000


@dataclass
class Memory:
    """What outlives a visit: the session that its user had, and the access key behind the room."""

    key: str = ""
    token: str = ""
    captions: Captions | None = None

    def forget(self) -> None:
        self.token, self.captions = "", None

    def note(self, message: m.SessionStarted) -> Captions:
        self.token = message.resume
        if self.captions is None or self.captions.session != message.session:
            self.captions = Captions(message.session)
        return self.captions


class Visit:
    """`run` is its task. The room is told what is `opened`, which `state` it is in, and that it was `closed`: at once,
    though what was said last is still to go out.
    """

    def __init__(
        self,
        connection: Connection,
        hub: Hub,
        person: Person,
        memory: Memory,
        settings: RoomSettings,
        *,
        opened: Callable[[], None],
        closed: Callable[[Visit, int, str], None],
        state: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.person = person
        self._connection = connection
        self._memory = memory
        self._settings = settings
        self._state = state
        self._clock = clock
        self._tasks = asyncio.TaskGroup()
        self._line = Line(self._publish, speaks=person.native)
        tracks = self._tracks
        self._captioner = Captioner(connection, person.identity, connection.identity, tracks)
        self._microphone = Microphone(connection, person.identity, self._tasks, clock)
        self._incoming = RoomIncoming(self, self._line, hub, connection.name, memory, settings, clock)
        self._opened = opened
        self._closed = closed
        self._speaking: asyncio.Task[None] | None = None
        self._streams = 0
        self._gone = asyncio.Event()
        self._early: list[Callable[[], None]] = []
        """What came before `run` did, which is a turn of the loop."""
        self._running = False

    # --- from the room ----------------------------------------------------------------------------------------------

    def open_nowait(self) -> None:
        """The client asks for no session: it gets one."""
        self._soon(self._open_default)

    def data_nowait(self, data: bytes) -> None:
        self._soon(lambda: self._incoming.packet(data))

    def stream_nowait(self, stream: TextStream) -> None:
        """One more than are read at once is not read."""
        if not self._running or self._streams >= self._settings.readers or self._line.closing is not None:
            stream.drop()
            return
        self._streams += 1
        self._tasks.create_task(self._read(stream))

    def tracks_nowait(self) -> None:
        self._microphone.look_nowait()

    def end_nowait(self) -> None:
        """The user is gone, or we are."""
        self._incoming.lost_nowait()
        self._line.gone_nowait()
        self._gone.set()

    def close_nowait(self, code: int, reason: str) -> None:
        """We go, and say so."""
        self._incoming.lost_nowait()
        self._line.close_nowait(code, reason)

    async def run(self) -> None:
        """Until the visit is over, its last words included."""
        try:
            async with self._tasks as tasks:
                self._running = True
                captions = tasks.create_task(self._captioner.run())
                self._microphone.look_nowait()
                for early in self._early:
                    early()
                try:
                    await self._write(tasks)
                finally:
                    self._incoming.lost_nowait()
                    self._microphone.end_nowait()
                    if self._speaking is not None:
                        self._speaking.cancel()
                if self._line.closing is not None:
                    self._closed(self, *self._line.closing)
                    await self._last_words(captions, *self._line.closing)
                captions.cancel()
        except Exception:
            log.exception("livekit.visit_fault", room=self._connection.name)
            self._closed(self, m.CloseCode.INTERNAL, "a fault on our side")
        finally:
            self._running = False
        log.info("livekit.visit_over", room=self._connection.name, refused=self._incoming.refused)

    async def _write(self, tasks: asyncio.TaskGroup) -> None:
        """Until all is written, or nobody is there to read it: LiveKit may take a message and not say so for long."""
        ends = [tasks.create_task(self._line.write()), tasks.create_task(self._gone.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    def _soon(self, what: Callable[[], None]) -> None:
        if self._running:
            what()
        else:
            self._early.append(what)

    def _open_default(self) -> None:
        if self._line.closing is None and not self._incoming.started:
            self._incoming.open_default()

    # --- the session ------------------------------------------------------------------------------------------------

    def transport(self, *, obeyed: bool = False) -> LiveKitTransport:
        return LiveKitTransport(
            self._line,
            self._connection.sink,
            lead_s=self._settings.lead_s,
            obeyed=obeyed,
            said=self._said,
            heard=self._heard,
        )

    def started_nowait(self, transport: LiveKitTransport, side: ClientSide, *, resumed: bool) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
        transport.attach(side)
        self._speaking = self._tasks.create_task(transport.speak())
        self._microphone.hear_nowait(side, resumed=resumed)
        self._opened()

    def _said(self, message: m.ServerMessage) -> None:
        if isinstance(message, m.SessionStarted):
            self._captioner.use(self._memory.note(message))
        elif isinstance(message, m.State):
            self._state(STATES[message.state])
        elif self._memory.captions is not None:
            self._memory.captions.message(message)
            self._captioner.news_nowait()

    def _heard(self, turn: int, samples: int) -> None:
        if self._memory.captions is not None:
            self._memory.captions.heard(turn, samples)
            self._captioner.news_nowait()

    # --- the wire ---------------------------------------------------------------------------------------------------

    async def _publish(self, data: bytes) -> None:
        await self._connection.publish(data, self.person.identity, self._settings.packet_bytes)

    async def _read(self, stream: TextStream) -> None:
        most = LONGEST_CHAT * 4 if stream.chat else self._settings.limits.message_bytes
        try:
            text = await stream.read(most)
        finally:
            self._streams -= 1
        if text is None:
            self._incoming.refuse(BadRequest(f"a text stream of more than {most} bytes is not read"))
        elif stream.chat:
            self._incoming.chat(text)
        else:
            self._incoming.packet(text.encode(errors="replace"))

    async def _last_words(self, captions: asyncio.Task[None], code: int, reason: str) -> None:
        self._captioner.end_nowait()
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(self._settings.last_words_s):
                if self._line.speaks:
                    closed = json.dumps({"code": int(code), "reason": reason}).encode()
                    await self._connection.publish_closed(closed, self.person.identity)
                await asyncio.wait([captions])
        if code != m.CloseCode.RESUMED_ELSEWHERE:
            await asyncio.sleep(self._settings.parting_s)

    def _tracks(self) -> tuple[str, str]:
        return self._microphone.sid, self._connection.track


class RoomIncoming(Incoming):
    """The reading half: the protocol's messages as packets and text streams, and chat as `text`."""

    def __init__(
        self,
        visit: Visit,
        line: Line,
        hub: Hub,
        room: str,
        memory: Memory,
        settings: RoomSettings,
        clock: Callable[[], float],
    ) -> None:
        peer = Peer(kind="livekit", address=room, admitted=True, behind=memory.key)
        super().__init__(hub, line, peer, settings.limits, lambda _: visit.transport(), clock)
        self._visit = visit
        self._out = line
        self._memory = memory
        self._automatic = False
        """The session is one that the client did not ask for."""

    def packet(self, data: bytes) -> None:
        """One message of the protocol."""
        self._out.speaks = True
        self.take(len(data), m.parse_client, data)

    def chat(self, text: str) -> None:
        """What a person typed in LiveKit's own chat."""
        self.take(len(text), _typed, text)

    def refuse(self, error: BadRequest) -> None:
        self.take(0, _refused, error)

    def lost_nowait(self) -> None:
        if isinstance(self._transport, LiveKitTransport):
            self._transport.lost_nowait()
        super().lost_nowait()

    def open_default(self) -> None:
        """The session of before, if there was one and it still is; else a new one."""
        try:
            try:
                self._begin(m.SessionStart(resume=self._memory.token))
            except NotFound:
                self._memory.forget()
                self._begin(m.SessionStart())
        except BadRequest as e:
            self._out.fail_nowait(error_message(e, fatal=True), m.CloseCode.POLICY)
        self._automatic = self.started

    def _start(self, start: m.SessionStart) -> None:
        if self._side is not None and not self._automatic and start.resume != self._memory.token:
            raise WrongState("session_start came twice; use session_update, or join another room")
        check_start(start)
        self._begin(start)

    def _begin(self, start: m.SessionStart) -> None:
        """Raises BadRequest; what was there before is still there then, unless another one was to take its place."""
        # What the track is, is not the client's to choose, and its frames are converted here.
        obeyed = start.hold
        start = msgspec.structs.replace(start, encoding="pcm_s16le", input_rate=16_000, output_rate=RATE, hold=False)
        before, automatic = self._side, self._automatic
        if before is not None:
            self.lost_nowait()
            if automatic and start.resume != self._memory.token:
                before.message_nowait(m.SessionEnd())
        self._automatic = False
        transport = self._visit.transport(obeyed=obeyed)
        side = self._open(start, transport)
        if side is not None:
            self._visit.started_nowait(transport, side, resumed=bool(start.resume))

    def _carry(self, side: ClientSide, message: m.ClientMessage, now: float) -> None:
        if isinstance(message, m.AudioInput):
            raise WrongState("over LiveKit, audio is the microphone's track: publish one", reason="AUDIO_IS_A_TRACK")
        if not isinstance(message, m.Played):  # what counts is where the track's own queue is
            super()._carry(side, message, now)


STATES = {
    "idle": "listening",
    "listening": "listening",
    "thinking": "thinking",
    "speaking": "speaking",
    "barged_in": "listening",
    "terminated": "idle",
}
"""A session's states in the words of LiveKit's components."""


def _typed(text: str) -> m.TextInput | None:
    return m.TextInput(text=text[:LONGEST_CHAT]) if text.strip() else None


def _refused(error: BadRequest) -> None:
    raise error
