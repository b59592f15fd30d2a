"""A room with the agent in it, and clients as LiveKit's own SDK makes them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np

from orchestrator.connection import Incoming, Limits
from orchestrator.leaving import Stop
from orchestrator.messages import Audio, ClientMessage, ServerMessage, server_decoder
from orchestrator.ports import ClientSide, Hub, Peer
from orchestrator.transports.livekit.line import Line
from orchestrator.transports.livekit.playout import Piece
from orchestrator.transports.livekit.room import serve_room
from orchestrator.transports.livekit.settings import CLOSED_TOPIC, PROTOCOL_ATTRIBUTE, TOPIC, RoomSettings
from orchestrator.transports.livekit.transport import LiveKitTransport
from orchestrator.transports.memory import Listener
from tests.support.livekit import LiveKitServer
from tests.support.transports import RecordingHub, until

RATE = 48_000
NATIVE = {PROTOCOL_ATTRIBUTE: "1"}


@dataclass
class Caption:
    """One text stream on `lk.transcription`."""

    sender: str
    attributes: dict[str, str]
    text: str = ""
    closed: bool = False

    @property
    def segment(self) -> str:
        return self.attributes["lk.segment_id"]

    @property
    def final(self) -> bool:
        return self.closed and self.attributes["lk.transcription_final"] == "true"


@dataclass
class RoomClient:
    """A participant. It reads all the time: messages, captions, and the agent's track once that was subscribed."""

    room: Any
    identity: str
    messages: list[ServerMessage] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    captions: list[Caption] = field(default_factory=list)
    came: list[float] = field(default_factory=list)
    """When each of the messages did."""
    heard: list[tuple[float, bytes]] = field(default_factory=list)
    """(when it came, 10 ms of 48 kHz mono)."""
    agent_left: bool = False
    tracks: int = 0
    source: Any = None
    publication: Any = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def got(self, kind: type[Any]) -> list[Any]:
        return [m for m in self.messages if isinstance(m, kind)]

    def level(self, seconds: float = 0.2) -> float:
        """RMS of what was heard last."""
        last = b"".join(pcm for _, pcm in self.heard[-round(seconds * 100) :])
        samples = np.frombuffer(last, "<i2").astype(float)
        return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0

    def agent(self) -> Any:
        """The agent's participant, if it is here."""
        from livekit import rtc

        kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        return next((p for p in self.room.remote_participants.values() if p.kind == kind), None)

    def state(self) -> str:
        agent = self.agent()
        return "" if agent is None else agent.attributes.get("lk.agent.state", "")

    async def send(self, message: ClientMessage | dict[str, Any] | bytes) -> None:
        data = message if isinstance(message, bytes) else msgspec.json.encode(message)
        await self.room.local_participant.publish_data(data, topic=TOPIC)

    async def chat(self, text: str) -> None:
        await self.room.local_participant.send_text(text, topic="lk.chat")

    async def publish_microphone(self, *, rate: int = RATE, channels: int = 1) -> None:
        from livekit import rtc

        self.source = rtc.AudioSource(rate, channels, queue_size_ms=1000)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self.source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        self.publication = await self.room.local_participant.publish_track(track, options)

    async def speak(self, pcm: bytes) -> None:
        """At the microphone's rate and channels; returns when nearly all of it went out."""
        from livekit import rtc

        rate, channels = self.source.sample_rate, self.source.num_channels
        size = rate // 50 * channels * 2
        for at in range(0, len(pcm) - size + 1, size):
            frame = rtc.AudioFrame(pcm[at : at + size], rate, channels, rate // 50)
            await self.source.capture_frame(frame)

    def mute(self, muted: bool) -> None:
        (self.publication.track.mute if muted else self.publication.track.unmute)()

    def attach(self) -> None:
        from livekit import rtc

        def data(packet: rtc.DataPacket) -> None:
            if packet.participant is None or packet.participant.kind != rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
                return
            if packet.topic == TOPIC:
                self.messages.append(server_decoder.decode(packet.data))
                self.came.append(time.monotonic())
            elif packet.topic == CLOSED_TOPIC:
                closed = json.loads(packet.data)
                self.closed = (closed["code"], closed["reason"])

        def subscribed(track: Any, publication: Any, participant: Any) -> None:
            if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
                self.tracks += 1
                self._task(self._listen(track))

        def left(participant: Any) -> None:
            if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
                self.agent_left = True

        self.room.on("data_received", data)
        self.room.on("track_subscribed", subscribed)
        self.room.on("participant_disconnected", left)
        self.room.register_text_stream_handler(TOPIC, lambda reader, _: self._task(self._long(reader)))
        self.room.register_text_stream_handler(
            "lk.transcription", lambda reader, who: self._task(self._caption(reader, who))
        )

    def _task(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _long(self, reader: Any) -> None:
        self.messages.append(server_decoder.decode(await reader.read_all()))
        self.came.append(time.monotonic())

    async def _caption(self, reader: Any, sender: str) -> None:
        caption = Caption(sender, dict(reader.info.attributes))
        self.captions.append(caption)
        with suppress(ConnectionError):
            async for text in reader:
                caption.text += text
            caption.attributes = dict(reader.info.attributes)
            caption.closed = True

    async def _listen(self, track: Any) -> None:
        from livekit import rtc

        stream = rtc.AudioStream.from_track(track=track, sample_rate=RATE, num_channels=1, frame_size_ms=10)
        try:
            async for event in stream:
                self.heard.append((time.monotonic(), bytes(event.frame.data)))
        finally:
            await stream.aclose()


@asynccontextmanager
async def room_client(
    server: LiveKitServer,
    room: str = "",
    identity: str = "anna",
    *,
    native: bool = True,
    token: str = "",
    **grants: Any,
) -> AsyncIterator[RoomClient]:
    """With a `token` that somebody else made, or with one for `identity` in `room`."""
    from livekit import rtc

    client = RoomClient(rtc.Room(), identity)
    client.attach()
    token = token or server.token(identity, room, attributes=NATIVE if native else None, **grants)
    await client.room.connect(server.url, token)
    try:
        yield client
    finally:
        await client.room.disconnect()
        for task in list(client.tasks):
            task.cancel()
        await asyncio.gather(*client.tasks, return_exceptions=True)
        if client.source is not None:
            await client.source.aclose()


def agent_token(server: LiveKitServer, room: str, *, ttl_s: float = 600.0) -> str:
    """As LiveKit gives one to the job that it dispatches."""
    from livekit import api

    grants = api.VideoGrants(room_join=True, room=room, agent=True, can_update_own_metadata=True)
    token = api.AccessToken(server.key, server.secret).with_identity("agent").with_grants(grants).with_kind("agent")
    return token.with_ttl(timedelta(seconds=ttl_s)).to_jwt()


class MemorySink:
    """A sink whose time passes when its listener's does. `moved` is called then."""

    def __init__(self, rate: int = RATE) -> None:
        self.rate = rate
        self.moved: Callable[[], None] = lambda: None
        self.listener = Listener(rate, holds=False, report=lambda _turn, _samples: self.moved())

    def queued(self) -> int:
        return self.listener.queued

    async def put(self, piece: Piece) -> None:
        self.listener.take(Audio(piece.turn, piece.sample, piece.pcm))

    def clear_nowait(self) -> None:
        self.listener.empty()


class SinkIncoming(Incoming):
    """The reading half for a transport that is there already."""

    def __init__(self, line: Line, transport: LiveKitTransport, side: ClientSide) -> None:
        hub, peer = RecordingHub(), Peer(kind="livekit", admitted=True)
        super().__init__(hub, line, peer, Limits(), lambda _: transport, time.monotonic)
        self._transport, self._side = transport, side


@dataclass
class Serving:
    stop: Stop
    task: asyncio.Task[str]

    async def over(self) -> str:
        """Why the agent left."""
        await until(self.task.done, "the agent is still in the room")
        return self.task.result()


@asynccontextmanager
async def agent_in(
    server: LiveKitServer, room: str, hub: Hub, settings: RoomSettings | None = None, *, token: str = ""
) -> AsyncIterator[Serving]:
    """The agent serves the room while the block runs."""
    stop = Stop()
    token = token or agent_token(server, room)
    task = asyncio.create_task(serve_room(server.url, token, hub, settings=settings, stop=stop))
    try:
        yield Serving(stop, task)
    finally:
        stop.set()
        done, _ = await asyncio.wait([task], timeout=30)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert done, "the agent did not leave when it was told to"
