"""The driver of one conversation: one TaskGroup, one inbox.

Events wait in the inbox; the machine takes them one at a time; what it commands is carried out, in order, before the
next is taken. Carrying out never waits: it hands over to the part that owns the work, and what takes time comes back as
an event. A fault ends this session, never the process; the user is told.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from asr.vad import FrameVad
from base import log as logs
from base.errors import AntiphonError
from base.language import ANY, matches
from orchestrator import messages as m
from orchestrator.cancellation import is_cancelled
from orchestrator.clients.asr import EarsClient
from orchestrator.clients.tts import VoiceClient
from orchestrator.clients.workers import Workers
from orchestrator.conversation import commands as c
from orchestrator.conversation import events as e
from orchestrator.conversation.history import Item, Role
from orchestrator.conversation.machine import Machine, Policy, State
from orchestrator.conversation.states import LIVE
from orchestrator.downlink import Downlink, Ticker
from orchestrator.draft import Draft
from orchestrator.edge import Allowance
from orchestrator.explain import TurnLine, TurnLog
from orchestrator.faults import fault
from orchestrator.inbox import Inbox
from orchestrator.missed import Missed
from orchestrator.ports import Adjust, Context, Responder, Said, ToolCall, ToolResult, Transport, VoiceChoice
from orchestrator.reply import ReplyHooks, ReplyProgress, ReplyTask
from orchestrator.responders.client import ClientResponder
from orchestrator.turn_ear import TurnEar
from orchestrator.uplink import Uplink
from orchestrator.wishes import changed_choice, changed_policy, clean_text, detected_choice, settled_choice

log = logs.get_logger("session")

ERRORS_PER_S = 5.0
ERROR_BURST = 20.0
NOTICES_PER_S = 1.0
NOTICE_BURST = 3.0
SHUTDOWN = "shutdown"
"""Why a session ends that could go on, were the server not to stop."""


@dataclass(frozen=True, slots=True)
class Services:
    """What all sessions of a process share."""

    workers: Workers
    ticker: Ticker
    responder: Callable[[str], Responder]
    """A responder by name; raises an AntiphonError that lists the names there are."""
    detector: Callable[[], FrameVad]
    observe: Callable[[TurnLine], None]
    usual: VoiceChoice
    """The operator's model, voice and language, for whoever names none."""
    turn_ear: TurnEar | None = None
    """Hears whether somebody is done, where there is a model for it."""
    observe_session: Callable[[Mapping[str, int]], None] = lambda _: None
    start_timeout_s: float = 10.0
    log_pii: bool = False
    clock: Callable[[], float] = time.monotonic


