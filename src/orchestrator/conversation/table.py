"""The transitions: in which phase what may happen, which rule says what then, and where that may lead.

One line a rule, read from left to right: what happens | in which phases | the rule | the phases it may lead to. STAY:
the phase stays as it is. A pair that is missing here cannot happen; if it does, that is our bug and raises. News of an
old utterance or turn never gets here.

docs/conversation.md has the diagram, made from this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from orchestrator.conversation import rules_client as client
from orchestrator.conversation import rules_early as early
from orchestrator.conversation import rules_reply as reply
from orchestrator.conversation import rules_speech as speech
from orchestrator.conversation.core import Core
from orchestrator.conversation.events import (
    Asked,
    FinalHeard,
    FirstAudio,
    InputChanged,
    Interrupted,
    Opened,
    PartialHeard,
    PolicyChanged,
    RecognitionDelayed,
    RecognitionFailed,
    ReplyAnswering,
    ReplyEnded,
    ReplyFailed,
    ReplyLoading,
    ReplyStopped,
    Said,
    SessionEnded,
    SpeechEnded,
    SpeechStarted,
    ToolHappened,
    TransportBack,
    TransportLost,
    TurnCancelled,
    TurnCommitted,
    TurnJudged,
)
from orchestrator.conversation.states import Phase, Timer

E = TypeVar("E")

Happens = type | Timer


@dataclass(frozen=True, slots=True)
class Rule:
    do: Callable[[Core, object, float], None]
    to: frozenset[Phase]


IDLE, LISTENING, THINKING, WITHHELD = Phase.IDLE, Phase.LISTENING, Phase.THINKING, Phase.WITHHELD
SPEAKING, BARGED_IN, STOPPING, TERMINATED = Phase.SPEAKING, Phase.BARGED_IN, Phase.STOPPING, Phase.TERMINATED

STAY: tuple[Phase, ...] = ()
FREE = (IDLE, LISTENING)
"""No reply."""
HELD = (WITHHELD, BARGED_IN)
LIVE = (THINKING, WITHHELD, SPEAKING, BARGED_IN)
OPEN = (IDLE, LISTENING, THINKING, WITHHELD, SPEAKING, BARGED_IN, STOPPING)

_table: dict[Happens, dict[Phase, Rule]] = {}


def _add(what: Happens, at: Iterable[Phase], do: Callable[[Core, object, float], None], to: Iterable[Phase]) -> None:
    for phase in at:
        if phase in _table.setdefault(what, {}):
            raise RuntimeError(f"two rules for {what} in {phase.name}")
        _table[what][phase] = Rule(do, frozenset(to) or frozenset({phase}))


def _on(
    event: type[E], at: Iterable[Phase], rule: Callable[[Core, E, float], None], to: Iterable[Phase] = STAY
) -> None:
    def do(core: Core, happened: object, now: float) -> None:
        if not isinstance(happened, event):
            raise TypeError(f"{type(happened).__name__} where {event.__name__} was looked up")
        rule(core, happened, now)

    _add(event, at, do, to)


def _when(timer: Timer, at: Iterable[Phase], rule: Callable[[Core, float], None], to: Iterable[Phase] = STAY) -> None:
    _add(timer, at, lambda core, _, now: rule(core, now), to)


def _on_news(event: type[E], rule: Callable[[Core, E, float], None]) -> None:
    """News of an utterance: it may decide whether the reply is resumed or stopped, in any phase."""
    _on(event, (IDLE,), rule, (IDLE, LISTENING))
    _on(event, (LISTENING, STOPPING), rule)
    _on(event, (THINKING,), rule, (THINKING, STOPPING))
    _on(event, (WITHHELD,), rule, (WITHHELD, THINKING, STOPPING))
    _on(event, (SPEAKING,), rule, (SPEAKING, STOPPING))
    _on(event, (BARGED_IN,), rule, (BARGED_IN, SPEAKING, STOPPING))


# fmt: off
# --- the user speaks --------------------------------------------------------------------------------
_on(SpeechStarted, (IDLE,), speech.speech_starts, (LISTENING,))
_on(SpeechStarted, (LISTENING, STOPPING), speech.speech_starts)
_on(SpeechStarted, (THINKING,), speech.speech_over_reply, (THINKING, WITHHELD))
_on(SpeechStarted, (SPEAKING,), speech.speech_over_reply, (SPEAKING, BARGED_IN))
_on(SpeechStarted, HELD, speech.speech_over_reply)
_on_news(SpeechEnded, speech.speech_ends)
_on_news(PartialHeard, speech.partial)
_on_news(FinalHeard, speech.final)
_on_news(RecognitionFailed, speech.failed)
_on(RecognitionDelayed, OPEN, speech.delayed)
_on(TurnJudged, OPEN, speech.judged)

_when(Timer.JUDGE, (THINKING,), speech.judge, (THINKING, STOPPING))
_when(Timer.JUDGE, (WITHHELD,), speech.judge, (WITHHELD, THINKING, STOPPING))
_when(Timer.JUDGE, (SPEAKING,), speech.judge, (SPEAKING, STOPPING))
_when(Timer.JUDGE, (BARGED_IN,), speech.judge, (BARGED_IN, SPEAKING, STOPPING))
_when(Timer.HOLD_MAX, (WITHHELD,), speech.hold_is_over, (THINKING,))
_when(Timer.HOLD_MAX, (BARGED_IN,), speech.hold_is_over, (SPEAKING,))
_when(Timer.NOISE, (LISTENING,), speech.noise, (LISTENING, IDLE))
_when(Timer.NOISE, (WITHHELD,), speech.noise, (WITHHELD, THINKING))
_when(Timer.NOISE, (BARGED_IN,), speech.noise, (BARGED_IN, SPEAKING))
_when(Timer.NOISE, (IDLE, THINKING, SPEAKING, STOPPING), speech.noise)
_when(Timer.ENDPOINT, (LISTENING,), speech.turn_ends, (THINKING, WITHHELD, STOPPING, LISTENING, IDLE))
_when(Timer.WORDLESS, (LISTENING,), speech.sound_without_words, (LISTENING, IDLE))
_when(Timer.OWED, (IDLE,), speech.nothing_came)
_when(Timer.TURN_MAX, (LISTENING,), speech.turn_too_long, (THINKING, IDLE))
_when(Timer.QUIET, OPEN, speech.quiet)

# --- the reply --------------------------------------------------------------------------------
_when(Timer.READY, (IDLE,), reply.start_next, (THINKING,))
_when(Timer.READY, (LISTENING,), reply.start_next, (THINKING, WITHHELD, STOPPING))
_on(ReplyLoading, (THINKING, WITHHELD), reply.loading)
_on(ReplyLoading, (SPEAKING, BARGED_IN, STOPPING), reply.ignored)
_on(ReplyAnswering, (THINKING,), reply.answering, (THINKING, STOPPING))
_on(ReplyAnswering, (WITHHELD,), reply.answering, (WITHHELD, THINKING, STOPPING))
_on(ReplyAnswering, (SPEAKING, BARGED_IN, STOPPING), reply.ignored)
_on(FirstAudio, (THINKING,), reply.first_audio, (SPEAKING, STOPPING))
_on(FirstAudio, (WITHHELD,), reply.first_audio, (BARGED_IN,))
_on(FirstAudio, (STOPPING,), reply.first_audio)
_on(ReplyEnded, (THINKING, SPEAKING), reply.ended, (IDLE, LISTENING))
_on(ReplyEnded, HELD, reply.ended, (LISTENING,))
_on(ReplyEnded, (STOPPING,), reply.ended_while_stopping, (IDLE, LISTENING))
_on(ReplyStopped, (STOPPING,), reply.stopped, (IDLE, LISTENING))
_on(ReplyFailed, (THINKING, SPEAKING), reply.failed, (IDLE, LISTENING))
_on(ReplyFailed, HELD, reply.failed, (LISTENING,))
_on(ReplyFailed, (STOPPING,), reply.failed_while_stopping, (IDLE, LISTENING))
_on(ToolHappened, (LISTENING, *LIVE, STOPPING), reply.tool_happened)

# --- a reply that was begun early --------------------------------------------------------------------------------
_when(Timer.EARLY, (LISTENING,), early.begin)
_when(Timer.HEAD_START, (LISTENING,), early.expect)
_on(ReplyLoading, (LISTENING,), early.loading)
_on(ReplyAnswering, (LISTENING,), early.answering)
_on(ReplyFailed, (LISTENING,), early.failed)

# --- the client --------------------------------------------------------------------------------
_on(Opened, (IDLE,), client.opened, (IDLE, THINKING))
_on(Asked, (IDLE,), client.asked)
_on(Asked, (LISTENING,), client.asked, (IDLE, LISTENING))
_on(Asked, (THINKING,), client.asked, (THINKING, STOPPING))
_on(Asked, (WITHHELD,), client.asked, (WITHHELD, THINKING, STOPPING))
_on(Asked, (SPEAKING,), client.asked, (SPEAKING, STOPPING))
_on(Asked, (BARGED_IN,), client.asked, (BARGED_IN, STOPPING))
_on(Asked, (STOPPING,), client.asked)
_on(Said, OPEN, client.said)
_on(Interrupted, LIVE, client.interrupted, (STOPPING,))
_on(Interrupted, (*FREE, STOPPING), client.nothing_to_interrupt)
_on(TurnCommitted, OPEN, client.committed)
_on(InputChanged, OPEN, client.input_changed)
_on(TurnCancelled, FREE, client.cancelled, (IDLE,))
_on(TurnCancelled, (THINKING, WITHHELD), client.cancelled, (THINKING,))
_on(TurnCancelled, (SPEAKING, BARGED_IN), client.cancelled, (SPEAKING,))
_on(TurnCancelled, (STOPPING,), client.cancelled)
_on(PolicyChanged, OPEN, client.policy_changed)
_on(TransportLost, OPEN, client.transport_lost)
_on(TransportBack, OPEN, client.transport_back)
_on(SessionEnded, OPEN, client.session_ended, (TERMINATED,))
_when(Timer.GRACE, OPEN, client.grace_is_over, (TERMINATED,))
# fmt: on

TABLE: Mapping[Happens, Mapping[Phase, Rule]] = MappingProxyType(_table)
"""What happens × phase → the rule. Nothing happens in TERMINATED: see `Machine.handle`."""
