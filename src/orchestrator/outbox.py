"""What waits to be written to a client: control before audio, both bounded. Pure.

Some control overtakes all other: on a connection that takes milliseconds for each, what is to silence the loudspeaker.

A control message is whatever its transport writes; it says itself how large it is. Control that exceeds its bound means
that the client does not read; the transport closes it. Audio has a bound only as a guard: downlink asks for `room`
first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from orchestrator.messages import Audio

CONTROL_MESSAGES = 1_000
CONTROL_BYTES = 1 << 20
AUDIO_BYTES = 48_000 * 2 * 5

Control = TypeVar("Control")


@dataclass(frozen=True, slots=True)
class OutboxStatistics:
    control: int
    audio_bytes: int
    high_water_bytes: int
    overtaken: int
    """Control messages that went out before audio that had waited longer."""


class Outbox(Generic[Control]):
    """Two queues and one exit. `put_*` say False when the bound is exceeded; nothing was added then."""

    def __init__(self) -> None:
        self._control: deque[tuple[Control, int]] = deque()
        self._first: deque[tuple[Control, int]] = deque()
        self._audio: deque[Audio] = deque()
        self._control_bytes = self._audio_bytes = self._high = self._overtaken = 0

    def __len__(self) -> int:
        return len(self._first) + len(self._control) + len(self._audio)

    @property
    def audio_bytes(self) -> int:
        """PCM waiting, without headers."""
        return self._audio_bytes

    def put_control(self, message: Control, size: int, *, first: bool = False) -> bool:
        """`first`: before all control that is not."""
        many = len(self._first) + len(self._control) >= CONTROL_MESSAGES
        if many or self._control_bytes + size > CONTROL_BYTES:
            return False
        (self._first if first else self._control).append((message, size))
        self._control_bytes += size
        self._note()
        return True

    def put_audio(self, audio: Audio) -> bool:
        if self._audio_bytes + len(audio.pcm) > AUDIO_BYTES:
            return False
        self._audio.append(audio)
        self._audio_bytes += len(audio.pcm)
        self._note()
        return True

    def pop(self) -> Control | Audio | None:
        if self._first or self._control:
            message, size = (self._first or self._control).popleft()
            self._control_bytes -= size
            self._overtaken += bool(self._audio)
            return message
        if self._audio:
            audio = self._audio.popleft()
            self._audio_bytes -= len(audio.pcm)
            return audio
        return None

    def drop_audio(self, turn: int | None = None) -> None:
        """All of `turn`, or everything."""
        self._audio = deque(a for a in self._audio if turn is not None and a.turn != turn)
        self._audio_bytes = sum(len(a.pcm) for a in self._audio)

    def drop_control(self) -> None:
        self._first.clear()
        self._control.clear()
        self._control_bytes = 0

    def statistics(self) -> OutboxStatistics:
        return OutboxStatistics(len(self._first) + len(self._control), self._audio_bytes, self._high, self._overtaken)

    def _note(self) -> None:
        self._high = max(self._high, self._control_bytes + self._audio_bytes)
