"""A simulated user in a LiveKit room: the microphone and scenes of `benchmarks.listener`, over WebRTC.

As the page does, it falls silent when it is told to hold, whatever is on its way to it still, and plays that first when
the reply goes on; of a reply that is cleared it plays nothing more.

`sdk.py` has one with LiveKit's own client (libwebrtc, as in a browser), `crew.py` many in a program of Go. What it
hears is decoded audio, a block at a time. Which turn a sound belongs to is not in the audio; the last turn that the
server named is taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta

from livekit import api, rtc

from base.audio import BYTES_PER_SAMPLE
from benchmarks.listener import Listener, Lost
from benchmarks.sound import Block, first_audible, last_audible
from orchestrator import messages as m

TOPIC = "antiphon"
RATE = 48_000
QUIET_S = 0.15
"""Silence of this length is between two replies, not within one."""
OPEN_S = 20.0
AGAIN_S = 0.5
GAP_S = 0.02
"""So long nothing sounds between a reply that was cleared and the next."""
LATE_S = 0.3
"""What was cleared has come by then."""
OPTIONS = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, red=False, dtx=False)
"""As the page does: redundant packets cost 45 ms in the listener's jitter buffer; without DTX it learns in silence."""


def token(key: str, secret: str, room: str, identity: str) -> str:
    """For a client that speaks our protocol."""
    grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
    made = api.AccessToken(key, secret).with_identity(identity).with_grants(grants).with_ttl(timedelta(hours=1))
    return made.with_attributes({"antiphon.protocol": "1"}).to_jwt()


class Guest(Listener):
    """See the module. `joined_s`, `agent_s`: when it had joined, and when it could hear somebody's track.

    Whoever makes one says how it joins and leaves, and what its devices are.
    """

    def __init__(self, start: m.SessionStart, *, clock: Callable[[], float], keep_messages: bool = True) -> None:
        super().__init__(start, clock=clock, keep_messages=keep_messages)
        self.asked_s = self.joined_s = self.agent_s = 0.0
        self.late: list[float] = []
        """How late the microphone's frames left, seconds."""
        self._turn = 0
        self._audible_s = float("-inf")
        self._held = False
        self._kept: list[bytes] = []
        """What came while it was held, and sounded."""
        self._cleared_s = float("-inf")
        self._gap_s = 0.0

    async def join(self, address: str, token: str) -> None:
        """The room, without a session. Raises Lost."""
        raise NotImplementedError

    async def leave(self) -> None:
        raise NotImplementedError

    def agent_is_here(self) -> bool:
        return self.agent_s > 0

    def surround(self, frames: list[bytes]) -> None:
        """What the microphone hears when nothing is said, over and over."""
        self.room = frames

    async def open(self, address: str, token: str = "") -> m.SessionStarted:
        await self.join(address, token)
        deadline = self._clock() + OPEN_S
        while (started := self.last(m.SessionStarted)) is None:
            if self.lost or self.fatal() is not None or self._clock() > deadline:
                came = "the agent came, but said nothing" if self.agent_is_here() else "no agent came"
                raise Lost(f"no session in the room: {self.lost or self.fatal() or came}")
            if self.agent_is_here():
                self.send(self.start)
            with contextlib.suppress(Lost):
                await self.until(lambda: self.last(m.SessionStarted) is not None, "session_started", AGAIN_S)
        return started

    def expect(self, turn: int) -> None:
        """The next sound after silence belongs to this turn."""
        self._turn = turn

    def _take(self, kind: int, payload: bytes) -> None:
        super()._take(kind, payload)
        latest = self.log.messages[-1][1] if self.log.messages else None
        if isinstance(latest, m.Reply | m.TurnEnded | m.Hold | m.Resume):
            self._turn = max(self._turn, latest.turn)
        match latest:
            case m.Hold():
                self._held = True
            case m.Resume():
                self._held = False
            case m.Clear():
                self._held = False
                self._kept.clear()
                self._cleared_s, self._gap_s = self._clock(), 0.0

    def heard(self, pcm: bytes, now: float) -> None:
        """A block of the agent's track, which the loudspeaker takes now."""
        sounds = first_audible(pcm) is not None
        if self._held or self._kept:
            if sounds:
                self._kept.append(pcm)
            pcm = self._kept.pop(0) if self._kept and not self._held else bytes(len(pcm))
        elif now - self._cleared_s < LATE_S and self._gap_s < GAP_S:
            self._gap_s = 0.0 if sounds else self._gap_s + len(pcm) / BYTES_PER_SAMPLE / RATE
            pcm = bytes(len(pcm))
        self._take_block(pcm, now)

    def _take_block(self, pcm: bytes, now: float) -> None:
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

    def _report(self) -> None:
        """What counts is where the queue of the agent's track is."""
