"""Rules about the reply: it sounds, ends, stops, fails; and what is started when nothing is in the way."""

from __future__ import annotations

from orchestrator.conversation.commands import Cause, PrepareReply, TellError, TellTurnEnded
from orchestrator.conversation.core import LOADING, Core
from orchestrator.conversation.events import (
    FirstAudio,
    Heard,
    ReplyAnswering,
    ReplyEnded,
    ReplyFailed,
    ReplyLoading,
    ReplyStopped,
    ToolHappened,
)
from orchestrator.conversation.history import Item, Role
from orchestrator.conversation.rules_speech import judge, speak_over
from orchestrator.conversation.states import Phase
from orchestrator.conversation.turns import Again


def loading(core: Core, event: ReplyLoading, now: float) -> None:
    core.live.loading = True
    core.notice("loading", LOADING)


def answering(core: Core, event: ReplyAnswering, now: float) -> None:
    """The model has loaded; what was kept from wasting that may happen now."""
    core.live.loading = False
    if core.live.superseded:
        _supersede(core)
    else:
        judge(core, now)


def _supersede(core: Core) -> None:
    if core.asked:
        core.stop("ask", voice=False)
    else:
        core.counts["withdrawn_replies"] += 1
        core.stop("withdrawn", voice=True)


def first_audio(core: Core, event: FirstAudio, now: float) -> None:
    reply = core.live
    reply.loading = False
    if reply.cause in (Cause.USER, Cause.GREETING):
        core.answered = reply.turn
    if reply.superseded:
        _supersede(core)
    reply.sounding = True
    if core.phase is Phase.THINKING:
        core.phase = Phase.SPEAKING
    elif core.phase is Phase.WITHHELD:  # it was on its way when the hold was issued
        core.phase = Phase.BARGED_IN


def ended_while_stopping(core: Core, event: ReplyEnded, now: float) -> None:
    """It was over before it could be stopped."""
    if not _withdrawn(core, event.heard):
        core.conclude(event.heard, "complete", cut=False)
    core.after_reply(now)


def ended(core: Core, event: ReplyEnded, now: float) -> None:
    """All of it was heard. Who spoke over its end has the floor, and may well have answered it: "yes" counts."""
    barged_in = bool(core.hearing.holding)
    core.take_floor()
    for utterance in core.hearing.turn:
        utterance.over = False
    core.conclude(event.heard, "complete", cut=False)
    core.after_reply(now)
    if barged_in:
        core.emit(PrepareReply())


def stopped(core: Core, event: ReplyStopped, now: float) -> None:
    stop = core.stopping
    if not _withdrawn(core, event.heard):
        core.conclude(event.heard, stop.reason, cut=not event.heard.complete, interrupted=True)
        if stop.voice and event.heard.unheard.strip():
            core.again = Again(Cause.CONTINUE, event.heard.unheard)
    core.after_reply(now)


def _withdrawn(core: Core, heard: Heard) -> bool:
    """A reply that was withdrawn and of which nothing was heard never was: what it answers is the user's turn again."""
    reply, stop = core.live, core.stopping
    if not stop.withdraw or heard.text.strip():
        return False
    if not stop.discard:
        core.hearing.pieces[:0] = [item.text for item in reply.items if item.role is Role.USER]
    if reply.cause is not Cause.USER:
        core.again = Again(reply.cause, reply.text)
    core.interruption = reply.interruption
    core.finished(heard, stop.reason)
    return True


def failed(core: Core, event: ReplyFailed, now: float) -> None:
    """History is cut at what was heard; the client is told, the user hears a sentence, unless that was what failed."""
    cause = core.live.cause
    barged_in = bool(core.hearing.holding)
    core.take_floor()
    core.conclude(event.heard, "failed", cut=True)
    core.counts["failed_replies"] += 1
    core.emit(TellError(event.code, event.message))
    if cause is not Cause.APOLOGY:
        core.again = Again(Cause.APOLOGY, core.policy.apology)
    core.after_reply(now)
    if barged_in:
        core.emit(PrepareReply())


def failed_while_stopping(core: Core, event: ReplyFailed, now: float) -> None:
    """It was unwanted anyway: nobody is told."""
    stop = core.stopping
    if not _withdrawn(core, event.heard):
        core.conclude(event.heard, stop.reason, cut=True, interrupted=True)
    core.after_reply(now)


def tool_happened(core: Core, event: ToolHappened, now: float) -> None:
    """History with the reply; with one that was begun early, if that is accepted."""
    role = Role.TOOL_RESULT if event.is_result else Role.TOOL_CALL
    reply = core.begun or core.live
    reply.items.append(Item(role, event.content, event.turn, name=event.name, call_id=event.call_id))


def ignored(core: Core, event: object, now: float) -> None:
    """It comes, and means nothing here."""
    core.counts["ignored"] += 1


def start_next(core: Core, now: float) -> None:
    """Nothing is in the way: first the user's text, then what is to go on, then what was to be said."""
    if core.asked:
        items, core.asked = core.asked, []
        core.again = None
        core.emit(TellTurnEnded(core.turn_of(items), " ".join(items), "asked"))
        core.start(Cause.USER, now, items=items)
        speak_over(core, now)
    elif core.again is not None:
        again, core.again = core.again, None
        if again.cause is Cause.CONTINUE:
            core.counts["continued"] += 1
        core.start(again.cause, now, text=again.text)
    else:
        core.start(Cause.SAY, now, text=core.says.popleft())


def may_start(core: Core) -> bool:
    """Whether `start_next` has something to start: the user's turn, if one is open, goes before all but their text."""
    return bool(core.asked) or (core.phase is Phase.IDLE and (core.again is not None or bool(core.says)))
