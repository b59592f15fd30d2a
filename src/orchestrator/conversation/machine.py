"""The conversation core (skeleton; the rules follow)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from orchestrator.conversation.commands import Command
from orchestrator.conversation.events import Event
from orchestrator.conversation.history import Item


class State(Enum):
    """What the client is told (`TellState`); `value` is the word on the wire."""

    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    BARGED_IN = "barged_in"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class Policy:
    """How the machine decides. Times in `_ms` are milliseconds, in `_s` seconds."""

    endpoint_ms: float = 500
    endpoint_floor: float = 0.5
    endpoint_ceiling: float = 2.5
    final_ms: float = 500
    confirm_ms: float = 700
    resume_ms: float = 600
    stable_ms: float = 200
    hold_max_s: float = 3.0
    grace_s: float = 30.0
    say_queue: int = 8
    trigger_frames: int = 2
    raised_trigger_frames: int = 4
    false_alarm_window_s: float = 5.0
    false_alarm_quiet_s: float = 10.0
    noise_s: float = 8.0
    manual: bool = False
    interruptible: bool = True
    language: str = ""


class Machine:
    def __init__(self, policy: Policy | None = None, history: tuple[Item, ...] = ()) -> None:
        self.policy = policy or Policy()
        self._history = history

    @property
    def state(self) -> State:
        return State.IDLE

    @property
    def history(self) -> tuple[Item, ...]:
        return self._history

    @property
    def turn(self) -> int:
        """The last reply's turn; 0 before the first."""
        return 0

    @property
    def counts(self) -> Mapping[str, int]:
        return MappingProxyType({})

    def handle(self, event: Event, now: float) -> list[Command]:
        raise NotImplementedError

    def next_deadline(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> list[Command]:
        raise NotImplementedError
