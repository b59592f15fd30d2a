"""One connection to a room: the agent's track, who is there, what comes. Only this module and frames.py touch the SDK.

Nothing is subscribed to but the user's microphone: video, and what others say, is never sent here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from livekit import rtc
from livekit.rtc.participant import PublishTrackError

from base.audio import BYTES_PER_SAMPLE
from base.errors import Denied, Unavailable
from base.log import get_logger
from orchestrator.tokens import key_of_room
from orchestrator.transports.livekit.attendance import Person
from orchestrator.transports.livekit.captioner import Writer
from orchestrator.transports.livekit.frames import TrackFrames
from orchestrator.transports.livekit.playout import QUEUE_S
from orchestrator.transports.livekit.settings import CLOSED_TOPIC, PROTOCOL_ATTRIBUTE, RATE, TOPIC, RoomSettings
from orchestrator.transports.livekit.sink import SourceSink

log = get_logger("livekit")

CHAT = "lk.chat"
STATE = "lk.agent.state"
BEHALF = "lk.publish_on_behalf"
CONNECT_S = 5.0
CLOSE_S = 3.0
HUMAN = (
    rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
    rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
    rtc.ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
)
OVER = (
    rtc.DisconnectReason.CLIENT_INITIATED,
    rtc.DisconnectReason.DUPLICATE_IDENTITY,
    rtc.DisconnectReason.PARTICIPANT_REMOVED,
    rtc.DisconnectReason.ROOM_DELETED,
    rtc.DisconnectReason.ROOM_CLOSED,
)
"""After these there is nothing to come back to, or it is not wanted."""
NO_MEDIA = "wait_pc_connection"
"""What the SDK says of a room whose signalling it reached and nothing else."""
REFUSED = ("401", "403", "invalid token", "unauthorized", "permission")


class Events(Protocol):
    """What happens in the room. None of these waits."""

    def joined_nowait(self, person: Person) -> None: ...

    def ready_nowait(self, person: Person) -> None: ...

    def left_nowait(self, identity: str) -> None: ...

    def subscribed_nowait(self) -> None:
        """Somebody has our track."""
        ...

    def tracks_nowait(self, identity: str) -> None:
        """Something about somebody's tracks changed."""
        ...

    def data_nowait(self, identity: str, data: bytes) -> None:
        """`identity` is empty when LiveKit has not told yet of who sent it."""
        ...

    def stream_nowait(self, identity: str, stream: TextStream) -> None: ...

    def down_nowait(self) -> None:
        """The connection is lost; the SDK tries to get it back."""
        ...

    def up_nowait(self) -> None: ...

    def gone_nowait(self, reason: str, over: bool) -> None:
        """The connection is lost for good; `over`: so is the room."""
        ...


class TextStream:
    """One that comes in. `chat`: typed by a person, else a message of the protocol."""

    def __init__(self, reader: rtc.TextStreamReader, *, chat: bool) -> None:
        self._reader = reader
        self.chat = chat

    async def read(self, most: int) -> str | None:
        """All of it; None when it is longer than `most` bytes, or breaks off."""
        parts: list[str] = []
        size = 0
        try:
            async for part in self._reader:
                size += len(part.encode(errors="replace"))
                if size > most:
                    return None
                parts.append(part)
        except rtc.StreamError as error:
            log.debug("livekit.stream_broken", error=str(error))
            return None
        finally:
            self._reader.close()
        return "".join(parts)

    def drop(self) -> None:
        self._reader.close()


class Microphone:
    """The user's published microphone, as it is now."""

    def __init__(self, publication: rtc.RemoteTrackPublication) -> None:
        self._publication = publication
        self.sid = publication.sid
        self.muted = publication.muted
        self.track = publication.track

    def subscribe(self) -> None:
        if not self._publication.subscribed:
            self._publication.set_subscribed(True)


