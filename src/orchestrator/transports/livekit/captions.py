"""What LiveKit's captions are to say, from the messages of a session and from what was heard. Pure.

Every utterance and every turn is a *segment*. The user's text comes whole with each transcript, the last one final. The
agent's text grows as its words begin to sound, which its marks and the listener's place tell; when the turn is over it
is what was heard, no more: the rest is added, or, where a word was shown that was not heard to its end, the segment is
said anew.

Steps wait until somebody carries them out, the newest for each segment only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from orchestrator import messages as m

SEGMENTS = 50
"""That wait, or are not over; beyond it the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class UserSaid:
    """The segment's whole text so far."""

    segment: str
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class AgentSays:
    """More of the segment's text; the first piece opens it."""

    segment: str
    text: str


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """The segment is over. `text`: all of it, where that is not what was said step by step."""

    segment: str
    text: str | None = None


Step = UserSaid | AgentSays | AgentSaid


@dataclass(slots=True)
class _Turn:
    segment: str
    text: str = ""
    marks: deque[tuple[int, int]] = field(default_factory=deque)
    """(sample, code points of the text that sound or have sounded then)."""
    heard: int = 0
    shown: int = 0
    written: int = 0
    """Code points that were given out in steps."""
    end: str | None = None

    def advance(self) -> None:
        while self.marks and self.marks[0][0] <= self.heard:
            self.shown = max(self.shown, min(self.marks.popleft()[1], len(self.text)))


class Captions:
    """One session's, over all its visits."""

    def __init__(self, session: str) -> None:
        self.session = session
        self._turns: dict[int, _Turn] = {}
        self._users: dict[int, m.Transcript] = {}
        self._waiting: deque[tuple[bool, int]] = deque()
        """(the user's, utterance or turn): who has something to say, in that order."""

    def message(self, message: m.ServerMessage) -> None:
        match message:
            case m.Transcript():
                self._users[message.utterance] = message
                self._wait(True, message.utterance)
            case m.Reply():
                self._turn(message.turn).text += message.text
            case m.MarkMessage() if message.turn in self._turns:
                turn = self._turns[message.turn]
                turn.marks.append((message.sample, message.end))
                self._show(message.turn, turn)
            case m.TurnFinished() if message.turn in self._turns or message.heard:
                self._turn(message.turn).end = message.heard
                self._wait(False, message.turn)

    def heard(self, turn: int, samples: int) -> None:
        """The listener is there."""
        known = self._turns.get(turn)
        if known is not None:
            known.heard = max(known.heard, samples)
            self._show(turn, known)

    def again(self) -> None:
        """Whoever reads is new, or lost what is half said."""
        for number, turn in self._turns.items():
            turn.written = 0
            if turn.shown:
                self._wait(False, number)

    def next(self) -> Step | None:
        """What is to be said now; it counts as said."""
        while self._waiting:
            user, number = self._waiting[0]
            step = self._user(number) if user else self._agent(number)
            if step is not None:
                return step
            self._waiting.popleft()
        return None

    # --- inside -----------------------------------------------------------------------------------------------------

    def _user(self, utterance: int) -> Step | None:
        said = self._users.pop(utterance, None)
        return None if said is None else UserSaid(f"SG_{self.session}_u{utterance}", said.text, said.final)

    def _agent(self, number: int) -> Step | None:
        turn = self._turns.get(number)
        if turn is None:
            return None
        if turn.end is None:
            return self._more(turn, turn.shown)
        rest = len(turn.end)
        if turn.end.startswith(turn.text[: turn.written]) and (turn.written or not turn.end):
            turn.text = turn.end
            if (more := self._more(turn, rest)) is not None:
                return more
            del self._turns[number]
            return AgentSaid(turn.segment) if turn.written else None
        del self._turns[number]
        return AgentSaid(turn.segment, turn.end)

    def _more(self, turn: _Turn, until: int) -> Step | None:
        text, turn.written = turn.text[turn.written : until], max(turn.written, until)
        return AgentSays(turn.segment, text) if text else None

    def _turn(self, number: int) -> _Turn:
        if number not in self._turns:
            self._turns[number] = _Turn(f"SG_{self.session}_{number}")
            if len(self._turns) > SEGMENTS:
                self._turns.pop(min(self._turns))
        return self._turns[number]

    def _show(self, number: int, turn: _Turn) -> None:
        turn.advance()
        if turn.shown > turn.written:
            self._wait(False, number)

    def _wait(self, user: bool, number: int) -> None:
        if (user, number) in self._waiting:
            return
        self._waiting.append((user, number))
        if len(self._waiting) > SEGMENTS:
            gone_user, gone = self._waiting.popleft()
            (self._users if gone_user else self._turns).pop(gone, None)
