"""A user with LiveKit's own client: libwebrtc and its jitter buffer, as a browser's.

Several in one process are late together: the client gives every event of a process to each of its streams.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from livekit import rtc

from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE
from benchmarks.listener import Lost
from benchmarks.rooms.guest import OPTIONS, RATE, TOPIC, Guest
from benchmarks.websocket import BINARY, TEXT
from orchestrator import messages as m

PIECE_BYTES = UPLINK_RATE // 100 * BYTES_PER_SAMPLE


class SdkGuest(Guest):
    """What it hears comes `block_ms` at a time: a block sounds when it came."""

    def __init__(
        self, start: m.SessionStart, *, clock: Callable[[], float], keep_messages: bool = True, block_ms: int = 10
    ) -> None:
        super().__init__(start, clock=clock, keep_messages=keep_messages)
        self.room_ = rtc.Room()
        # Without a queue, as a browser's microphone: what comes goes out, 10 ms at a time.
        self._source = rtc.AudioSource(UPLINK_RATE, 1, queue_size_ms=0)
        self._frames: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(50)
        self._texts: asyncio.Queue[bytes] = asyncio.Queue(1000)
        self._due_s = 0.0
        self._block_ms = block_ms
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self, address: str, token: str) -> None:
        loop = asyncio.get_running_loop()
        room = self.room_
        room.on("data_received", self._data)
        room.on("track_subscribed", self._track)
        room.on("disconnected", lambda reason: self._gone(f"the room ended ({reason})"))
        self.asked_s = self._clock()
        try:
            await room.connect(address, token, rtc.RoomOptions(single_peer_connection=False))
        except rtc.ConnectError as error:
            raise Lost(f"the room could not be joined: {error.message}") from error
        self.joined_s = self._clock()
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        await room.local_participant.publish_track(track, OPTIONS)
        self._connection = _Wire(self)  # type: ignore[assignment]
        self._tasks += [loop.create_task(self._speak()), loop.create_task(self._write())]

    def close(self) -> None:
        super().close()
        for task in self._tasks:
            task.cancel()

    async def leave(self) -> None:
        self.close()
        await self.room_.disconnect()

    def agent_is_here(self) -> bool:
        kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        return any(p.kind == kind for p in self.room_.remote_participants.values())

    # --- upward -------------------------------------------------------------------------------------------------------

    def put(self, kind: int, payload: bytes) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            if kind == TEXT:
                self._texts.put_nowait(payload)
            elif kind == BINARY:
                self._frames.put_nowait((self._due_s, payload[m.HEADER.size :]))

    def speak(self, due_s: float) -> None:
        self._due_s = due_s
        super().speak(due_s)

    async def _speak(self) -> None:
        while True:
            due_s, pcm = await self._frames.get()
            self.late.append(self._clock() - due_s)
            for at in range(0, len(pcm), PIECE_BYTES):
                piece = pcm[at : at + PIECE_BYTES]
                await self._source.capture_frame(rtc.AudioFrame(piece, UPLINK_RATE, 1, len(piece) // BYTES_PER_SAMPLE))

    async def _write(self) -> None:
        while True:
            payload = await self._texts.get()
            await self.room_.local_participant.publish_data(payload, reliable=True, topic=TOPIC)

    # --- downward -----------------------------------------------------------------------------------------------------

    def _data(self, packet: rtc.DataPacket) -> None:
        if packet.topic == TOPIC:
            self._take(TEXT, packet.data)

    def _track(self, track: rtc.Track, _publication: object, _participant: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self.agent_s = self.agent_s or self._clock()
            self._tasks.append(asyncio.get_running_loop().create_task(self._hear(track)))

    async def _hear(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=self._block_ms, capacity=100)
        try:
            async for event in stream:
                self.heard(bytes(event.frame.data), self._clock())
        finally:
            await stream.aclose()


class _Wire:
    """What a Listener writes to."""

    def __init__(self, guest: SdkGuest) -> None:
        self._guest = guest

    def send(self, kind: int, payload: bytes) -> None:
        self._guest.put(kind, payload)

    def close(self) -> None: ...