class Connection:
    """A room that was joined, with the agent's track published in it."""

    def __init__(self, room: rtc.Room, source: rtc.AudioSource, events: Events, clock: Callable[[], float]) -> None:
        self._room = room
        self._source = source
        self._events = events
        self._me: rtc.LocalTrackPublication | None = None
        self.sink = SourceSink(RATE, self._capture, self._clear, clock)
        self._listen()

    # --- who and what is there --------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._room.name

    @property
    def key(self) -> str:
        """The id of the access key behind the room; empty: none."""
        return key_of_room(self._room.metadata or "")

    @property
    def identity(self) -> str:
        return self._room.local_participant.identity

    @property
    def token(self) -> str:
        """What the room can be joined with again: LiveKit renews it while we are in."""
        return self._room._token or ""

    @property
    def track(self) -> str:
        """The id of the agent's track."""
        return "" if self._me is None else self._me.sid

    def people(self) -> list[Person]:
        return [_person(each) for each in self._room.remote_participants.values()]

    def microphone(self, identity: str) -> Microphone | None:
        """The one that somebody published last, if any."""
        participant = self._room.remote_participants.get(identity)
        if participant is None:
            return None
        found = [each for each in participant.track_publications.values() if _is_microphone(each)]
        named = [each for each in found if each.source == rtc.TrackSource.SOURCE_MICROPHONE]
        return Microphone((named or found)[-1]) if found else None

    # --- in ---------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def listening(self, track: rtc.RemoteTrack, take: Callable[[bytes], None]) -> AsyncIterator[TrackFrames]:
        """`take` is given 20 ms frames of 16 kHz mono while the block runs; what is yielded waits for the track's end.

        Raises ConnectionError when the track is gone.
        """
        frames = TrackFrames(track, take, asyncio.get_running_loop())
        try:
            yield frames
        finally:
            await frames.close()

    # --- out --------------------------------------------------------------------------------------------------------

    async def publish(self, data: bytes, identity: str, most: int) -> None:
        """One message of the protocol to one participant. Raises ConnectionError."""
        me = self._room.local_participant
        try:
            if len(data) <= most:
                await me.publish_data(data, topic=TOPIC, destination_identities=[identity])
            else:
                await me.send_text(data.decode(), topic=TOPIC, destination_identities=[identity], compress=False)
        except Exception as error:  # the SDK's errors have no common class
            raise ConnectionError(f"LiveKit did not take a message: {error}") from error

    async def publish_closed(self, data: bytes, identity: str) -> None:
        """Raises ConnectionError."""
        try:
            await self._room.local_participant.publish_data(data, topic=CLOSED_TOPIC, destination_identities=[identity])
        except Exception as error:
            raise ConnectionError(f"LiveKit did not take a message: {error}") from error

    async def open(self, topic: str, attributes: dict[str, str], sender: str) -> Writer:
        try:
            return await self._room.local_participant.stream_text(
                topic=topic, attributes=attributes, sender_identity=sender
            )
        except Exception as error:
            raise ConnectionError(f"LiveKit did not take a text stream: {error}") from error

    async def announce(self, state: str) -> None:
        await self._room.local_participant.set_attributes({STATE: state})

    async def _capture(self, pcm: bytes) -> None:
        frame = rtc.AudioFrame(pcm, RATE, 1, len(pcm) // BYTES_PER_SAMPLE)
        try:
            await self._source.capture_frame(frame)
        except Exception as error:
            raise ConnectionError(f"LiveKit took no audio: {error}") from error

    def _clear(self) -> None:
        self._source.clear_queue()

    # --- the connection ---------------------------------------------------------------------------------------------

    async def publish_track(self) -> None:
        track = rtc.LocalAudioTrack.create_audio_track("agent", self._source)
        # Both are on unless said otherwise. Redundant packets (RED) cost 45 ms a way in the listener's jitter buffer.
        # With DTX nothing is sent in silence, and the buffer keeps the length that it had when the last reply ended.
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, red=False, dtx=False)
        self._me = await self._room.local_participant.publish_track(track, options)

    def _listen(self) -> None:
        room, events = self._room, self._events

        def tracks(*args: object) -> None:
            for each in args:
                if isinstance(each, rtc.RemoteParticipant):
                    events.tracks_nowait(each.identity)

        room.on("participant_connected", lambda p: events.joined_nowait(_person(p)))
        room.on("participant_active", lambda p: events.ready_nowait(_person(p)))
        room.on("participant_disconnected", lambda p: events.left_nowait(p.identity))
        room.on("local_track_subscribed", lambda _: events.subscribed_nowait())
        for name in ("published", "unpublished", "subscribed", "unsubscribed", "muted", "unmuted"):
            room.on(f"track_{name}", tracks)  # type: ignore[arg-type]
        room.on("data_received", self._data)
        room.on("reconnecting", lambda: events.down_nowait())
        room.on("reconnected", lambda: events.up_nowait())
        room.on("disconnected", self._gone)
        room.register_text_stream_handler(TOPIC, lambda reader, who: self._stream(reader, who, chat=False))
        room.register_text_stream_handler(CHAT, lambda reader, who: self._stream(reader, who, chat=True))

    def _data(self, packet: rtc.DataPacket) -> None:
        if packet.topic == TOPIC:
            self._events.data_nowait(packet.participant.identity if packet.participant else "", packet.data)

    def _stream(self, reader: rtc.TextStreamReader, identity: str, *, chat: bool) -> None:
        self._events.stream_nowait(identity, TextStream(reader, chat=chat))

    def _gone(self, reason: rtc.DisconnectReason.ValueType) -> None:
        self._events.gone_nowait(rtc.DisconnectReason.Name(reason).lower(), reason in OVER)


