"""What is said, as text: a line a turn on a terminal or in a pipe, and with `explain` why and how fast."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping

from antiphon.client import Event, Reconnected, Reconnecting
from antiphon.output import printable
from orchestrator.messages import (
    Error,
    Explain,
    MarkMessage,
    Notice,
    Reply,
    SessionStarted,
    Transcript,
    TurnEnded,
    TurnFinished,
)

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
    """Fed with every event; `write` takes pieces of text, line ends included.

    `typed`: the user sees what they typed already. With `live`, words appear as they sound: `heard` is to be called
    with the player's position now and then. Otherwise a reply is one line, once it is over.

    What the user said is shown once its words are final. A turn may end before that: then with the words it ended with.
    """

    def __init__(
        self, write: Callable[[str], None], *, explain: bool = False, typed: bool = False, live: bool = False
    ) -> None:
        self._write = write
        self._explain = explain
        self._typed = typed
        self._live = live
        self._turn = -1
        self._text = ""
        self._marks: deque[tuple[int, int]] = deque()
        self._shown = 0
        self._open = False
        self._finals: list[str] = []
        """What was shown of the user since their last turn."""

    def take(self, event: Event) -> None:
        match event:
            case SessionStarted():
                self.line(welcome(event))
            case Transcript(text=text, final=True) if text and not self._typed:
                self._finals.append(text)
                self.line(f"you> {printable(text)}")
            case TurnEnded():
                self._turn_ended(event)
            case Reply(turn=turn, text=text):
                self._begin(turn)
                self._text += text
            case MarkMessage(turn=turn, end=end, sample=sample):
                self._begin(turn)
                self._marks.append((sample, end))
            case TurnFinished():
                self._finished(event)
            case Notice(message=message):
                self.line(f"  ({printable(message)})")
            case Error(message=message):
                self.line(f"  error: {printable(message)}")
            case Explain(facts=facts) if self._explain:
                self.line("  " + explained(facts))
            case Reconnecting(reason=reason, wait_s=wait_s):
                self.line(f"  {printable(reason)}; trying again in {wait_s:.1f} s")
            case Reconnected():
                self.line("  connected again; the conversation goes on")
            case _:
                pass

    def heard(self, position: tuple[int, int] | None) -> None:
        """(turn, sample) that sounds next."""
        if not self._live or position is None or position[0] != self._turn:
            return
        until = self._shown
        while self._marks and self._marks[0][0] < position[1]:
            until = max(until, self._marks.popleft()[1])
        if until > self._shown:
            self._show(self._text[self._shown : until])
            self._shown = until

    def line(self, text: str) -> None:
        """A line of its own."""
        if self._open:
            self._write("\n")
            self._open = False
        self._write(text + "\n")

    def _turn_ended(self, event: TurnEnded) -> None:
        """Shows what the turn has besides the finals; what was typed is on the screen already."""
        rest = event.transcript
        for text in self._finals:
            rest = rest.replace(text, "", 1)
        self._finals.clear()
        if rest.strip() and event.reason != "asked" and not self._typed:
            self.line(f"you> {printable(rest.strip())}")

    def _begin(self, turn: int) -> None:
        if turn > self._turn:
            self._turn, self._text, self._shown = turn, "", 0
            self._marks.clear()

    def _show(self, text: str) -> None:
        self._write(("" if self._open else SPEAKER if self._shown == 0 else "          ") + printable(text))
        self._open = True

    def _finished(self, event: TurnFinished) -> None:
        """What was heard is what was said; the rest is shown as cut off."""
        cut = bool(event.unheard.strip())
        heard = printable(event.heard).strip()
        if self._shown and event.turn == self._turn:
            self._show(" —" if cut else self._text[self._shown :].rstrip())
            self._write("\n")
            self._open = False
        elif heard or cut:
            self.line(f"{SPEAKER}{heard}{' —' if cut else ''}")


SPEAKER = "antiphon> "


def welcome(started: SessionStarted) -> str:
    """One line about the session."""
    hears = "" if started.can_hear else "; nobody hears this language, but typing works"
    return f"session {started.session}: voice {started.voice}, brain {started.responder}{hears}"


def explained(facts: Mapping[str, str | float | int | None]) -> str:
    parts = [WHY[name].format(facts[name]) for name in WHY if facts.get(name) not in (None, "")]
    parts += [f"{name} {value}" for name, value in facts.items() if name not in WHY and name not in QUIET and value]
    return ", ".join(printable(p) for p in parts)


def to_terminal(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
