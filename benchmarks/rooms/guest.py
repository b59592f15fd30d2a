"""A simulated user in a LiveKit room: the same microphone and scenes as `benchmarks.listener`, over WebRTC.

What it hears is decoded audio as WebRTC gives it, `block_ms` at a time: a block sounds when it came. Which turn a sound
belongs to is not in the audio; the last turn that the server named is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta

from livekit import api, rtc

from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE
from benchmarks.listener import Listener, Lost
from benchmarks.sound import Block, first_audible, last_audible
from benchmarks.websocket import BINARY, TEXT
from orchestrator import messages as m

TOPIC = "antiphon"
RATE = 48_000
QUIET_S = 0.15
"""Silence of this length is between two replies, not within one."""
AGAIN_S = 0.5
PIECE_BYTES = UPLINK_RATE // 100 * BYTES_PER_SAMPLE
OPTIONS = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, red=False)
"""As the page does: redundant packets cost 45 ms in the listener's jitter buffer."""


def token(key: str, secret: str, room: str, identity: str) -> str:
    """For a client that speaks our protocol."""
    grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
    made = api.AccessToken(key, secret).with_identity(identity).with_grants(grants).with_ttl(timedelta(hours=1))
    return made.with_attributes({"antiphon.protocol": "1"}).to_jwt()


class Guest(Listener):
    """See the module. `joined_s`, `agent_s`: when it had joined, and when it could hear the agent's track."""

    def __init__(
        self, start: m.SessionStart, *, clock: Callable[[], float], keep_messages: bool = True, block_ms: int = 10
    ) -> None:
        super().__init__(start, clock=clock, keep_messages=keep_messages)
        self.room_ = rtc.Room()
        self.asked_s = self.joined_s = self.agent_s = 0.0
        self.late: list[float] = []
        """How late the microphone's frames left, seconds."""
        # Without a queue, as a browser's microphone: what comes goes out, 10 ms at a time.
        self._source = rtc.AudioSource(UPLINK_RATE, 1, queue_size_ms=0)
        self._frames: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(50)
        self._texts: asyncio.Queue[bytes] = asyncio.Queue(1000)
        self._turn = 0
        self._due_s = 0.0
        self._block_ms = block_ms
        self._audible_s = float("-inf")
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, address: str, token: str = "") -> m.SessionStarted:
        await self.join(address, token)
        deadline = self._clock() + 20.0
        while (started := self.last(m.SessionStarted)) is None:
            if self.lost or self.fatal() is not None or self._clock() > deadline:
                raise Lost(f"no session in the room: {self.lost or self.fatal() or 'nothing came'}")
            if self._agent() is not None:
                self.send(self.start)
            with contextlib.suppress(Lost):
                await self.until(lambda: self.last(m.SessionStarted) is not None, "session_started", AGAIN_S)
        return started

    async def join(self, address: str, token: str) -> None:
        """The room, without a session."""
        loop = asyncio.get_running_loop()
        room = self.room_
        room.on("data_received", self._data)
        room.on("track_subscribed", self._track)
        room.on("disconnected", lambda reason: self._gone(f"the room ended ({reason})"))
        self.asked_s = self._clock()
        await room.connect(address, token, rtc.RoomOptions(single_peer_connection=False))
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

    def _agent(self) -> rtc.RemoteParticipant | None:
        kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        return next((p for p in self.room_.remote_participants.values() if p.kind == kind), None)

    def _data(self, packet: rtc.DataPacket) -> None:
        if packet.topic == TOPIC:
            self._take(TEXT, packet.data)

    def _take(self, kind: int, payload: bytes) -> None:
        super()._take(kind, payload)
        latest = self.log.messages[-1][1] if self.log.messages else None
        if isinstance(latest, m.Reply | m.TurnEnded):
            self._turn = max(self._turn, latest.turn)

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

    def heard(self, pcm: bytes, now: float) -> None:
        """What the loudspeaker takes now."""
        if self.listening:
            self.log.blocks.append(Block(now, pcm))
        index = first_audible(pcm)
        if index is None:
            return
        if now - self._audible_s > QUIET_S and self._turn not in self.log.first_sound_s:
            self.log.first_frame_s[self._turn] = self.log.first_sound_s[self._turn] = now + index / RATE
            self._wake()
        last = last_audible(pcm)
        self._audible_s = now + (last or 0) / RATE
        self.log.ended_s = self._audible_s
        self.log.played += len(pcm) // BYTES_PER_SAMPLE

    def hear(self, taken_s: float) -> None:
        """WebRTC has a clock of its own."""


class _Wire:
    """What a Listener writes to."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def send(self, kind: int, payload: bytes) -> None:
        self._guest.put(kind, payload)

    def close(self) -> None: ...