@asynccontextmanager
async def joined(
    url: str, token: str, events: Events, settings: RoomSettings, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[Connection]:
    """In the room while the block runs. Raises Denied for a token that LiveKit refuses, Unavailable for all else."""
    room = rtc.Room()
    source = rtc.AudioSource(RATE, 1, queue_size_ms=round(QUEUE_S * 1000))
    connection = Connection(room, source, events, clock)
    options = rtc.RoomOptions(
        auto_subscribe=False,
        connect_timeout=CONNECT_S,
        single_peer_connection=False,  # left unsaid it is one, and the track is there 100 ms later
        data_stream=rtc.DataStreamOptions(max_payload_byte_length=settings.limits.message_bytes),
    )
    # A connect that is left alone half way would leave a participant that nobody has a hold of.
    connecting = asyncio.ensure_future(room.connect(url, token, options))
    try:
        try:
            await asyncio.shield(connecting)
            await connection.publish_track()
        except asyncio.CancelledError:
            await asyncio.wait([connecting])
            raise
        except rtc.ConnectError as error:
            raise _refusal(url, error.message) from error
        except PublishTrackError as error:
            raise Unavailable(f"LiveKit at {url} takes no track of ours: {error.message}") from error
        yield connection
    finally:
        if connecting.done() and not connecting.cancelled() and connecting.exception() is None:
            await _leave(room)
        await source.aclose()


async def _leave(room: rtc.Room) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await room.disconnect()


def _refusal(url: str, message: str) -> Denied | Unavailable:
    if any(word in message.lower() for word in REFUSED):
        return Denied(f"LiveKit at {url} refuses the agent's token: {message}", reason="TOKEN_REFUSED")
    if NO_MEDIA in message:
        return Unavailable(
            f"LiveKit at {url} answers, but no media get through: its ports (rtc.udp_port, rtc.tcp_port) have "
            f"to be reached from here, at the address that it tells (rtc.node_ip); {message}",
            reason="LIVEKIT_MEDIA",
            retry_after_s=1.0,
        )
    return Unavailable(f"LiveKit at {url} cannot be joined: {message}", reason="LIVEKIT_AWAY", retry_after_s=1.0)


def _person(participant: rtc.RemoteParticipant) -> Person:
    attributes = participant.attributes
    return Person(
        participant.identity,
        human=participant.kind in HUMAN and BEHALF not in attributes,
        native=PROTOCOL_ATTRIBUTE in attributes,
        ready=participant.state == rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE,
    )


def _is_microphone(publication: rtc.RemoteTrackPublication) -> bool:
    return publication.kind == rtc.TrackKind.KIND_AUDIO and publication.source in (
        rtc.TrackSource.SOURCE_MICROPHONE,
        rtc.TrackSource.SOURCE_UNKNOWN,
    )
