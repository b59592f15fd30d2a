"""The conversation core: what happens, with the time it happens, in; what is to be done about it, out.

The rules, in prose. They are carried out in `rules_speech`, `rules_reply` and `rules_client`; `table` says which of
them counts in which phase.

**Turns.** One reply at a time. Every StartReply has the next turn's number, and is never issued before the last reply
ended, failed, or answered StopReply with ReplyStopped. When nothing is in the way, what waits is started in this order:
what was asked; the user's turn; what is to go on (a reply stopped by a noise, an apology); what was to be said. Nothing
but an asked text is started while the user's turn is open.

**Identity.** News of the user's speech carries its utterance, news of a reply its turn. News of an old one is counted
and changes nothing. News of a turn that was never started, or a pair that the table lacks, is our bug and raises.

**The user's turn** is a row of utterances. It ends `endpoint_ms` after the last voiced sample, sooner if its words
read as complete or this user never pauses, later if they read as unfinished or this user pauses for long, or as a
detector hears it, between a floor and a ceiling (not `adaptive`: after exactly `endpoint_ms`); as soon as the finals of
all of them are in; `final_ms` later with the last partials instead (three times as long where there was no word yet).
Speech that begins before that joins it. `manual`: only turn_commit or `released` end it, and then it ends with what was
said until then. A turn without words ends in a notice, unless a reply goes on then; where a final is still owed, the
notice waits for it, `owed_s` at most, and is dropped if something is said meanwhile. A recogniser's failure is a
notice, and what was understood until then stands.

**Sound without words** keeps nothing waiting for longer than `hold_max_s` (a held reply, a turn that has its words, a
reply that is to go on), or `noise_s` where nothing waits. Then the utterance is *dormant*: nothing waits for it, but
words that come of it after all count as if they were said then; over a reply they are a barge-in. `noise_s` of speech
without a new word is a steady noise: it is learnt anew and the user is told; the turn ends with the words that it has.
A turn of `turn_max_s` ends, with a notice.

**Speech over a reply** holds it at once, and until the first sample keeps that in. Each utterance is then judged.
It is real by a stable word that is no backchannel (nor the beginning of one) or by `confirm_ms` of speech: the reply is
stopped, the utterance is the user's turn. It is a false alarm by a final that is empty or all backchannel, or
`resume_ms` after its end without a final: when no utterance is left in doubt the reply goes on exactly there.
A reply of which nothing was heard when it stopped before its first sample never was: what it answers is the user's turn
again, and the new words join it. One that was heard is history up to the last word heard, cut. If the user's turn
then turns out to have no words, or backchannels only, what was stopped goes on as a new turn: from the first word not
heard, or from its beginning if nothing had sounded.
A backchannel is none where the reply that is being heard asks something: there it is the answer, a real word.
Words that are what the loudspeaker says just then are its echo, not the user's: as if nothing had been said, a false
alarm, which is counted and told. But who speaks for `confirm_ms` after the reply was held is the user, whatever the
words; an echo falls silent with the loudspeaker. What is the loudspeaker's by its sound is a false alarm whatever was
understood of it.
Not `interruptible`: speech over a reply does not hold it and is the next turn. (An answer that does not sound yet still
waits for the rest of its question.) `interrupt` and `ask` stop any reply.

**Loading.** A reply whose model loads is never stopped by speech or `ask`: it is stopped when the model has answered
its first words (or sample), and what was said meanwhile is answered with it. `interrupt` stops it.

**False alarms.** Two within `false_alarm_window_s`, turns without words included, raise the trigger until
`false_alarm_quiet_s` pass without one.

**Early start** (`early`, off by default). In the user's turn, the answer to what they said so far may be begun: as soon
as all its words are stable and read as complete, or, when speech is over and the finals are in, do not read as
unfinished. Nothing of it sounds and nobody is told. When the turn ends with the same words, it is the reply; else it is
dropped, and its turn's number with it. Not before the responder has answered once in the session, so that no loading is
thrown away; `early_most` times a turn of the user at most; never with `manual`, nor without a transport.

**Head start** (`head_start_ms`). The same, so long before the turn ends, whatever its words, when speech is over and
all finals are in: what brain and voice need for the first sound is done while the last of the silence is waited for.
And the driver is told when the reply is due, and when it is not any more: they speak on, without words as yet, or are
to be waited for.

**Text.** `ask`: what was understood so far is committed as it stands, the reply stopped, both answered. `say` waits for
the reply, and for the user's turn if one is open; `interrupt` also drops what waits to be said. Eight may wait of each.

**A reply that fails** is history up to the last word heard; the client is told, the user hears a sentence (which, if it
fails too, is not followed by another).

**Without a transport** playout is held and the input silent; things go on otherwise. Back: on from there, unless the
user's speech still holds it. After `grace_s`: the end. After the end nothing matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.conversation.commands import Command
from orchestrator.conversation.core import Core
from orchestrator.conversation.events import (
    Event,
    FinalHeard,
    FirstAudio,
    PartialHeard,
    RecognitionDelayed,
    RecognitionFailed,
    ReplyAnswering,
    ReplyEnded,
    ReplyFailed,
    ReplyLoading,
    ReplyStopped,
    SpeechEnded,
    SpeechStarted,
    ToolHappened,
    TurnJudged,
)
from orchestrator.conversation.history import Item
from orchestrator.conversation.policy import Policy
from orchestrator.conversation.rules_early import early_due, head_start
from orchestrator.conversation.rules_reply import may_start
from orchestrator.conversation.speech import Part, verdict_changes
from orchestrator.conversation.states import HELD, TOLD, Phase, State, Timer
from orchestrator.conversation.table import TABLE, Happens

__all__ = ["Machine", "Phase", "Policy", "State"]

_AT_ONCE = float("-inf")
_MANY = 1000


class Machine:
    """One session's conversation.

    The driver hands every event over with the time it came (`now`, monotonic seconds), calls `handle_timer` when
    `next_deadline` has come, and carries out all returned commands, in order, before it takes the next event.
    """

    def __init__(self, policy: Policy | None = None, history: tuple[Item, ...] = ()) -> None:
        self._core = Core(policy or Policy(), history)

    @property
    def policy(self) -> Policy:
        """The one in force; a changed one may wait for the next turn."""
        return self._core.policy

    @property
    def state(self) -> State:
        return TOLD[self._core.phase]

    @property
    def phase(self) -> Phase:
        return self._core.phase

    @property
    def history(self) -> tuple[Item, ...]:
        """All of it, with what the current reply answers. A withdrawn reply takes that back."""
        return self._core.history

    @property
    def said(self) -> str:
        """What was understood so far of the user's open turn."""
        return self._core.hearing.text()

    @property
    def turn(self) -> int:
        """The last reply's turn; 0 before the first."""
        return self._core.turn

    @property
    def counts(self) -> Mapping[str, int]:
        """How often what happened: stale_utterance, stale_turn, false_alarms, barge_ins, withdrawn_endpoints…"""
        return MappingProxyType(self._core.counts)

    def heeds(self, event: PartialHeard | FinalHeard) -> bool:
        """Whether the user said it, as far as is known before it is handled: not the loudspeaker, nor, over a reply,
        anybody of whom that is in doubt still.
        """
        utterance = self._core.hearing.utterances.get(event.utterance)
        if utterance is None or (utterance.playing is None and event.playing is None):
            return True
        if isinstance(event, PartialHeard) and utterance.part is not Part.TURN:
            return False
        return not utterance.would_echo(event.text, event.playing, self._core.policy.language)

    def handle(self, event: Event, now: float) -> list[Command]:
        """What is to be done about an event. Raises RuntimeError for one that cannot happen now: our bug."""
        if self._core.phase is Phase.TERMINATED:
            self._core.counts["after_end"] += 1
        elif not self._stale(event):
            self._apply(type(event), event, now)
        return self._settle(now)

    def handle_timer(self, now: float) -> list[Command]:
        """What is to be done because time passed; nothing if no deadline has come."""
        return self._settle(now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` is to be called if nothing happens before; None: not at all."""
        return min((at for timer in Timer if (at := self._deadline(timer)) is not None), default=None)

    # --- dispatch ------------------------------------------------------------------------------------------------

    def _stale(self, event: Event) -> bool:
        core = self._core
        match event:
            case SpeechStarted():
                stale, what = event.utterance <= core.hearing.last, "stale_utterance"
            case (
                SpeechEnded()
                | PartialHeard()
                | FinalHeard()
                | TurnJudged()
                | RecognitionFailed()
                | RecognitionDelayed()
            ):
                stale, what = event.utterance not in core.hearing.utterances, "stale_utterance"
            case (
                ReplyLoading()
                | ReplyAnswering()
                | FirstAudio()
                | ReplyEnded()
                | ReplyStopped()
                | ReplyFailed()
                | ToolHappened()
            ):
                if event.turn > core.turn:
                    raise RuntimeError(f"{event} is about a turn that was never started; the last is {core.turn}")
                stale, what = core.begun is None or event.turn != core.begun.turn, "stale_turn"
            case _:
                return False
        core.counts[what] += stale
        return stale

    def _apply(self, what: Happens, happened: object, now: float) -> None:
        core = self._core
        at = core.phase
        rule = TABLE.get(what, {}).get(at)
        name = what.name if isinstance(what, Timer) else what.__name__
        if rule is None:
            raise RuntimeError(f"{name} in {at.name}: there is no rule for it in the table")
        rule.do(core, happened, now)
        if core.phase not in rule.to:
            raise RuntimeError(f"{name} led from {at.name} to {core.phase.name}, which the table does not allow")

    def _settle(self, now: float) -> list[Command]:
        """Lets happen what is due, until nothing is."""
        for _ in range(_MANY):
            self._core.mind_draft()
            timer = self._due(now)
            if timer is None:
                break
            self._apply(timer, None, now)
        else:
            raise RuntimeError(f"{timer} in {self._core.phase.name} is due without end")
        self._core.tell_state()
        out, self._core.out = self._core.out, []
        return out

    # --- deadlines -----------------------------------------------------------------------------------------------

    def _due(self, now: float) -> Timer | None:
        for timer in Timer:
            at = self._deadline(timer)
            if at is not None and at <= now:
                return timer
        return None

    def _deadline(self, timer: Timer) -> float | None:
        core = self._core
        if core.phase not in TABLE.get(timer, {}):
            return None
        match timer:
            case Timer.GRACE:
                return None if core.away_since_s is None else core.away_since_s + core.policy.grace_s
            case Timer.READY:
                return _AT_ONCE if may_start(core) else None
            case Timer.JUDGE:
                judged = (u for u in core.hearing.utterances.values() if u.part is not Part.TURN)
                changes = (at for u in judged for at in verdict_changes(u, core.policy) if at > core.judged_s)
                return min(changes, default=None)
            case Timer.HOLD_MAX:
                return core.live.held_since_s + core.policy.hold_max_s if core.phase in HELD else None
            case Timer.NOISE:
                on = (u.worded_s for u in core.hearing.utterances.values() if u.ended_s is None)
                return min((at + core.policy.noise_s for at in on), default=None)
            case Timer.ENDPOINT:
                return core.hearing.due(core.policy)
            case Timer.WORDLESS:
                waits = core.hearing.text() or core.again or core.says
                return core.hearing.wordless_due(core.policy.hold_max_s if waits else core.policy.noise_s)
            case Timer.OWED:
                return core.hearing.owed_since_s + core.policy.owed_s if core.hearing.owed else None
            case Timer.TURN_MAX:
                ends = not core.policy.manual and core.hearing.open
                return core.hearing.open_since_s + core.policy.turn_max_s if ends else None
            case Timer.EARLY:
                return early_due(core)
            case Timer.HEAD_START:
                return head_start(core)
            case Timer.QUIET:
                return core.trigger.quiet(core.policy)
