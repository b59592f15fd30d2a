"""The machine against a simulated driver that obeys its commands, through random conversations on a fake clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.conversation import commands as c
from orchestrator.conversation import events as e
from orchestrator.conversation.backchannel import is_backchannel
from orchestrator.conversation.history import Role
from orchestrator.conversation.machine import Machine, Phase, Policy, State
from orchestrator.conversation.speech import DORMANT_MAX, Part
from orchestrator.conversation.states import HELD, LIVE

pytestmark = pytest.mark.unit

HANGOVER_S = 0.2


@dataclass
class Speech:
    """What the simulated user says in one utterance."""

    started_s: float
    ended: bool = False
    finished: bool = False
    forgotten: bool = False
    cancelled: bool = False
    text: str = ""
    """What the machine knows of it, and must not lose."""
    playing: e.Playing | None = None
    """What the loudspeaker said as it began."""
    ended_s: float = 0.0


@dataclass
class Spoken:
    """The simulated reply."""

    turn: int
    words: list[str] = field(default_factory=list)
    written: bool = False
    heard: int = 0
    sounding: bool = False
    held: bool = False
    stopping: bool = False
    loading: bool = False
    held_since_s: float = 0.0

    def facts(self) -> e.Heard:
        return e.Heard(
            self.turn,
            960 * self.heard,
            " ".join(self.words[: self.heard]),
            " ".join(self.words[self.heard :]),
            self.written and self.heard == len(self.words),
        )


class Conversation(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 100_000.0
        self.reply: Spoken | None = None
        self.speeches: dict[int, Speech] = {}
        self.typed: list[Speech] = []
        self.away = False
        self.ended = False
        self.draft: Spoken | None = None
        """A reply that was begun early, and what its tools did."""
        self.due_s: float | None = None
        """When it was said to be due."""
        self.turn_ended = ""
        """Why the user's last turn ended."""
        self.begun = 0
        """The last turn's number, of those that were begun early too."""
        self.started: list[int] = []
        self.finished: list[int] = []
        self.spoken: list[str] = []
        """What was heard of each reply, as history must have it."""
        self.waiting: Counter[str] = Counter()
        """Texts to be said that were taken and not yet started."""
        self.words = 0
        self.state = ""
        self.listening_since_s: float | None = None

    @initialize(
        interruptible=st.sampled_from([True, True, True, False]),
        manual=st.sampled_from([False, False, False, True]),
        scene=st.sampled_from(["idle", "thinking", "speaking", "speaking", "speaking"]),
        impatient=st.booleans(),
        adaptive=st.booleans(),
        early=st.booleans(),
        head_start_ms=st.sampled_from([0, 100]),
    )
    def opens(
        self,
        interruptible: bool,
        manual: bool,
        scene: str,
        impatient: bool,
        adaptive: bool,
        early: bool,
        head_start_ms: int,
    ) -> None:
        self.policy = Policy(
            language="en",
            interruptible=interruptible,
            manual=manual,
            adaptive=adaptive,
            early=early,
            head_start_ms=head_start_ms,
        )
        if impatient:
            self.policy = replace(self.policy, noise_s=2.0, turn_max_s=5.0, hangover_ms=200)
        self.machine = Machine(self.policy)
        self.happens(e.Opened(greet=scene != "idle"))
        if scene == "speaking":
            self.is_spoken(3, False)

    # --- the driver: obeys, and checks what it is told -----------------------------------------------------------

    def happens(self, event: e.Event) -> None:
        self.obey(self.machine.handle(event, self.now))

    def obey(self, commands: list[c.Command]) -> None:
        for command in commands:
            assert not self.ended, f"{command} after the end"
            self.carry_out(command)
        deadline = self.machine.next_deadline()
        assert deadline is None or deadline > self.now, "what is due was not done"

    def carry_out(self, command: c.Command) -> None:
        reply = self.reply
        match command:
            case c.DraftReply():
                assert reply is None, "a reply was begun early over another"
                assert self.draft is None, "two replies were begun early"
                assert self.policy.early or self.policy.head_start_ms
                assert not self.away
                assert self.machine.phase is Phase.LISTENING
                assert command.turn == self.begun + 1
                assert command.history[-1].role is Role.USER
                self.begun = command.turn
                self.draft, self.due_s = Spoken(command.turn, held=True), None
            case c.ExpectReply():
                self.is_expected(command)
            case c.TellTurnEnded():
                self.turn_ended = command.reason
            case c.DropDraft():
                assert self.draft is not None
                assert command.turn == self.draft.turn
                self.draft = None
            case c.StartReply():
                assert reply is None, "a reply was started before the last was over"
                draft, self.draft = self.draft, None
                if draft is not None:
                    assert command.turn == draft.turn, "a reply was started over one that was begun early"
                    assert command.cause is c.Cause.USER
                    at_once = self.turn_ended in ("committed", "released", "too_long", "asked")
                    assert at_once or self.due_s is None or self.now >= self.due_s, "it was begun before its time"
                    draft.held = False
                else:
                    assert command.turn == self.begun + 1
                    self.begun = command.turn
                assert command.history == self.machine.history
                if command.cause is c.Cause.USER:
                    said = [item for item in command.history if item.role in (Role.USER, Role.ASSISTANT)]
                    assert said
                    assert said[-1].role is Role.USER  # its tools may have been called before it was accepted
                    assert not command.text
                elif command.cause is not c.Cause.GREETING:
                    assert command.text.strip()
                if command.cause is c.Cause.SAY:
                    self.waiting.pop(command.text, None)
                self.started.append(command.turn)
                self.reply = draft or Spoken(command.turn, command.text.split(), written=bool(command.text))
            case c.HoldReply():
                assert reply is not None
                assert command.turn == reply.turn
                assert not reply.held
                assert not reply.stopping
                reply.held, reply.held_since_s = True, self.now
            case c.ResumeReply():
                assert reply is not None
                assert command.turn == reply.turn
                assert reply.held
                assert not reply.stopping
                reply.held = False
            case c.StopReply():
                assert reply is not None
                assert command.turn == reply.turn
                assert not reply.stopping
                assert not reply.loading or command.reason in ("interrupt", "session_ended"), "loading was aborted"
                reply.stopping = True
            case c.ForgetUtterance():
                speech = self.speeches[command.utterance]
                assert not speech.forgotten
                assert not speech.finished
                speech.forgotten = True
            case c.TellState():
                self.state = command.state
            case c.TellTurnFinished():
                self.finished.append(command.turn)
            case c.TellNotice():
                if command.code == "says_dropped":
                    self.waiting.clear()
            case c.EndSession():
                self.ended = True
            case _:
                pass

    def is_expected(self, command: c.ExpectReply) -> None:
        """Of the present draft only, when no word is owed, and not too soon; or taken back."""
        assert self.draft is not None
        assert command.turn == self.draft.turn
        assert command.due_s != self.due_s, "it was told before"
        self.due_s = command.due_s
        if command.due_s is not None:
            assert self.now <= command.due_s <= self.now + self.policy.head_start_ms / 1000 + 1e-6
            assert all(u.settled for u in self.machine._core.hearing.turn)

    def over(self, event: e.ReplyEnded | e.ReplyStopped | e.ReplyFailed) -> None:
        self.reply = None
        if event.heard.text:
            self.spoken.append(event.heard.text)
        self.happens(event)

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(10_000):
            deadline = self.machine.next_deadline()
            if deadline is None or deadline > until:
                break
            self.now = max(self.now, deadline)
            self.obey(self.machine.handle_timer(self.now))
            self.bounds()
        else:
            raise AssertionError("deadlines without end")
        self.now = until

    # --- time ----------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 0.6, 0.7, 1.0, 3.0, 8.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule()
    def timer_comes_early(self) -> None:
        self.obey(self.machine.handle_timer(self.now))

    # --- the user ------------------------------------------------------------------------------------------------

    @property
    def talking(self) -> list[int]:
        return [u for u, speech in self.speeches.items() if not speech.ended]

    @property
    def unfinished(self) -> list[int]:
        return [u for u, speech in self.speeches.items() if not speech.finished and not speech.forgotten]

    @precondition(lambda self: not self.talking and not self.away)
    @rule(late=st.sampled_from([0.0, 0.04, 0.08, 0.9]))
    def speech_starts(self, late: float) -> None:
        utterance = len(self.speeches)
        speech = self.speeches[utterance] = Speech(self.now - late, playing=self.playing())
        self.happens(e.SpeechStarted(utterance, 0, self.now - late, speech.playing))

    @precondition(lambda self: self.talking)
    @rule()
    def speech_ends(self) -> None:
        utterance = self.talking[0]
        speech = self.speeches[utterance]
        speech.ended, speech.ended_s = True, self.now - HANGOVER_S
        self.happens(e.SpeechEnded(utterance, 0, speech.ended_s))

    def playing(self) -> e.Playing | None:
        """What the loudspeaker says; every third word of a reply ends a question."""
        reply = self.reply
        if reply is None or not reply.sounding or not reply.words:
            return None
        around = reply.words[max(0, reply.heard - 2) : reply.heard + 2]
        return e.Playing(reply.turn, 0, " ".join(around), " ".join(around), reply.heard % 3 == 2)

    def fresh_words(self, count: int) -> str:
        self.words += count
        return " ".join(f"word{n}" for n in range(self.words - count, self.words))

    @precondition(lambda self: not self.talking and not self.away)
    @rule(
        seconds=st.sampled_from([0.1, 0.3, 0.8, 2.0]),
        kind=st.sampled_from(["empty", "backchannel", "new", "none", "echo", "sound", "complete"]),
    )
    def speaks(self, seconds: float, kind: str) -> None:
        """The usual way of an utterance; `none`: its final is yet to come."""
        self.speech_starts(0.04)
        self.pass_time(seconds)
        self.speech_ends()
        self.pass_time(0.1)
        if kind != "none" and self.unfinished and self.unfinished[-1] == len(self.speeches) - 1:
            self.finish(self.unfinished[-1], kind)

    @precondition(lambda self: self.unfinished)
    @rule(
        data=st.data(),
        count=st.integers(0, 2),
        backchannel=st.sampled_from(["", "", "", "mhm", "i", "please"]),
        stable=st.booleans(),
        echo=st.booleans(),
    )
    def partial(self, data: st.DataObject, count: int, backchannel: str, stable: bool, echo: bool) -> None:
        utterance = data.draw(st.sampled_from(self.unfinished))
        speech = self.speeches[utterance]
        more = backchannel or self.fresh_words(count)
        if echo and speech.playing is not None and not speech.text:
            more = " ".join(speech.playing.text.split()[:2])
        text = f"{speech.text} {more}".strip()
        speech.text = text
        self.happens(e.PartialHeard(utterance, text, len(text) if stable else 0))

    @precondition(lambda self: any(self.speeches[u].ended for u in self.unfinished))
    @rule(data=st.data(), kind=st.sampled_from(["as it was", "empty", "backchannel", "new", "failed", "echo", "sound"]))
    def final(self, data: st.DataObject, kind: str) -> None:
        self.finish(data.draw(st.sampled_from([u for u in self.unfinished if self.speeches[u].ended])), kind)

    @precondition(lambda self: self.unfinished)
    @rule(data=st.data(), lost=st.booleans(), wait_s=st.floats(0.0, 6.0))
    def recogniser_is_lost(self, data: st.DataObject, lost: bool, wait_s: float) -> None:
        """Another one hears it; or nobody for now."""
        utterance = data.draw(st.sampled_from(self.unfinished))
        self.happens(e.RecognitionDelayed(utterance, wait_s))
        if lost:
            self.happens(e.RecognitionFailed(utterance, "the recogniser is gone", goes_on=True))

    def finish(self, utterance: int, kind: str) -> None:
        speech = self.speeches[utterance]
        speech.finished = True
        if kind == "failed":
            self.happens(e.RecognitionFailed(utterance, "the recogniser is gone"))
            return
        if kind == "empty":
            speech.text = ""
        elif kind == "backchannel":
            speech.text = "okay"
        elif kind == "new":
            speech.text = self.fresh_words(2)
        elif kind == "complete":
            speech.text = f"{self.fresh_words(1)} please"
        elif kind == "echo" and speech.playing is not None and self.tells(speech.playing.text):
            self.finish_echo(utterance, speech, speech.playing)
            return
        elif kind == "sound":
            self.finish_by_sound(utterance, speech)
            return
        self.happens(e.FinalHeard(utterance, speech.text))

    def finish_by_sound(self, utterance: int, speech: Speech) -> None:
        """What the loudspeaker sounds like never stops a reply, and its words are nobody's."""
        held, counted = self.machine.phase in HELD, self.machine.counts["self_echoes"]
        speech.text = ""
        self.happens(e.FinalHeard(utterance, "", loudspeaker=True))
        if not self.ended:
            assert self.machine.counts["self_echoes"] == counted + 1
            assert not held or self.machine.phase is not Phase.STOPPING

    @staticmethod
    def tells(text: str) -> bool:
        """Whether a reply's words are not such as anybody may say: "again", "sorry"."""
        return text.count("reply") == len(text.split())

    def finish_echo(self, utterance: int, speech: Speech, playing: e.Playing) -> None:
        """The loudspeaker's words never stop what it says; unless somebody spoke on long after it was held."""
        speech.text = playing.text
        held, counted = self.machine.phase in HELD, self.machine.counts["self_echoes"]
        self.happens(e.FinalHeard(utterance, speech.text))
        if self.ended or speech.ended_s + HANGOVER_S - speech.started_s >= self.policy.confirm_ms / 1000:
            return
        assert self.machine.counts["self_echoes"] == counted + 1
        assert not held or self.machine.phase is not Phase.STOPPING
        speech.text = ""

    @precondition(lambda self: self.speeches)
    @rule(data=st.data(), done=st.sampled_from([0.0, 0.3, 0.5, 0.99]))
    def is_judged_by_ear(self, data: st.DataObject, done: float) -> None:
        self.happens(e.TurnJudged(data.draw(st.sampled_from(sorted(self.speeches))), done))

    @precondition(lambda self: self.speeches)
    @rule(data=st.data())
    def old_news_of_speech(self, data: st.DataObject) -> None:
        """News of an utterance that nobody waits for: counted, and changes nothing."""
        utterance = data.draw(st.sampled_from(sorted(self.speeches)))
        speech = self.speeches[utterance]
        if speech.finished or speech.forgotten:
            before = self.glance()
            self.happens(e.FinalHeard(utterance, "stale words"))
            self.happens(e.SpeechStarted(utterance, 0, self.now))
            assert self.glance() == before

    # --- the reply -----------------------------------------------------------------------------------------------

    def can(self, *, sounding: bool | None = None, held: bool | None = None, stopping: bool = False) -> bool:
        reply = self.reply
        return (
            reply is not None
            and (sounding is None or reply.sounding is sounding)
            and (held is None or reply.held is held)
            and reply.stopping is stopping
        )

    @precondition(lambda self: self.can())
    @rule(count=st.integers(1, 3), done=st.booleans())
    def writes(self, count: int, done: bool) -> None:
        reply = self.reply
        assert reply is not None
        if reply.loading:
            reply.loading = False
            self.happens(e.ReplyAnswering(reply.turn))
        elif not reply.written:
            reply.words += [f"reply{reply.turn}.{len(reply.words) + n}" for n in range(count)]
            reply.written = done

    @precondition(lambda self: self.can(held=False) and not self.ended)
    @rule(words=st.integers(1, 6), done=st.booleans())
    def is_spoken(self, words: int, done: bool) -> None:
        """The usual way of a reply: written, given to the transport, heard."""
        self.writes(words, done)
        if self.can(sounding=False, held=False) and self.reply is not None and self.reply.words:
            self.first_audio()
        if self.can(sounding=True, held=False):
            self.is_heard(words - 1)

    def first_audio(self) -> None:
        assert self.reply is not None
        self.reply.sounding = True
        self.happens(e.FirstAudio(self.reply.turn))

    @precondition(
        lambda self: self.can(sounding=False, held=True) or self.can(sounding=False, held=True, stopping=True)
    )
    @rule()
    def first_audio_crosses_a_hold(self) -> None:
        if self.reply is not None and self.reply.words and not self.reply.loading:
            self.first_audio()

    def is_heard(self, count: int) -> None:
        assert self.reply is not None
        self.reply.heard = min(self.reply.heard + count, len(self.reply.words))

    @precondition(lambda self: self.can() or self.can(stopping=True))
    @rule(held=st.booleans())
    def reply_may_end(self, held: bool) -> None:
        if self.reply is not None and held and self.reply.sounding:  # all of it was heard as the hold came
            self.reply.heard = len(self.reply.words)
        self.reply_ends()

    def reply_ends(self) -> None:
        """Everything was heard; while held only if it had been heard before."""
        reply = self.reply
        assert reply is not None
        if reply.loading or (reply.held and reply.heard < len(reply.words)):
            return
        if not reply.sounding:
            reply.words.clear()
        reply.written, reply.heard = True, len(reply.words)
        self.over(e.ReplyEnded(reply.turn, reply.facts()))

    @precondition(lambda self: self.reply is not None)
    @rule(really=st.sampled_from([False, False, True]))
    def reply_may_fail(self, really: bool) -> None:
        if really:
            self.reply_fails()

    def reply_fails(self) -> None:
        assert self.reply is not None
        self.over(e.ReplyFailed(self.reply.turn, self.reply.facts(), "unavailable", "the worker is gone"))

    @precondition(lambda self: self.can(stopping=True))
    @rule()
    def reply_stops(self) -> None:
        assert self.reply is not None
        self.over(e.ReplyStopped(self.reply.turn, self.reply.facts()))

    @precondition(lambda self: self.can(sounding=False) and not self.reply.words and not self.reply.loading)
    @rule(result=st.booleans())
    def model_loads(self, result: bool) -> None:
        assert self.reply is not None
        self.happens(e.ToolHappened(self.reply.turn, "clock", "1", "{}", result))
        self.reply.loading = True
        self.happens(e.ReplyLoading(self.reply.turn))

    @precondition(lambda self: self.draft is not None)
    @rule(does=st.sampled_from(["writes", "writes", "loads", "calls", "fails"]))
    def draft_goes_on(self, does: str) -> None:
        draft = self.draft
        assert draft is not None
        if does == "writes":
            if draft.loading:
                draft.loading = False
                self.happens(e.ReplyAnswering(draft.turn))
            draft.words.append(f"reply{draft.turn}.{len(draft.words)}")
        elif does == "loads" and not draft.words:
            draft.loading = True
            self.happens(e.ReplyLoading(draft.turn))
        elif does == "calls":
            self.happens(e.ToolHappened(draft.turn, "clock", "1", "{}", False))
        elif does == "fails":
            self.draft = None
            self.happens(e.ReplyFailed(draft.turn, draft.facts(), "unavailable", "the worker is gone"))

    @precondition(lambda self: self.finished and self.finished[-1:] == self.started[-1:])
    @rule()
    def old_news_of_a_reply(self) -> None:
        before = self.glance()
        heard = e.Heard(self.finished[-1], 1, "stale words", "", False)
        self.happens(e.ReplyStopped(self.finished[-1], heard))
        self.happens(e.FirstAudio(self.finished[-1]))
        assert self.glance() == before

    # --- the client ----------------------------------------------------------------------------------------------

    def asks(self) -> None:
        if self.ended:
            return
        utterance = f"typed{self.words}"
        full = len(self.machine._core.asked) >= self.policy.say_queue
        self.words += 1
        speech = Speech(self.now, ended=True, finished=True, text="" if full else utterance)
        self.typed.append(speech)
        self.happens(e.Asked(utterance))

    def says(self) -> None:
        text = f"say{self.words}"
        self.words += 1
        if len(self.machine._core.says) < self.policy.say_queue:
            self.waiting[text] = 1
        self.happens(e.Said(text))

    def interrupts(self) -> None:
        reply = self.reply
        self.happens(e.Interrupted())
        assert self.ended or reply is None or reply.stopping

    def cancels(self) -> None:
        if self.ended:
            return
        core = self.machine._core
        answered = " ".join(item.text for item in core.committed) if core.phase is Phase.STOPPING else None
        kept = " ".join(item.text for item in self.machine.history) if answered is None else answered
        kept += " " + " ".join(core.asked)
        for speech in (*self.speeches.values(), *self.typed):
            speech.cancelled = speech.cancelled or speech.text not in kept or not speech.finished
        self.happens(e.TurnCancelled())

    def commits(self) -> None:
        self.happens(e.TurnCommitted())

    def releases(self) -> None:
        self.happens(e.InputChanged(e.Input.RELEASED))

    def mutes(self) -> None:
        self.happens(e.InputChanged(e.Input.MUTED))

    @rule(
        does=st.sampled_from(
            ["asks", "says", "interrupts", "cancels", "commits", "releases", "mutes", "nothing", "nothing", "nothing"]
        )
    )
    def client(self, does: str) -> None:
        if does != "nothing":
            getattr(self, does)()

    @rule(interruptible=st.sampled_from([True, True, False]), endpoint_ms=st.sampled_from([300, 800]))
    def changes_policy(self, interruptible: bool, endpoint_ms: int) -> None:
        self.happens(e.PolicyChanged(replace(self.policy, interruptible=interruptible, endpoint_ms=endpoint_ms)))

    @rule(back_after=st.sampled_from([0.0] * 20 + [0.1, 2.0, 20.0, 31.0]))
    def transport_is_lost(self, back_after: float) -> None:
        if not back_after:
            return
        self.away = True
        self.happens(e.TransportLost())
        if self.can() and not self.ended:
            assert self.reply is not None
            assert self.reply.held
        for utterance in self.talking:  # zeros are fed
            self.speeches[utterance].ended, self.speeches[utterance].ended_s = True, self.now
            self.happens(e.SpeechEnded(utterance, 0, self.now))
        self.pass_time(back_after)
        self.away = False
        self.happens(e.TransportBack())

    @rule(in_earnest=st.integers(0, 60))
    def session_ends(self, in_earnest: int) -> None:
        if in_earnest == 60:
            self.happens(e.SessionEnded("client"))

    # --- what must always hold -----------------------------------------------------------------------------------

    def glance(self) -> object:
        core = self.machine._core
        return (core.phase, core.history, core.turn, self.machine.next_deadline(), self.reply, tuple(self.started))

    @invariant()
    def bounds(self) -> None:
        core = self.machine._core
        if core.phase is not Phase.LISTENING:
            self.listening_since_s = None
        assert self.machine.state is State(self.state)
        assert self.ended is (core.phase is Phase.TERMINATED)
        if self.ended:
            assert self.machine.next_deadline() is None
            return
        assert (core.draft is not None) is (self.draft is not None)
        assert core.draft is None or core.phase is Phase.LISTENING
        assert core.draft is None or core.draft.due_s == self.due_s
        if core.draft is not None and self.due_s is not None:
            assert self.now < self.due_s == core.hearing.due(core.policy), "it is due at another time than was told"
            assert not core.hearing.speaking
        assert (core.reply is not None) is (core.phase in LIVE or core.phase is Phase.STOPPING)
        assert bool(core.hearing.holding) is (core.phase in HELD)
        if core.phase is Phase.IDLE:
            assert not core.hearing.open
            assert not core.says
            assert core.again is None
        if core.phase is Phase.LISTENING:
            assert core.hearing.open
        assert not core.asked or core.phase in LIVE or core.phase is Phase.STOPPING
        assert len(core.hearing.of(Part.DORMANT)) <= DORMANT_MAX
        assert len(core.says) <= self.policy.say_queue
        waited_for = {u for u, speech in self.speeches.items() if not speech.finished and not speech.forgotten}
        idle = {u.id for u in core.hearing.utterances.values() if u.part is not Part.TURN}
        assert idle <= waited_for, "an utterance of which nothing can come any more is kept"

    @invariant()
    def holds_end(self) -> None:
        reply, core = self.reply, self.machine._core
        if self.ended or reply is None or not reply.held or core.phase not in HELD:
            return
        assert self.now <= core.live.held_since_s + self.policy.hold_max_s

    @invariant()
    def turns_end(self) -> None:
        if self.machine.phase is not Phase.LISTENING or self.policy.manual:
            self.listening_since_s = None
            return
        self.listening_since_s = self.listening_since_s or self.now
        assert self.now - self.listening_since_s <= self.policy.turn_max_s + self.policy.final_ms / 1000

    @invariant()
    def history_is_what_was_heard(self) -> None:
        said = [item.text for item in self.machine.history if item.role is Role.ASSISTANT]
        assert self.ended or said == self.spoken

    def teardown(self) -> None:
        """Lets everything come to its end: nothing was lost, nothing was told twice, nothing is left."""
        if not hasattr(self, "machine"):
            return
        for _ in range(60):
            if self.talking:
                self.speech_ends()
            for utterance in self.unfinished:
                self.finish(utterance, "as it was")
            if self.policy.manual:
                self.commits()
            self.pass_time(3.0)
            if self.reply is None:
                continue
            if self.reply.stopping:
                self.reply_stops()
                continue
            self.writes(1, True)
            if self.reply is not None and not self.reply.stopping:
                if self.can(sounding=False, held=False) and self.reply.words:
                    self.first_audio()
                if self.can(held=False):
                    self.reply_ends()
        self.pass_time(60.0)
        if self.ended:
            return
        assert self.machine.phase is Phase.IDLE
        assert not self.machine._core.hearing.utterances
        assert self.machine.next_deadline() is None
        assert self.finished == self.started
        assert not self.waiting, "a text to be said was lost"
        said = " ".join(item.text for item in self.machine.history if item.role is Role.USER).split()
        for speech in (*self.speeches.values(), *self.typed):
            real = speech.text and not is_backchannel(speech.text, "en")
            for word in speech.text.split():
                if word.startswith(("word", "typed")) and real:
                    assert said.count(word) == 1 or (speech.cancelled and said.count(word) <= 1), (word, said)


Conversation.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestConversation = Conversation.TestCase
