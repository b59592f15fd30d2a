"""What is said, as text: a line a turn on a terminal or in a pipe, and with `explain` why and how fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from antiphon.client import Event, Reconnected, Reconnecting
from antiphon.output import printable
from orchestrator.messages import Error, Explain, Notice, Reply, SessionStarted, Transcript, TurnFinished

WHY = {
    "level_dbfs": "level {} dBFS",
    "speech_ms": "speech {} ms",
    "partials": "{} partials",
    "confidence": "confidence {}",
    "endpoint": "ended by {}",
    "endpoint_ms": "{} ms after the last voice",
    "responder": "answered by {}",
    "first_text_ms": "first text after {} ms",
    "first_audio_ms": "first audio after {} ms",
    "response_ms": "from last voice to first sound {} ms",
    "outcome": "{}",
}
"""What `explain` shows, in this order; a fact that is not here is shown as it is called."""
QUIET = frozenset({"cause", "final_chars"})


class Captions:
    """Fed with every event; prints through `say`. `typed`: the user sees what they typed already."""

    def __init__(self, say: Callable[[str], None], *, explain: bool = False, typed: bool = False) -> None:
        self._say = say
        self._explain = explain
        self._typed = typed
        self._reply: dict[int, str] = {}
        self._final = ""

    def take(self, event: Event) -> None:
        match event:
            case SessionStarted():
                self._say(welcome(event))
            case Transcript(text=text, final=True) if text and not self._typed:
                self._final = text
                self._say(f"you> {printable(text)}")
            case Reply(turn=turn, text=text):
                self._reply[turn] = self._reply.get(turn, "") + text
            case TurnFinished():
                self._finished(event)
            case Notice(message=message):
                self._say(f"  ({printable(message)})")
            case Error(message=message):
                self._say(f"  error: {printable(message)}")
            case Explain(facts=facts) if self._explain:
                self._say("  " + explained(facts))
            case Reconnecting(reason=reason, wait_s=wait_s):
                self._say(f"  {printable(reason)}; trying again in {wait_s:.1f} s")
            case Reconnected():
                self._say("  connected again; the conversation goes on")
            case _:
                pass

    def _finished(self, event: TurnFinished) -> None:
        """What was heard is what was said; the rest is shown as cut off."""
        self._reply.pop(event.turn, None)
        heard = printable(event.heard).strip()
        if heard or event.unheard:
            self._say(f"antiphon> {heard}{' —' if event.unheard.strip() else ''}")


def welcome(started: SessionStarted) -> str:
    """One line about the session."""
    hears = "" if started.can_hear else "; nobody hears this language, but typing works"
    return f"session {started.session}: voice {started.voice}, brain {started.responder}{hears}"


def explained(facts: Mapping[str, str | float | int | None]) -> str:
    parts = [WHY[name].format(facts[name]) for name in WHY if facts.get(name) not in (None, "")]
    parts += [f"{name} {value}" for name, value in facts.items() if name not in WHY and name not in QUIET and value]
    return ", ".join(printable(p) for p in parts)


def to_terminal(text: str) -> None:
    click.echo(text)
