"""Sessions of a worker: made by StartSession, taken up by one stream, gone with it, or when nobody takes them up."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from base.errors import AtCapacity, NotFound, Unavailable, WrongState
from tts_workers import values as v
from tts_workers.session import Session, Terms

_DRAIN_POLL_S = 0.02


class Sessions:
    """`make(id, terms)` makes one. Belongs to one event loop."""

    def __init__(
        self,
        make: Callable[[str, Terms], Session],
        *,
        claim_s: float,
        max_unclaimed: int,
        max_sessions: int,
    ) -> None:
        self._make = make
        self._claim_s = claim_s
        self._max_unclaimed = max_unclaimed
        self._max_sessions = max_sessions
        self._live: dict[str, Session] = {}
        self._claims: dict[str, asyncio.TimerHandle] = {}
        self._loop = asyncio.get_running_loop()
        self._draining = False

    def __len__(self) -> int:
        return len(self._live)

    @property
    def unclaimed(self) -> int:
        return len(self._claims)

    def start(self, terms: Terms) -> Session:
        """A session that lapses unless `attach` is called in time."""
        if len(self._claims) >= self._max_unclaimed:
            message = f"{len(self._claims)} sessions wait for their streams already; open a stream, or try again"
            raise AtCapacity(message, reason="TOO_MANY_SESSIONS", retry_after_s=self._claim_s)
        session = self.open(terms)
        self._claims[session.id] = self._loop.call_later(self._claim_s, self._lapse, session.id)
        return session

    def open(self, terms: Terms) -> Session:
        """A session that has its stream already; the caller closes it with `remove`."""
        if self._draining:
            raise draining()
        if len(self._live) >= self._max_sessions:
            message = f"this worker has {len(self._live)} sessions, the most there may be"
            raise AtCapacity(message, reason="TOO_MANY_SESSIONS", retry_after_s=1.0)
        session = self._make(secrets.token_urlsafe(16), terms)
        self._live[session.id] = session
        return session

    def get(self, id: str) -> Session:
        session = self._live.get(id)
        if session is None:
            message = f"there is no session {id[:6] + '…' if id else 'without an id'!r}; it ended, lapsed or never was"
            raise NotFound(message, reason="UNKNOWN_SESSION")
        return session

    def attach(self, id: str) -> Session:
        """For a stream that names this session in its first message."""
        session = self.get(id)
        if session.attached:
            raise WrongState("this session has a stream already; a session lives in one stream", reason="HAS_STREAM")
        session.attached = True
        if (claim := self._claims.pop(id, None)) is not None:
            claim.cancel()
        return session

    def remove(self, session: Session) -> None:
        self._live.pop(session.id, None)
        if (claim := self._claims.pop(session.id, None)) is not None:
            claim.cancel()
        session.close()

    def end(self, id: str) -> None:
        """Its stream ends cleanly; one without a stream is gone at once."""
        session = self.get(id)
        if session.attached:
            session.end()
        else:
            self.remove(session)

    async def drain(self) -> None:
        """Refuses what is new, lets turns finish, then ends the streams so that their clients go elsewhere."""
        self._draining = True
        for session in list(self._live.values()):
            session.handle(v.Draining())
        while self._live:
            for session in list(self._live.values()):
                if not session.attached:
                    self.remove(session)
                elif not session.busy:
                    session.end(draining())
            await asyncio.sleep(_DRAIN_POLL_S)

    def close(self) -> None:
        """Ends all, whatever they are at."""
        self._draining = True
        for session in list(self._live.values()):
            session.end(draining())
            self.remove(session)

    def _lapse(self, id: str) -> None:
        if (session := self._live.get(id)) is not None:
            self.remove(session)


def draining() -> Unavailable:
    return Unavailable("this worker is shutting down; go to another", reason="DRAINING", retry_after_s=1.0)
