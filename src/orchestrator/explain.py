"""What is known of one turn when it is over: the canonical log line, the `explain` message and the metrics. Pure.

The user's side and the reply's overlap: who talks over a reply begins the next turn before this one is over. So speech
is collected apart, and goes to the reply that answers it. Times are monotonic seconds; `facts` gives milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.conversation import commands as c
from orchestrator.conversation import events as e

Fact = str | float | int | None


@dataclass(slots=True)
class Speech:
    """What the user said in one turn, and what the machine made of it."""

    level_dbfs: float | None = None
    seconds: float = 0.0
    utterances: int = 0
    partials: int = 0
    final: str = ""
    confidence: float | None = None
    endpoint: str = ""
    """Why the turn ended; "" while it has not."""
    from_s: float | None = None
    voiced_until_s: float | None = None
    ended_s: float | None = None

    def note(self, event: e.Event, level_dbfs: float) -> None:
        match event:
            case e.SpeechStarted():
                self.utterances += 1
                self.from_s = event.at_s
            case e.SpeechEnded():
                self.level_dbfs = level_dbfs if self.level_dbfs is None else max(self.level_dbfs, level_dbfs)
                self.voiced_until_s = event.at_s
                if self.from_s is not None:
                    self.seconds += event.at_s - self.from_s
                    self.from_s = None
            case e.PartialHeard():
                self.partials += 1
            case e.FinalHeard() if event.text:
                self.final = f"{self.final} {event.text}".strip()
                self.confidence = event.confidence
            case _:
                pass

    def joined_to(self, before: Speech) -> None:
        """It turned out to be the rest of what was said before."""
        self.level_dbfs = max((x for x in (before.level_dbfs, self.level_dbfs) if x is not None), default=None)
        self.seconds += before.seconds
        self.utterances += before.utterances
        self.partials += before.partials
        self.final = f"{before.final} {self.final}".strip()
        if self.voiced_until_s is None:
            self.voiced_until_s = before.voiced_until_s


@dataclass(slots=True)
class TurnLine:
    """One reply, and the speech that it answers (none for a greeting, or text that was typed)."""

    turn: int
    cause: str
    responder: str
    speech: Speech | None
    started_s: float
    early_s: float | None = None
    """When it was begun, if that was before the user's turn ended."""
    first_text_s: float | None = None
    first_audio_s: float | None = None
    false_alarms: int = 0
    outcome: str = ""
    heard_samples: int = 0

    @property
    def response_s(self) -> float | None:
        """Last voiced sample of the user → first sample of the reply given to the transport."""
        return None if self.speech is None else _between(self.speech.voiced_until_s, self.first_audio_s)

    def facts(self) -> dict[str, Fact]:
        said = self.speech
        spoken: dict[str, Fact] = {}
        if said is not None:
            spoken = {
                "level_dbfs": None if said.level_dbfs is None else round(said.level_dbfs, 1),
                "speech_ms": round(said.seconds * 1000),
                "utterances": said.utterances,
                "partials": said.partials,
                "final_chars": len(said.final),
                "confidence": None if said.confidence is None else round(said.confidence, 2),
                "endpoint": said.endpoint,
                "endpoint_ms": _ms(said.voiced_until_s, said.ended_s),
            }
        return {
            "cause": self.cause,
            "responder": self.responder,
            **spoken,
            **({} if self.early_s is None else {"early_ms": _ms(self.early_s, self.started_s)}),
            "first_text_ms": _ms(self.started_s, self.first_text_s),
            "first_audio_ms": _ms(self.started_s, self.first_audio_s),
            "response_ms": None if said is None else _ms(said.voiced_until_s, self.first_audio_s),
            "false_alarms": self.false_alarms,
            "outcome": self.outcome,
        }


@dataclass(slots=True)
class TurnLog:
    """A session's. Fed with what happens; `finished` gives the line of a turn that is over."""

    _speech: Speech = field(default_factory=Speech)
    _line: TurnLine | None = None

    def note(self, event: e.Event, now: float, *, level_dbfs: float) -> None:
        self._speech.note(event, level_dbfs)
        line = self._line
        if line is not None and isinstance(event, e.FirstAudio) and line.turn == event.turn:
            line.first_audio_s = line.first_audio_s or now

    def ended(self, command: c.TellTurnEnded, now: float) -> None:
        """The user's turn is over."""
        self._speech.endpoint = command.reason
        self._speech.ended_s = now

    def started(self, command: c.StartReply, now: float, responder: str) -> None:
        speech = None
        if command.cause is c.Cause.USER:
            if self._speech.utterances and self._speech.endpoint != "asked":
                speech = self._speech
            self._speech = Speech()
        spoken_as_it_is = command.cause in (c.Cause.SAY, c.Cause.CONTINUE, c.Cause.APOLOGY)
        self._line = TurnLine(command.turn, command.cause.value, "" if spoken_as_it_is else responder, speech, now)

    def began_early(self, since_s: float) -> None:
        """The reply that was just started had been begun then."""
        if self._line is not None:
            self._line.early_s = since_s

    def wrote(self, now: float) -> None:
        if self._line is not None and self._line.first_text_s is None:
            self._line.first_text_s = now

    def false_alarm(self) -> None:
        """What was taken for the user was none."""
        self._speech = Speech()
        if self._line is not None:
            self._line.false_alarms += 1

    def finished(self, command: c.TellTurnFinished) -> TurnLine | None:
        """None for a turn that was never started here: our bug, which is not worth a session."""
        line, self._line = self._line, None
        if line is None or line.turn != command.turn:
            return None
        line.outcome = command.reason
        line.heard_samples = command.samples
        if command.reason == "withdrawn" and line.speech is not None:
            self._speech.joined_to(line.speech)
        return line


def _between(a: float | None, b: float | None) -> float | None:
    return b - a if a is not None and b is not None else None


def _ms(a: float | None, b: float | None) -> float | None:
    seconds = _between(a, b)
    return None if seconds is None else round(seconds * 1000, 1)
