"""One reply as the machine sees it, and the trigger that false alarms raise. Pure bookkeeping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from orchestrator.conversation.commands import Cause, Interruption
from orchestrator.conversation.history import Item
from orchestrator.conversation.policy import Policy
from orchestrator.conversation.words import words


class Why(Enum):
    """Why a reply is held."""

    SPEECH = "speech"
    AWAY = "away"
    """There is no transport."""


@dataclass(slots=True)
class Stop:
    """How a reply was told to stop."""

    reason: str
    voice: bool
    """By the user's voice: if no real words come of it, what was stopped goes on."""
    withdraw: bool
    """Before its first sample: if nothing was heard, it never was, and the user's turn is open again."""
    discard: bool = False
    """The user's words that it was to answer were cancelled."""


@dataclass(slots=True)
class Reply:
    turn: int
    cause: Cause
    text: str
    items: list[Item]
    """What it answers, and tools. Becomes history with it, or is taken back if the reply is withdrawn."""
    interruptible: bool
    interruption: Interruption | None = None
    """What its start carried, for the one that replaces it if it is withdrawn."""
    sounding: bool = False
    loading: bool = False
    superseded: bool = False
    """The user said more while its model loads: to be stopped as soon as that cannot waste the loading."""
    holds: set[Why] = field(default_factory=set)
    held_since_s: float = 0.0
    false_alarms: int = 0
    stop: Stop | None = None

    @property
    def yields(self) -> bool:
        """Whether speech may hold and stop it. An answer that does not sound yet always makes room for the rest of
        the question."""
        waits = self.cause is Cause.USER and not self.sounding
        return self.interruptible or waits or Why.SPEECH in self.holds


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply that was begun before the user's turn ended, to these words of theirs."""

    reply: Reply
    words: tuple[str, ...]
    what: str
    """How it began, as it is counted: "early", or with a "head" start."""
    due_s: float | None = None
    """When it was said to be due."""

    def answers(self, items: Sequence[str]) -> bool:
        """Whether it is the answer to these items. Punctuation and case are the recogniser's, not the user's."""
        return len(items) == 1 and words(items[0]) == self.words


@dataclass(frozen=True, slots=True)
class Again:
    """What is spoken if the user's turn turns out to have no words."""

    cause: Cause
    text: str = ""


@dataclass(slots=True)
class Trigger:
    """How many VAD frames start an utterance: more of them while there are false alarms."""

    last_s: float | None = None
    raised: bool = False

    def alarm(self, policy: Policy, now: float) -> bool:
        """Takes a false alarm; True if the trigger is to be raised now."""
        raise_now = not self.raised and self.last_s is not None and now - self.last_s <= policy.false_alarm_window_s
        self.last_s = now
        self.raised = self.raised or raise_now
        return raise_now

    def quiet(self, policy: Policy) -> float | None:
        """When the trigger goes back, if it is raised."""
        if not self.raised or self.last_s is None:
            return None
        return self.last_s + policy.false_alarm_quiet_s