class Session:
    """One conversation; a `ClientSide` for its transports. `run` is its only task; made by the hub."""

    def __init__(self, id: str, start: m.SessionStart, policy: Policy, choice: VoiceChoice, services: Services) -> None:
        self.id = id
        self.token = secrets.token_urlsafe(24)
        """Resumes this session."""
        self.start = start
        self._services = services
        self._clock = services.clock
        self._policy = policy
        self._choice = choice
        self._instructions = start.instructions
        self._responder = self._brain = services.responder(start.responder)
        """Who answers from the next turn on, and who was asked last."""
        history = tuple(Item(Role(h.role), h.text) for h in start.history)
        self._told_policy = self._policy_for(self._responder)
        """As the machine knows it."""
        self._machine = Machine(self._told_policy, history)
        self._inbox = Inbox(64)
        greeting = clean_text(start.greeting) if isinstance(start.greeting, str) else ""
        # Now: a client that sends everything at once has asked before our task runs.
        self._inbox.post_nowait(e.Opened(greet=start.greeting is True, greeting=greeting))
        self._transport: Transport | None = None
        self._missed = Missed()
        self._errors = Allowance(ERRORS_PER_S, ERROR_BURST, services.clock())
        """Of errors about messages; more are counted, not sent."""
        self._notices = Allowance(NOTICES_PER_S, NOTICE_BURST, services.clock())
        """Of notices about what the client changes; more wait, or are counted."""
        self._unsaid = 0
        self._deaf = ""
        """The language that the client is to be told nobody hears."""
        self._detected = ""
        """What the user was found to speak, where that was to be detected."""
        self._reply: asyncio.Task[None] | None = None
        self._progress: ReplyProgress | None = None
        self._task: ReplyTask | None = None
        self._turn_log = TurnLog()
        self._downlink = Downlink(
            ticker=services.ticker,
            post=self._post,
            credit=self._credit,
            clock=self._clock,
            mark=self._mark,
        )
        self._synth = VoiceClient(
            services.workers,
            rate=start.output_rate,
            sink=self._downlink,
            start_timeout_s=services.start_timeout_s,
            clock=self._clock,
        )
        phrases = tuple(start.phrases) or tuple(getattr(self._responder, "phrases", ()))
        self._ears = EarsClient(
            services.workers,
            language=choice.heard,
            ear=choice.ear,
            phrases=phrases,
            post=self._post,
            notice=self.notice_nowait,
            clock=self._clock,
        )
        self._uplink = Uplink(
            vad=services.detector(),
            ears=self._ears,
            post=self._post,
            clock=self._clock,
            remembers=services.turn_ear is not None,
            loudspeaker=self._downlink,
        )
        self._draft: Draft | None = None
        self._wasted: Counter[str] = Counter()
        self._loading = False
        self._ended = False
        self._reason = ""
        self._tasks: asyncio.TaskGroup | None = None
        self._warming: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[None] | None = None
        self._judged = 0

    # --- ClientSide -------------------------------------------------------------------------------------------------

    def audio_nowait(self, sample: int, pcm: bytes, now: float) -> None:
        """A fault in what is made of it ends the session."""
        self._services.ticker.look_nowait(now)
        try:
            self._uplink.audio_nowait(sample, pcm, now)
        except Exception as error:
            self._broken(error)

    def played_nowait(self, turn: int, samples: int) -> None:
        self._downlink.played_nowait(turn, samples)

    def lost_nowait(self, transport: Transport) -> None:
        if transport is not self._transport:
            return
        self._transport = None
        self._downlink.detach_nowait()
        self._inbox.post_nowait(e.TransportLost())

    def message_nowait(self, message: m.ClientMessage) -> None:
        """A fault in what is made of it ends the session."""
        try:
            self._take(message)
        except Exception as error:
            self._broken(error)

    def _take(self, message: m.ClientMessage) -> None:
        match message:
            case m.TextInput():
                self._text(message)
            case m.InputState():
                self._uplink.input_nowait(e.Input(message.state))
            case m.TurnCommit():
                self._uplink.end_speech_nowait()
                self._inbox.post_nowait(e.TurnCommitted())
            case m.TurnCancel():
                self._inbox.post_nowait(e.TurnCancelled())
            case m.Interrupt():
                self._inbox.post_nowait(e.Interrupted())
            case m.Played():
                self.played_nowait(message.turn, message.samples)
            case m.ReplyDelta() | m.ReplyEnd():
                self._client_reply(message)
            case m.SessionUpdate():
                self._update(message)
            case m.SessionEnd():
                self._inbox.post_nowait(e.SessionEnded("client"))
            case _:
                self._refuse(m.Error(code="wrong_state", message=f"{type(message).__name__} makes no sense now"))

    # --- the hub ----------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._transport is not None

    @property
    def busy(self) -> bool:
        """A reply is being written or heard by someone who is connected."""
        return self.connected and self._machine.state in (State.THINKING, State.SPEAKING)

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def next_input_sample(self) -> int:
        """16 kHz."""
        return self._uplink.next_sample

    @property
    def voice(self) -> VoiceChoice:
        return self._choice

    @property
    def responder_name(self) -> str:
        return self._responder.name

    def attach_nowait(self, transport: Transport, started: m.SessionStarted) -> None:
        """Takes a transport into use: the first, or one that takes over from a lost (or still open) one."""
        if self._transport is not None:
            old = self._transport
            self.lost_nowait(old)
            old.close_nowait(m.CloseCode.RESUMED_ELSEWHERE, "the session goes on over another connection")
        self._transport = transport
        transport.send_nowait(started)
        for message in self._missed.take():
            transport.send_nowait(message)
        self._downlink.attach_nowait(transport)
        if started.resumed:
            transport.send_nowait(m.State(state=self._machine.state.value))
            self._uplink.rebase_nowait()
            self._inbox.post_nowait(e.TransportBack())

    def end_nowait(self, reason: str) -> None:
        self._inbox.post_nowait(e.SessionEnded(reason))

    def expel_nowait(self, error: AntiphonError) -> None:
        """Whoever talks here may not any more: they are told, and the session ends."""
        self._tell(m.Error(code=error.code, message=error.message, fatal=True, reason=error.reason))
        self._close_transport(m.CloseCode.POLICY, error.message)
        self._inbox.post_nowait(e.SessionEnded("expelled"))

    def tick(self, now: float) -> None:
        """Call every 50 ms or so. A fault in it ends the session."""
        try:
            self._uplink.tick(now)
            self._synth.tick(now)
            self._ears.tick(now)
            self._tell_deaf(now)
        except Exception as error:
            self._broken(error)

    def notice_nowait(self, code: str, message: str) -> None:
        self._tell(m.Notice(code=code, message=message))

    def statistics(self) -> Mapping[str, int]:
        counts = self._uplink.counts
        return {
            **self._machine.counts,
            **self._wasted,
            "uplink_dropped": counts.dropped,
            "uplink_late": counts.late,
            "uplink_zeros": counts.zeros,
            "uplink_dismissed": counts.dismissed,
            "uplink_echoes": counts.echoes,
            "uplink_compared": self._uplink.compared,
            "failovers": self._synth.failovers,
            "ears_failovers": self._ears.failovers,
            "turns_judged": self._judged,
            "inbox_refused": self._inbox.refused,
            "errors_unsaid": self._unsaid,
            **{f"downlink_{what}": round(count) for what, count in self._downlink.statistics().items()},
        }

    async def run(self) -> None:
        """From the first event to the last. Never raises but for cancellation."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._synth.prepare_nowait(self._choice)
                self._warm_nowait()
                parts = [
                    tasks.create_task(self._uplink.run()),
                    tasks.create_task(self._ears.run()),
                    tasks.create_task(self._synth.run()),
                ]
                await self._drive()
                self._cancel_reply()
                for part in (*parts, self._warming, self._judging):
                    if part is not None:
                        part.cancel()
        except ExceptionGroup as group:
            self._broken(group)
        finally:
            self.close()

    def close(self) -> None:
        """Nothing happens here any more; doing it again changes nothing."""
        self._ended = True
        self._uplink.close()
        self._ears.close()
        self._downlink.detach_nowait()
        self._downlink.close()
        if self._reason in ("", SHUTDOWN):
            self._close_transport(m.CloseCode.GOING_AWAY, "the server stops")
        else:
            self._close_transport(m.CloseCode.ENDED, "the session is over")

    def _broken(self, error: Exception) -> None:
        """Our own fault: the user is told, and the session ends."""
        log.error("session_fault", session=self.id, **fault(error))
        self._tell(m.Error(code="internal", message="something broke here; the session is over", fatal=True))
        self._close_transport(m.CloseCode.INTERNAL, "internal error")
        self._inbox.post_nowait(e.SessionEnded("fault"))

    # --- the loop ---------------------------------------------------------------------------------------------------

    async def _drive(self) -> None:
        while not self._ended:
            event = await self._inbox.get(self._machine.next_deadline(), self._clock)
            now = self._clock()
            self._services.ticker.look_nowait(now)
            if event is None:
                todo = self._machine.handle_timer(now)
            else:
                event = self._over_what(event)
                todo = self._learn(event, now)
                self._note(event, now)
                todo += self._machine.handle(event, now)
                if isinstance(event, e.SpeechEnded):
                    self._judge_nowait(event.utterance)
            for command in todo:
                self._carry_out(command, now)
            self._uplink.over_reply_nowait(self._machine.phase in LIVE)

    def _judge_nowait(self, utterance: int) -> None:
        """Whether that was the end of the turn is asked of who can hear it; the answer comes as an event."""
        ear = self._services.turn_ear
        if ear is None or self._tasks is None:
            return
        if self._judging is not None:
            self._judging.cancel()
        said = Said(self._machine.said, self._detected or self._choice.language, self._uplink.heard)
        self._judging = self._tasks.create_task(self._judge(ear, utterance, said))

    async def _judge(self, ear: TurnEar, utterance: int, said: Said) -> None:
        done = await ear.done(said)
        if done is not None:
            self._judged += 1
            self._inbox.post_nowait(e.TurnJudged(utterance, done))

    def _over_what(self, event: e.Event) -> e.Event:
        """News of speech, with what the loudspeaker says meanwhile."""
        if isinstance(event, e.SpeechStarted | e.PartialHeard | e.FinalHeard):
            return replace(event, playing=self._downlink.playing())
        if isinstance(event, e.PolicyChanged):
            return replace(event, policy=self._told_policy)  # what was learnt while it waited overtook it
        return event

    def _learn(self, event: e.Event, now: float) -> list[c.Command]:
        """What the user speaks, once the recogniser is sure of it: what is said is read, and answered, in that.

        The machine knows before it takes the event: an answer that was begun early in another language is dropped.
        """
        language = event.language if isinstance(event, e.PartialHeard | e.FinalHeard) else ""
        if language in ("", self._detected) or self._choice.heard != ANY:
            return []
        assert isinstance(event, e.PartialHeard | e.FinalHeard)
        if not self._machine.heeds(event):  # the loudspeaker teaches nothing
            return []
        self._detected = language
        self._choice = self._answering(self._choice)
        if not matches(language, self._choice.language):
            log.info("language_unspoken", session=self.id, language=language)
        self._policy = replace(self._policy, language=language)
        self._told_policy = self._policy_for(self._responder)
        return self._machine.handle(e.PolicyChanged(self._told_policy, another=False), now)

    def _note(self, event: e.Event, now: float) -> None:
        """What the turn's log line wants to know, and the end of the reply's task."""
        self._turn_log.note(event, now, level_dbfs=self._uplink.level_dbfs)
        if isinstance(event, e.ReplyEnded | e.ReplyFailed) and event.turn == self._machine.turn:
            if self._draft is not None:
                self._drop_draft(event.turn)
                return
            self._cancel_reply()
            if isinstance(event, e.ReplyFailed):
                self._synth.stop_nowait(event.turn)

    def _carry_out(self, command: c.Command, now: float) -> None:
        match command:
            case c.StartReply():
                self._start_reply(command, now)
            case c.DraftReply():
                self._draft_reply(command, now)
            case c.ExpectReply():
                self._downlink.expect_nowait(command.turn, command.due_s)
            case c.DropDraft():
                self._drop_draft(command.turn)
            case c.PrepareReply():
                self._synth.prepare_nowait(self._choice)
            case c.HoldReply():
                self._downlink.hold_nowait(command.turn)
            case c.ResumeReply():
                if command.false_alarm and self._progress is not None:
                    self._progress.noise_nowait()
                    self._turn_log.false_alarm()
                self._downlink.resume_nowait(command.turn)
            case c.StopReply():
                self._cancel_reply()
                self._synth.stop_nowait(command.turn)
                self._downlink.stop_nowait(command.turn)
            case c.ForgetUtterance():
                self._ears.cancel_nowait(command.utterance)
            case c.SetTrigger():
                self._uplink.set_trigger_nowait(command.frames)
            case c.RelearnNoise():
                self._uplink.relearn_noise_nowait()
            case c.SilenceInput():
                self._uplink.end_speech_nowait()
            case c.EndSession():
                self._ended = True
                self._reason = command.reason
            case _:
                self._say_to_client(command, now)

    def _say_to_client(self, command: c.Command, now: float) -> None:
        match command:
            case c.TellState():
                if command.state == State.IDLE.value:
                    self._synth.release_nowait()
                self._tell(m.State(state=cast("Any", command.state)))
            case c.TellTranscript():
                self._tell(
                    m.Transcript(
                        utterance=command.utterance,
                        text=command.text,
                        final=command.final,
                        language=self._detected,
                    )
                )
            case c.TellTurnEnded():
                self._turn_log.ended(command, now)
                if isinstance(self._responder, ClientResponder):
                    self._responder.named_nowait(command.turn)
                self._tell(m.TurnEnded(turn=command.turn, transcript=command.transcript, reason=command.reason))
            case c.TellTurnFinished():
                self._tell(
                    m.TurnFinished(
                        turn=command.turn,
                        heard=command.heard,
                        unheard=command.unheard,
                        samples=command.samples,
                        reason=command.reason,
                    )
                )
                self._finish_log(command)
            case c.TellNotice():
                self._tell(m.Notice(code=command.code, message=command.message))
            case c.TellError(code="queue_full" | "empty_text"):
                self._refuse(m.Error(code=command.code, message=command.message))
            case c.TellError():
                self._tell(m.Error(code=command.code, message=command.message, fatal=command.fatal))
            case _:
                raise AssertionError(f"no one carries out {type(command).__name__}")

    # --- replies ----------------------------------------------------------------------------------------------------

    def _start_reply(self, command: c.StartReply, now: float) -> None:
        draft, self._draft = self._draft, None
        self._turn_log.started(command, now, self._responder.name)
        if draft is None:
            self._begin_reply(command)
            return
        self._turn_log.began_early(draft.since_s)
        if draft.written:
            self._turn_log.wrote(now)
        if self._progress is not None:
            self._progress.accept_nowait()
        if draft.choice is not None:
            self._choose(draft.choice)
        for message in draft.withheld:
            self._tell(message)
        self._downlink.resume_nowait(command.turn)

    def _draft_reply(self, command: c.DraftReply, now: float) -> None:
        """Nothing of it is heard or told until StartReply; see `Machine`."""
        self._draft = Draft(command.turn, now)
        start = c.StartReply(
            command.turn, c.Cause.USER, command.history, "", command.interruption, command.false_alarms
        )
        self._begin_reply(start)
        self._downlink.hold_nowait(command.turn)
        if self._reply is not None:
            self._reply.add_done_callback(lambda _: self._draft_written(command.turn))

    def _draft_written(self, turn: int) -> None:
        """What is held has no end; but a draft whose responder gave up is worth nothing."""
        failed = self._task.failed if self._task is not None and self._task.turn == turn else None
        if failed is not None and self._draft is not None and self._draft.turn == turn:
            heard = e.Heard(turn, 0, "", "", complete=False)
            self._inbox.post_nowait(e.ReplyFailed(turn, heard, failed.code, failed.message))

    def _drop_draft(self, turn: int) -> None:
        draft, self._draft = self._draft, None
        self._cancel_reply()
        self._synth.stop_nowait(turn)
        self._wasted["early_wasted_ms"] += round(self._downlink.made_s(turn) * 1000)
        self._wasted["early_wasted_chars"] += draft.written if draft is not None else 0
        self._downlink.stop_nowait(turn)

    def _begin_reply(self, command: c.StartReply) -> None:
        assert self._tasks is not None
        turn = command.turn
        self._cancel_reply()
        self._choice = self._answering(self._choice)  # voices come and go
        self._downlink.begin_nowait(turn)
        self._synth.prepare_nowait(self._choice)
        progress = ReplyProgress(lambda: self._downlink.wait_heard(turn), lambda: self._loads(turn))
        if self._draft is None:
            progress.accept_nowait()
        self._loading = False
        self._progress = progress
        task = ReplyTask(
            turn=turn,
            choice=self._choice,
            synthesizer=self._synth,
            audience=self._downlink,
            hooks=ReplyHooks(wrote=self._wrote, tool=self._tool, adjust=self._adjust),
            progress=progress,
        )
        spoken = getattr(self._task.failed, "spoken", "") if self._task is not None else ""
        self._task = task
        if command.cause in (c.Cause.SAY, c.Cause.CONTINUE, c.Cause.APOLOGY):
            text = spoken if command.cause is c.Cause.APOLOGY and spoken else command.text
            self._reply = self._tasks.create_task(task.speak(text))
            return
        context = Context(
            session=self.id,
            turn=turn,
            cause=command.cause,
            progress=progress,
            language=self._choice.language,
            instructions=self._instructions,
            voice=self._choice,
            interruption=command.interruption,
            voices=self._services.workers.voices(self._choice.language),
            facts=self._services.workers.facts(self._choice.heard),
        )
        if self._draft is None:  # else it is who has answered before: of another one the machine is yet to be told
            self._brain = self._responder
        self._reply = self._tasks.create_task(task.run(self._brain, command.history, context))

    def _cancel_reply(self) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.cancel()
        self._reply = None

    def _loads(self, turn: int) -> None:
        self._loading = True
        self._inbox.post_nowait(e.ReplyLoading(turn))

    def _wrote(self, turn: int, text: str) -> None:
        if self._loading:
            self._loading = False
            self._inbox.post_nowait(e.ReplyAnswering(turn))
        draft = self._draft
        if draft is not None and draft.turn == turn:
            draft.written += len(text)
        else:
            self._turn_log.wrote(self._clock())
        self._tell_of(turn, m.Reply(turn=turn, text=text))

    def _tool(self, turn: int, delta: ToolCall | ToolResult) -> None:
        result = isinstance(delta, ToolResult)
        content = delta.content if isinstance(delta, ToolResult) else delta.arguments
        self._inbox.post_nowait(e.ToolHappened(turn, delta.name, delta.call_id, content, result))

    def _adjust(self, delta: Adjust) -> VoiceChoice:
        """A brain's wish for a voice that is not there is none: what it says is worth more than how."""
        draft = self._draft
        before = self._choice if draft is None or draft.choice is None else draft.choice
        choice = self._changed(before, delta)
        try:
            self._services.workers.check_voice(choice)
        except AntiphonError as error:
            log.warning("adjust_refused", session=self.id, reason=error.reason)
            return before
        if draft is None:
            self._choose(choice)
        else:
            draft.choice = choice
        return choice

    def _changed(self, choice: VoiceChoice, wish: m.SessionUpdate | Adjust) -> VoiceChoice:
        changed = changed_choice(choice, wish)
        return self._answering(settled_choice(changed, self._services.usual, self._services.workers.language_of))

    def _answering(self, choice: VoiceChoice) -> VoiceChoice:
        """`choice` in the language that the user was found to speak; where nobody speaks it now, in the usual one."""
        if choice.heard != ANY or not self._detected:
            return choice
        usual, workers = self._services.usual, self._services.workers
        found = detected_choice(choice, usual, self._detected, workers.language_of)
        if workers.can_speak(found):
            return found
        return settled_choice(replace(choice, language=""), usual, workers.language_of)

    def _choose(self, choice: VoiceChoice) -> None:
        """From the next turn; a language and an ear from the next utterance."""
        if choice.heard != ANY:
            self._detected = ""
        if (choice.heard, choice.ear) != (self._choice.heard, self._choice.ear):
            self._ears.hear_nowait(choice.heard, choice.ear)
            self._deaf = choice.heard
        self._choice = choice
        self._tell_deaf(self._clock())

    def _tell_deaf(self, now: float) -> None:
        """A language that nobody hears: told once it has stayed, if it changes all the time."""
        language = self._deaf
        if not language:
            return
        if self._services.workers.can_hear(language, self._choice.ear):
            self._deaf = ""
        elif self._notices.take(now):
            self._deaf = ""
            self.notice_nowait("cannot_hear", cannot_hear(self._services.workers, language))

    def _credit(self, turn: int, until_sample: int) -> None:
        self._synth.credit_nowait(turn, until_sample)

    def _mark(self, turn: int, start: int, end: int, sample: int, exact: bool) -> None:
        self._tell_of(turn, m.MarkMessage(turn=turn, start=start, end=end, sample=sample, exact=exact))

    # --- client messages --------------------------------------------------------------------------------------------

    def _text(self, message: m.TextInput) -> None:
        text = clean_text(message.text)
        if not text:
            self._refuse(m.Error(code="bad_request", message="text: there is nothing in it to read", where="text"))
            return
        event: e.Event = e.Asked(text) if message.mode == "ask" else e.Said(text)
        if not self._inbox.post_nowait(event):
            self._refuse(m.Error(code="at_capacity", message="too much text waits already; send it again later"))

    def _client_reply(self, message: m.ReplyDelta | m.ReplyEnd) -> None:
        """For the brain that is being asked; before the first question, the one that will be."""
        brain = next((b for b in (self._brain, self._responder) if isinstance(b, ClientResponder)), None)
        if brain is None:
            name = self._responder.name
            self._refuse(m.Error(code="wrong_state", message=f"responder is {name!r}; only 'client' is answered for"))
            return
        try:
            if isinstance(message, m.ReplyDelta):
                brain.delta_nowait(message.turn, message.text, message.language)
            else:
                brain.end_nowait(message.turn)
        except AntiphonError as error:
            self._refuse(error)

    def _update(self, update: m.SessionUpdate) -> None:
        """Takes what was given; all of it holds from the next turn."""
        try:
            responder = self._services.responder(update.responder) if update.responder is not None else self._responder
            choice = self._changed(self._choice, update)
            self._services.workers.check_voice(choice)
            self._services.workers.check_ear(choice.ear)
        except AntiphonError as error:
            self._refuse(error)
            return
        both_client = isinstance(responder, ClientResponder) and isinstance(self._responder, ClientResponder)
        another = responder is not self._responder and not both_client
        if another:
            self._responder = responder
            self._warm_nowait()
        self._choose(choice)
        if update.instructions is not None:
            self._instructions = update.instructions
        self._policy = replace(changed_policy(self._policy, update), language=self._detected or choice.language)
        self._tell_policy(another=another)

    def _policy_for(self, responder: Responder) -> Policy:
        """Before the turn has ended only where it bears to be thrown away."""
        if getattr(responder, "early", False):
            return self._policy
        return replace(self._policy, early=False, head_start_ms=0)

    def _tell_policy(self, *, another: bool) -> None:
        """Tells the machine, if that matters to it. `another`: the responder is not the one that it was."""
        policy = self._policy_for(self._responder)
        if another or self._draft is not None or policy != self._told_policy:
            self._told_policy = policy
            self._inbox.post_nowait(e.PolicyChanged(policy, another))

    def _refuse(self, error: m.Error | AntiphonError) -> None:
        """A message was not carried out; nothing else has changed."""
        if isinstance(error, AntiphonError):
            error = m.Error(
                code=error.code,
                message=error.message,
                where=error.where,
                reason=error.reason,
                retry_after_s=error.retry_after_s,
            )
        if self._errors.take(self._clock()):
            self._tell(error)
        else:
            self._unsaid += 1

    # --- odds and ends ----------------------------------------------------------------------------------------------

    def _post(self, event: e.Event) -> None:
        self._inbox.post_nowait(event)

    def _tell_of(self, turn: int, message: m.ServerMessage) -> None:
        """Of a reply; nobody is told of one that may never be."""
        if self._draft is not None and self._draft.turn == turn:
            self._draft.withheld.append(message)
        else:
            self._tell(message)

    def _tell(self, message: m.ServerMessage) -> None:
        if self._transport is not None:
            self._transport.send_nowait(message)
        else:
            self._missed.add(message)

    def _finish_log(self, command: c.TellTurnFinished) -> None:
        line = self._turn_log.finished(command)
        if line is None:
            return
        self._services.observe(line)
        facts = line.facts()
        said = line.speech.final if line.speech is not None else ""
        pii = {"pii.user": said, "pii.heard": command.heard} if self._services.log_pii else {}
        log.info("turn", session=self.id, turn=command.turn, **facts, **pii)
        self._tell(m.Explain(turn=command.turn, facts=facts))

    def _warm_nowait(self) -> None:
        """One at a time: who is there last is warmed last."""
        if self._tasks is not None and (self._warming is None or self._warming.done()):
            self._warming = self._tasks.create_task(self._warm())

    async def _warm(self) -> None:
        warmed: Responder | None = None
        while warmed is not self._responder:
            warmed = self._responder
            await self._warm_one(warmed)

    async def _warm_one(self, responder: Responder) -> None:
        try:
            await responder.warm()
        except BaseException as error:
            # Whatever it is: a brain may be anybody's code, and it may yet answer.
            if is_cancelled(error):
                raise
            log.warning("responder_not_ready", session=self.id, **fault(error))
            what = error.message if isinstance(error, AntiphonError) else f"it broke ({type(error).__name__})"
            if self._notices.take(self._clock()):
                self.notice_nowait("responder_not_ready", f"the responder is not ready: {what}")
            else:
                self._unsaid += 1

    def _close_transport(self, code: int, reason: str) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.close_nowait(code, reason)


def cannot_hear(workers: Workers, language: str) -> str:
    hears = workers.hears()
    if language == ANY and hears:
        return f"nobody here tells languages apart; what you say is taken for one of: {', '.join(hears)}"
    known = f" (those that can: {', '.join(hears)})" if hears else ""
    return f"I can speak {language!r} but nobody here can hear it{known}; typing works"
