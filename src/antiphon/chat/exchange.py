"""When an exchange is over: something was said, and all that came of it has been heard. Pure.

Fed with every event, and with `said` once the user's side is done. It is over when the session listens again and all
has been quiet for `quiet_s`; or, when the session made nothing of what was said, after `patience_s` without news.
`antiphon.chat.watch` waits for that.
"""

from __future__ import annotations

from enum import Enum

from orchestrator.messages import Explain, MarkMessage, Notice, State, TurnEnded, TurnFinished

RESTING = frozenset({"idle", "listening"})


class Outcome(Enum):
    ANSWERED = "answered"
    UNHEARD = "unheard"
    """No turn of the user's came of it, or no reply."""
    STUCK = "stuck"
    """The reply does not go on."""


class Exchange:
    def __init__(self, *, quiet_s: float = 1.0, patience_s: float = 8.0, stuck_s: float = 120.0) -> None:
        self._quiet_s = quiet_s
        self._patience_s = patience_s
        self._stuck_s = stuck_s
        self._state = ""
        self._said_at: float | None = None
        self._news_at = 0.0
        self._turns = 0
        self._replies = 0
        self._noticed = False

    def begin(self, now: float) -> None:
        """A new one; the session's state stays known."""
        self._said_at = None
        self._news_at = now
        self._turns = self._replies = 0
        self._noticed = False

    def said(self, now: float) -> None:
        """The user has said all of it."""
        self._said_at = self._news_at = now

    def take(self, event: object, now: float) -> None:
        """Any event of a session; which ones matter is known here."""
        match event:
            case State(state=state):
                self._state = state
            case TurnEnded():
                self._turns += 1
            case TurnFinished():
                self._replies += 1
            case Notice():
                self._noticed = True
            case MarkMessage() | Explain():
                pass
        self._news_at = now

    def outcome(self, now: float) -> Outcome | None:
        """None: it goes on, at least until `deadline` or news."""
        if self._said_at is None:
            return None
        due, outcome = self._due()
        return outcome if now >= due else None

    def deadline(self) -> float | None:
        return None if self._said_at is None else self._due()[0]

    def _due(self) -> tuple[float, Outcome]:
        """What it comes to if there is no news until then."""
        if self._state not in RESTING:
            return self._news_at + self._stuck_s, Outcome.STUCK
        if self._replies:
            return self._news_at + self._quiet_s, Outcome.ANSWERED
        nothing_comes = self._noticed and not self._turns
        return self._news_at + (self._quiet_s if nothing_comes else self._patience_s), Outcome.UNHEARD
