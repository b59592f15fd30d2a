"""What a client is to be told when it is back. Pure.

A reply's pieces are kept as one text, an utterance's transcripts as the last; states and marks are not kept. Beyond
`MESSAGES` the oldest of what only shows how things went is dropped, then of the rest; beyond `CHARACTERS` of text a
message is dropped as it comes, a reply's sooner, so that its end has room. What was dropped is counted, and told.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from orchestrator import messages as m

MESSAGES = 100
CHARACTERS = 120_000
REPLY_CHARACTERS = 40_000
"""45 minutes of speech."""

LASTING = m.Reply | m.TurnEnded | m.TurnFinished | m.Error
"""Without these a client's account of the conversation has a hole."""
FLEETING = m.State | m.MarkMessage


class Missed:
    def __init__(self) -> None:
        self._messages: list[m.ServerMessage] = []
        self._characters = 0
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: m.ServerMessage) -> None:
        if isinstance(message, FLEETING):
            return
        size = _characters(message)
        if self._characters + size > (REPLY_CHARACTERS if isinstance(message, m.Reply) else CHARACTERS):
            self._dropped += 1
            return
        self._characters += size
        if isinstance(message, m.Reply):
            known = self._place(lambda old: isinstance(old, m.Reply) and old.turn == message.turn)
            if known is not None:
                self._messages[known] = replace(message, text=_text(self._messages[known]) + message.text)
                return
        elif isinstance(message, m.Transcript):
            known = self._place(lambda old: isinstance(old, m.Transcript) and old.utterance == message.utterance)
            if known is not None:
                self._characters -= _characters(self._messages.pop(known))
        self._messages.append(message)
        if len(self._messages) > MESSAGES:
            self._drop()

    def take(self) -> list[m.ServerMessage]:
        """All of it, oldest first; nothing is kept."""
        out, self._messages = self._messages, []
        if self._dropped:
            what = f"{self._dropped} messages of the time without a connection were too many to keep and are lost"
            out.append(m.Notice(code="messages_lost", message=what))
        self._characters = self._dropped = 0
        return out

    def _place(self, wanted: Callable[[m.ServerMessage], bool]) -> int | None:
        return next((at for at, message in enumerate(self._messages) if wanted(message)), None)

    def _drop(self) -> None:
        at = self._place(lambda message: not isinstance(message, LASTING)) or 0
        self._characters -= _characters(self._messages.pop(at))
        self._dropped += 1


def _text(message: m.ServerMessage) -> str:
    return message.text if isinstance(message, m.Reply) else ""


def _characters(message: m.ServerMessage) -> int:
    match message:
        case m.Reply() | m.Transcript():
            return len(message.text)
        case m.TurnEnded():
            return len(message.transcript)
        case m.TurnFinished():
            return len(message.heard) + len(message.unheard)
        case m.Notice() | m.Error():
            return len(message.message)
        case _:
            return 0
