"""The machine's state and what the rules do to it: start, hold, resume, stop, conclude; commit and forget.

The rules (`rules_speech`, `rules_reply`, `rules_client`) decide which of these happens when; nothing here does.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from orchestrator.conversation.commands import (
    Cause,
    Command,
    DraftReply,
    DropDraft,
    ForgetUtterance,
    HoldReply,
    Interruption,
    PrepareReply,
    ResumeReply,
    SetTrigger,
    SilenceInput,
    StartReply,
    StopReply,
    TellNotice,
    TellState,
    TellTurnFinished,
)
from orchestrator.conversation.events import Heard
from orchestrator.conversation.history import Item, Role
from orchestrator.conversation.policy import Policy
from orchestrator.conversation.speech import DORMANT_MAX, Hearing, Part, Utterance
from orchestrator.conversation.states import HELD, LIVE, TOLD, Phase, State
from orchestrator.conversation.turns import Again, Draft, Reply, Stop, Trigger, Why
from orchestrator.conversation.words import words

LOADING = "The model is still loading; the answer comes as soon as it is ready."
SELF_ECHO = (
    "I keep hearing myself: your microphone picks up your loudspeaker. Headphones help, or echo cancellation "
    "(a browser has it; else look for it in the sound settings), or a lower volume."
)


class Core:
    def __init__(self, policy: Policy, history: tuple[Item, ...]) -> None:
        self.policy = policy
        self.next_policy: Policy | None = None
        self.phase = Phase.IDLE
        self.told: State | None = None
        self.out: list[Command] = []
        self.counts: Counter[str] = Counter()
        self.committed = history
        self.hearing = Hearing()
        self.reply: Reply | None = None
        self.draft: Draft | None = None
        """Only while the user's turn is open and no reply is in the way."""
        self.unproven = 0
        self.answered = 0
        """The last turn of another responder, and the last that was answered: if later, this one's model is there."""
        self.turn = 0
        self.asked: list[str] = []
        """What the user said and typed that is to be answered as soon as no reply is in the way."""
        self.says: deque[str] = deque()
        self.again: Again | None = None
        self.interruption: Interruption | None = None
        """How the last reply ended, if it was cut."""
        self.false_alarms = 0
        """Of the last reply."""
        self.trigger = Trigger()
        self.away_since_s: float | None = None
        self.judged_s = float("-inf")
        """Until when verdicts take time into account."""

    @property
    def history(self) -> tuple[Item, ...]:
        return self.committed + (tuple(self.reply.items) if self.reply else ())

    @property
    def live(self) -> Reply:
        """The reply, in a phase that has one."""
        if self.reply is None:
            raise RuntimeError(f"{self.phase.name} without a reply: a rule left the phase and the reply apart")
        return self.reply

    @property
    def begun(self) -> Reply | None:
        """The reply, or the one that was begun early: whose news counts."""
        return self.draft.reply if self.reply is None and self.draft is not None else self.reply

    @property
    def stopping(self) -> Stop:
        """How the reply was told to stop, in STOPPING."""
        if self.reply is None or self.reply.stop is None:
            raise RuntimeError(f"{self.phase.name} without a stop: a rule left the phase and the reply apart")
        return self.reply.stop

    def emit(self, command: Command) -> None:
        self.out.append(command)

    def notice(self, code: str, message: str) -> None:
        self.emit(TellNotice(code, message))

    def tell_state(self) -> None:
        if self.told is not TOLD[self.phase]:
            self.told = TOLD[self.phase]
            self.emit(TellState(self.told.value))

    # --- replies -------------------------------------------------------------------------------------------------

    def start(self, cause: Cause, now: float, *, text: str = "", items: Sequence[str] = ()) -> None:
        """Starts the next turn: an answer to the user's `items`, or `text` spoken as it is."""
        self.adopt_policy()
        self.hearing.owed = frozenset()
        draft = self.draft if cause is Cause.USER else None
        if draft is not None and draft.answers(items):
            self.counts[f"{draft.what}_accepted"] += 1
            self.draft, reply = None, draft.reply
            reply.items[0] = Item(Role.USER, items[0], reply.turn)
            reply.interruptible = self.policy.interruptible
        else:
            self.drop_draft()
            self.turn += 1
            reply = self._next_reply(cause, text, items)
        if cause is Cause.USER:
            self.interruption = None
        self.hearing.drafts = 0
        self.reply = reply
        self.phase = Phase.THINKING
        self.emit(StartReply(self.turn, cause, self.history, text, reply.interruption, self.false_alarms))
        if reply.loading:
            self.notice("loading", LOADING)
        if self.away_since_s is not None:
            self.hold(Why.AWAY, now)

    def _next_reply(self, cause: Cause, text: str, items: Sequence[str]) -> Reply:
        return Reply(
            turn=self.turn,
            cause=cause,
            text=text,
            items=[Item(Role.USER, item, self.turn) for item in items],
            interruptible=self.policy.interruptible,
            interruption=self.interruption if cause is Cause.USER else None,
        )

    def turn_of(self, items: Sequence[str]) -> int:
        """Which turn will answer these items of the user, if it is started now."""
        return self.turn if self.draft is not None and self.draft.answers(items) else self.turn + 1

    def begin_draft(self, text: str, what: str) -> Draft:
        """Begins the answer to what the user said so far, before their turn has ended."""
        self.turn += 1
        self.hearing.drafts += 1
        self.counts[f"{what}_starts"] += 1
        reply = self._next_reply(Cause.USER, "", (text,))
        self.draft = Draft(reply, words(text), what)
        history = self.committed + tuple(reply.items)
        self.emit(DraftReply(self.turn, history, reply.interruption, self.false_alarms))
        return self.draft

    def drop_draft(self) -> None:
        if self.draft is not None:
            self.counts[f"{self.draft.what}_dropped"] += 1
            self.emit(DropDraft(self.draft.reply.turn))
            self.draft = None

    def mind_draft(self) -> None:
        """A draft stands as long as what it answers does."""
        if self.draft is None:
            return
        stands = self.phase is Phase.LISTENING and self.away_since_s is None
        if not (stands and self.draft.answers((self.hearing.text(),))):
            self.drop_draft()

    def hold(self, why: Why, now: float) -> None:
        if not self.live.holds:
            self.emit(HoldReply(self.live.turn))
        self.live.holds.add(why)

    def release(self, why: Why, *, false_alarm: bool) -> None:
        if why in self.live.holds:
            self.live.holds.remove(why)
            if not self.live.holds:
                self.emit(ResumeReply(self.live.turn, false_alarm))

    def hold_for(self, utterance: Utterance, now: float) -> None:
        """Speech over a reply: playout stays where it is, nothing else yet."""
        utterance.part = Part.HOLDING
        utterance.silent = True
        if self.phase not in HELD:
            self.live.held_since_s = now
            self.hold(Why.SPEECH, now)
            self.phase = Phase.BARGED_IN if self.live.sounding else Phase.WITHHELD

    def lift(self, *, false_alarm: bool) -> None:
        """Nobody speaks over the reply any more: it goes on where it was held."""
        self.hearing.commit = None
        self.release(Why.SPEECH, false_alarm=false_alarm)
        self.phase = Phase.SPEAKING if self.live.sounding else Phase.THINKING

    def stop(self, reason: str, *, voice: bool) -> None:
        reply = self.live
        self.emit(StopReply(reply.turn, reason))
        reply.stop = Stop(reason, voice=voice, withdraw=voice and not reply.sounding)
        reply.holds.clear()
        reply.superseded = False
        self.take_floor()
        self.phase = Phase.STOPPING

    def take_floor(self) -> None:
        """Who held the reply has the user's turn now."""
        for utterance in self.hearing.holding:
            self.hearing.join(utterance)

    def conclude(self, heard: Heard, reason: str, *, cut: bool, interrupted: bool = False) -> None:
        """The reply is over: history gets what was heard. `cut`: not all of it; `interrupted`: by the user."""
        reply = self.live
        items = list(reply.items)
        text = heard.text.strip()
        if text:
            items.append(Item(Role.ASSISTANT, text, reply.turn, cut=cut, apology=reply.cause is Cause.APOLOGY))
        self.committed += tuple(items)
        by_user = cut and interrupted and reply.sounding
        typed = reason == "ask"
        self.interruption = Interruption(reply.turn, text, heard.unheard, typed) if by_user else None
        self.finished(heard, reason)

    def finished(self, heard: Heard, reason: str) -> None:
        reply = self.live
        self.emit(TellTurnFinished(reply.turn, heard.text, heard.unheard, heard.samples, reason))
        self.false_alarms = reply.false_alarms
        self.reply = None

    def after_reply(self, now: float) -> None:
        """To whom the floor goes when a reply is over."""
        self.phase = Phase.LISTENING if self.hearing.open else Phase.IDLE
        self.hearing.open_since_s = now
        if self.phase is Phase.IDLE:
            self.adopt_policy()

    def adopt_policy(self) -> None:
        if self.next_policy is not None:
            self.policy, self.next_policy = self.next_policy, None

    # --- the user ------------------------------------------------------------------------------------------------

    def listen(self, utterance: Utterance) -> None:
        """This utterance is (part of) the user's turn."""
        utterance.over = False
        self.hearing.join(utterance)
        if self.phase is Phase.IDLE:
            self.emit(PrepareReply())
            self.phase = Phase.LISTENING

    def forget(self, utterance: Utterance) -> None:
        if utterance.final is None:
            self.emit(ForgetUtterance(utterance.id))
        self.hearing.drop(utterance)

    def make_dormant(self, utterance: Utterance) -> None:
        """Nothing waits for it any more; should words come, they count."""
        if utterance.final is not None:
            self.hearing.drop(utterance)
            return
        utterance.part = Part.DORMANT
        dormant = self.hearing.of(Part.DORMANT)
        if len(dormant) > DORMANT_MAX:
            self.counts["dormant_forgotten"] += 1
            self.forget(dormant[0])

    def alarm(self, utterance: Utterance, now: float) -> None:
        """A noise, or a backchannel, was taken for the user."""
        utterance.alarmed = True
        self.counts["false_alarms"] += 1
        if self.phase in LIVE:
            self.live.false_alarms += 1
        if self.trigger.alarm(self.policy, now):
            self.emit(SetTrigger(self.policy.raised_trigger_frames))

    def self_echo(self, utterance: Utterance, now: float) -> None:
        """The microphone heard the loudspeaker. That is a false alarm, wherever it was taken for the user."""
        self.counts["self_echoes"] += 1
        if not utterance.alarmed:
            self.alarm(utterance, now)
        if self.counts["self_echoes"] == self.policy.echoes_told:
            self.notice("self_echo", SELF_ECHO)

    def spoken_so_far(self) -> str:
        """Ends the user's turn at once, with the words that were understood; nobody waits for others."""
        for utterance in self.hearing.holding:
            if utterance.listens(utterance.words, self.policy.language):
                self._let_go(utterance)
        self.take_floor()
        text = self.hearing.text()
        for utterance in self.hearing.turn:
            self._let_go(utterance)
        self.hearing.close()
        return text

    def _let_go(self, utterance: Utterance) -> None:
        """Nobody waits for it any more. If it goes on, what follows is another one; a sound without words stays what it
        is, as it would only be in the way of the answer."""
        if utterance.ended_s is None and not utterance.words:
            self.make_dormant(utterance)
            return
        if utterance.ended_s is None:
            self.emit(SilenceInput())
        self.forget(utterance)
