"""What is known of one turn when it is over: the canonical log line, the `explain` message and the metrics."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.conversation import commands as c
from orchestrator.conversation import events as e

Fact = str | float | int | None


@dataclass(slots=True)
class TurnLog:
    """Collects while the turn goes on. Times are monotonic seconds; `facts` gives them as milliseconds between."""

    session: str
    turn: int = 0
    cause: str = ""
    responder: str = ""
    level_dbfs: float = -120.0
    speech_s: float = 0.0
    partials: int = 0
    final: str = ""
    confidence: float = 0.0
    endpoint_reason: str = ""
    outcome: str = ""
    heard_samples: int = 0
    _speech_from_s: float | None = None
    _voiced_until_s: float | None = None
    _ended_s: float | None = None
    _started_s: float | None = None
    _first_text_s: float | None = None
    _first_audio_s: float | None = None

    def note(self, event: e.Event, now: float, *, level_dbfs: float) -> None:
        match event:
            case e.SpeechStarted():
                self._speech_from_s = event.at_s
            case e.SpeechEnded():
                self.level_dbfs = level_dbfs
                if self._started_s is None:
                    self._voiced_until_s = event.at_s
                if self._speech_from_s is not None:
                    self.speech_s += event.at_s - self._speech_from_s
                    self._speech_from_s = None
            case e.PartialHeard():
                self.partials += 1
            case e.FinalHeard():
                self.final = f"{self.final} {event.text}".strip()
                self.confidence = event.confidence
            case e.FirstAudio():
                if self._first_audio_s is None:
                    self._first_audio_s = now
            case _:
                pass

    def ended(self, command: c.TellTurnEnded, now: float) -> None:
        self._ended_s = now
        self.endpoint_reason = command.reason

    def started(self, command: c.StartReply, now: float, responder: str) -> None:
        self.turn = command.turn
        self.cause = command.cause.value
        self.responder = responder
        self._started_s = now
        if command.cause is not c.Cause.USER:
            self._voiced_until_s = None
            self._ended_s = None

    def wrote(self, now: float) -> None:
        if self._first_text_s is None:
            self._first_text_s = now

    def finish(self, command: c.TellTurnFinished, now: float) -> TurnLog:
        self.outcome = command.reason
        self.heard_samples = command.samples
        return self

    @property
    def response_s(self) -> float | None:
        """Last voiced sample of the user → first sample of the reply given to the transport."""
        return _between(self._voiced_until_s, self._first_audio_s)

    def facts(self) -> dict[str, Fact]:
        return {
            "cause": self.cause,
            "responder": self.responder,
            "level_dbfs": round(self.level_dbfs, 1),
            "speech_ms": round(self.speech_s * 1000),
            "partials": self.partials,
            "final_chars": len(self.final),
            "confidence": round(self.confidence, 2),
            "endpoint": self.endpoint_reason,
            "endpoint_ms": _ms(self._voiced_until_s, self._ended_s),
            "first_text_ms": _ms(self._started_s, self._first_text_s),
            "first_audio_ms": _ms(self._started_s, self._first_audio_s),
            "response_ms": _ms(self._voiced_until_s, self._first_audio_s),
            "outcome": self.outcome,
        }


def _between(a: float | None, b: float | None) -> float | None:
    return b - a if a is not None and b is not None else None


def _ms(a: float | None, b: float | None) -> float | None:
    seconds = _between(a, b)
    return None if seconds is None else round(seconds * 1000, 1)
