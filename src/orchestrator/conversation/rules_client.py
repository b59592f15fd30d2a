"""Rules about the client: opening, text, turn commands, the input, the transport, the end."""

from __future__ import annotations

from orchestrator.conversation.commands import (
    Cause,
    EndSession,
    SilenceInput,
    StopReply,
    TellError,
    TellState,
)
from orchestrator.conversation.core import Core
from orchestrator.conversation.events import (
    Asked,
    Input,
    InputChanged,
    Interrupted,
    Opened,
    PolicyChanged,
    Said,
    SessionEnded,
    TransportBack,
    TransportLost,
    TurnCancelled,
    TurnCommitted,
)
from orchestrator.conversation.policy import Policy
from orchestrator.conversation.speech import Commit
from orchestrator.conversation.states import HELD, LIVE, TOLD, Phase
from orchestrator.conversation.turns import Why


def opened(core: Core, event: Opened, now: float) -> None:
    if event.greeting:
        core.start(Cause.SAY, now, text=event.greeting)
    elif event.greet:
        core.start(Cause.GREETING, now)


def policy_changed(core: Core, event: PolicyChanged, now: float) -> None:
    if not isinstance(event.policy, Policy):
        raise TypeError(f"PolicyChanged carries a {type(event.policy).__name__}; it must be a Policy")
    core.drop_draft()  # whatever changed, the next reply is to have it
    core.next_policy = event.policy
    if event.another:
        core.unproven = core.turn
    if core.phase is Phase.IDLE:
        core.adopt_policy()


# --- text --------------------------------------------------------------------------------------------------------


def asked(core: Core, event: Asked, now: float) -> None:
    """What was said so far is committed, the reply stopped, the text answered."""
    text = event.text.strip()
    if not text:
        core.emit(TellError("empty_text", "The text to answer has nothing in it; send at least one word."))
        return
    if len(core.asked) >= core.policy.say_queue:
        message = f"{len(core.asked)} texts already wait for an answer; wait for turn_finished before asking more."
        core.emit(TellError("queue_full", message))
        return
    spoken = core.spoken_so_far()
    core.asked += [spoken, text] if spoken else [text]
    if core.phase in LIVE:
        _make_way(core)
    elif core.phase is Phase.STOPPING:
        core.stopping.voice = core.stopping.withdraw = False
    else:
        core.phase = Phase.IDLE


def _make_way(core: Core) -> None:
    if core.live.loading:  # aborting now would throw the loading away
        core.live.superseded = True
        if core.phase in HELD:
            core.lift(false_alarm=False)
    else:
        core.stop("ask", voice=False)


def said(core: Core, event: Said, now: float) -> None:
    text = event.text.strip()
    if not text:
        core.emit(TellError("empty_text", "The text to say has nothing in it; send at least one word."))
    elif len(core.says) >= core.policy.say_queue:
        message = f"{len(core.says)} texts already wait to be said; at most {core.policy.say_queue} may."
        core.emit(TellError("queue_full", message))
    else:
        core.says.append(text)


# --- turn commands -----------------------------------------------------------------------------------------------


def interrupted(core: Core, event: Interrupted, now: float) -> None:
    """Silence now: the reply stops, and nothing that waited to be said follows it."""
    if core.says:
        count = len(core.says)
        core.says.clear()
        core.notice("says_dropped", f"{count} texts that waited to be said were dropped by the interrupt.")
    core.stop("interrupt", voice=False)


def nothing_to_interrupt(core: Core, event: Interrupted, now: float) -> None:
    """Nothing plays; but what was stopped by a noise does not go on either."""
    core.again = None
    if core.phase is Phase.STOPPING:
        core.stopping.voice = False


def committed(core: Core, event: TurnCommitted, now: float) -> None:
    _commit(core, "committed", now, explicit=True)


def input_changed(core: Core, event: InputChanged, now: float) -> None:
    if event.input is Input.RELEASED:
        _commit(core, "released", now, explicit=core.policy.manual)


def _commit(core: Core, reason: str, now: float, *, explicit: bool) -> None:
    """The user's turn ends as soon as its finals are in. With nothing said, the client is told when it asked."""
    hearing = core.hearing
    if hearing.open or hearing.holding:
        hearing.commit = Commit(now, hearing.last, reason)
    elif core.phase is Phase.IDLE and explicit and not hearing.owed:
        core.counts["no_words"] += 1
        core.notice("no_words", "I heard no words.")


def cancelled(core: Core, event: TurnCancelled, now: float) -> None:
    """What the user said in this turn is forgotten; what it held goes on. Speech that goes on is another utterance."""
    if any(utterance.ended_s is None for utterance in core.hearing.utterances.values()):
        core.emit(SilenceInput())
    for utterance in list(core.hearing.utterances.values()):
        core.forget(utterance)
    core.hearing.close()
    if core.phase in HELD:
        core.lift(false_alarm=False)
    if core.phase in LIVE and not core.asked:
        core.live.superseded = False
    if core.phase is Phase.STOPPING:
        core.stopping.discard = True
    if core.phase is Phase.LISTENING:
        core.phase = Phase.IDLE
        core.adopt_policy()


# --- the transport, the end --------------------------------------------------------------------------------------


def transport_lost(core: Core, event: TransportLost, now: float) -> None:
    if core.away_since_s is not None:
        core.counts["stale_transport"] += 1
        return
    core.away_since_s = now
    core.emit(SilenceInput())
    if core.phase in LIVE:
        core.hold(Why.AWAY, now)


def transport_back(core: Core, event: TransportBack, now: float) -> None:
    """On from what was heard, unless the user speaks; the client, maybe another one, is told the state."""
    if core.away_since_s is None:
        core.counts["stale_transport"] += 1
        return
    core.away_since_s = None
    if core.phase in LIVE:
        core.release(Why.AWAY, false_alarm=False)
    core.told = TOLD[core.phase]
    core.emit(TellState(core.told.value))


def grace_is_over(core: Core, now: float) -> None:
    _end(core, "grace_over")


def session_ended(core: Core, event: SessionEnded, now: float) -> None:
    _end(core, event.reason)


def _end(core: Core, reason: str) -> None:
    core.drop_draft()
    if core.phase in LIVE:
        core.emit(StopReply(core.live.turn, "session_ended"))
    for utterance in list(core.hearing.utterances.values()):
        core.forget(utterance)
    core.hearing.close()
    if core.reply is not None:
        core.committed += tuple(core.reply.items)
        core.reply = None
    core.asked.clear()
    core.says.clear()
    core.again = core.away_since_s = None
    core.phase = Phase.TERMINATED
    core.tell_state()
    core.emit(EndSession(reason))
