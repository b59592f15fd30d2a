"""The machine's states, and the things that time alone can make happen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class State(Enum):
    """What the client is told; the value is the word on the wire."""

    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    BARGED_IN = "barged_in"
    TERMINATED = "terminated"


class Phase(Enum):
    """The rows of the table: `State`, finer where the rules are.

    In THINKING, WITHHELD, SPEAKING and BARGED_IN there is a reply that may sound; in STOPPING one that was told to stop
    and has not answered; in IDLE, LISTENING and TERMINATED there is none.
    """

    IDLE = "idle"
    """Nobody talks."""
    LISTENING = "listening"
    """The user's turn is open."""
    THINKING = "thinking"
    """A reply was started; no sample of it has gone out."""
    WITHHELD = "withheld"
    """THINKING, and somebody speaks: no first sample may go out."""
    SPEAKING = "speaking"
    BARGED_IN = "barged_in"
    """SPEAKING, and somebody speaks: held until it is known whether that was the user."""
    STOPPING = "stopping"
    """StopReply was issued; ReplyStopped has not come. The user may speak meanwhile."""
    TERMINATED = "terminated"


TOLD: Mapping[Phase, State] = MappingProxyType(
    {
        Phase.IDLE: State.IDLE,
        Phase.LISTENING: State.LISTENING,
        Phase.THINKING: State.THINKING,
        Phase.WITHHELD: State.THINKING,
        Phase.SPEAKING: State.SPEAKING,
        Phase.BARGED_IN: State.BARGED_IN,
        Phase.STOPPING: State.LISTENING,
        Phase.TERMINATED: State.TERMINATED,
    }
)

LIVE = frozenset({Phase.THINKING, Phase.WITHHELD, Phase.SPEAKING, Phase.BARGED_IN})
"""Phases with a reply that may sound."""

HELD = frozenset({Phase.WITHHELD, Phase.BARGED_IN})
"""Phases in which somebody's speech holds the reply."""


class Timer(Enum):
    """Deadlines. When several are due at once, the earlier in this list goes first."""

    GRACE = "grace over"
    """The transport has been away for `grace_s`."""
    READY = "something waits"
    """Nothing is in the way of a text to answer, a reply to go on with or a `say`: at once."""
    JUDGE = "verdict due"
    """A word becomes stable, speech has lasted `confirm_ms`, or no final came within `resume_ms`."""
    HOLD_MAX = "hold_max_s over"
    NOISE = "noise_s without a word"
    ENDPOINT = "endpoint"
    """The user's turn ends: the endpoint passed and the finals are in, or `final_ms` passed as well."""
    WORDLESS = "sound, no words"
    """Sound without words has kept the user's turn open for as long as it may."""
    OWED = "owed_s over"
    """No final came of a turn without words, and nobody said anything since: the user is told."""
    TURN_MAX = "turn_max_s over"
    EARLY = "early start"
    """What the user said so far is stable and reads as complete: its answer may be begun."""
    HEAD_START = "head start"
    """The user's turn is about to end, and no word of it is owed: its answer is begun, or expected."""
    QUIET = "no false alarms"
    """`false_alarm_quiet_s` without a false alarm: the trigger goes back."""
