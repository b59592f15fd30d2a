"""What waits to be written to a client: control before audio, both bounded. Pure.

Control that exceeds its bound means that the client does not read; the transport closes it. Audio has a bound only as
a guard: downlink asks for `room` first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from orchestrator.messages import Audio, pack_audio

CONTROL_MESSAGES = 1_000
CONTROL_BYTES = 1 << 20
AUDIO_BYTES = 48_000 * 2 * 5


class Kind(Enum):
    TEXT = "text"
    PONG = "pong"
    AUDIO = "audio"


@dataclass(frozen=True, slots=True)
class OutboxStatistics:
    control: int
    audio_bytes: int
    high_water_bytes: int
    overtaken: int
    """Control messages that went out before audio that had waited longer."""


class Outbox:
    """Two queues and one exit. `put_*` say False when the bound is exceeded; nothing was added then."""

    def __init__(self) -> None:
        self._control: deque[tuple[Kind, bytes]] = deque()
        self._audio: deque[Audio] = deque()
        self._control_bytes = self._audio_bytes = self._high = self._overtaken = 0

    def __len__(self) -> int:
        return len(self._control) + len(self._audio)

    @property
    def audio_bytes(self) -> int:
        """PCM waiting, without headers."""
        return self._audio_bytes

    def put_control(self, data: bytes, kind: Kind = Kind.TEXT) -> bool:
        if len(self._control) >= CONTROL_MESSAGES or self._control_bytes + len(data) > CONTROL_BYTES:
            return False
        self._control.append((kind, data))
        self._control_bytes += len(data)
        self._note()
        return True

    def put_audio(self, audio: Audio) -> bool:
        if self._audio_bytes + len(audio.pcm) > AUDIO_BYTES:
            return False
        self._audio.append(audio)
        self._audio_bytes += len(audio.pcm)
        self._note()
        return True

    def pop(self) -> tuple[Kind, bytes] | None:
        if self._control:
            kind, data = self._control.popleft()
            self._control_bytes -= len(data)
            self._overtaken += bool(self._audio)
            return kind, data
        if self._audio:
            audio = self._audio.popleft()
            self._audio_bytes -= len(audio.pcm)
            return Kind.AUDIO, pack_audio(audio)
        return None

    def drop_audio(self, turn: int | None = None) -> None:
        """All of `turn`, or everything."""
        self._audio = deque(a for a in self._audio if turn is not None and a.turn != turn)
        self._audio_bytes = sum(len(a.pcm) for a in self._audio)

    def drop_control(self) -> None:
        self._control.clear()
        self._control_bytes = 0

    def statistics(self) -> OutboxStatistics:
        return OutboxStatistics(len(self._control), self._audio_bytes, self._high, self._overtaken)

    def _note(self) -> None:
        self._high = max(self._high, self._control_bytes + self._audio_bytes)
