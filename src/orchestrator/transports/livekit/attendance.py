"""Who is in the room, whom the agent talks with, and when it leaves. Pure.

The first human is the user; others listen. Somebody who comes back under the same identity is the same user. The user
being here, over a connection that works, is a *visit*: it begins with `Begin` and ends with `End`. In a visit a session
is opened by the client's session_start, or after `start_s` without one; by default for clients that send none, as soon
as they can hear it: when they are ready and somebody has our track, or after `READY_S`. Whether that is a new one or
goes on with what was there is the driver's knowledge.

The agent leaves when the session is over, when the user (or LiveKit) has been away for the grace time and nobody else
is there to talk with, and a while after the conversation moved to another transport; until then a session_start brings
it back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from orchestrator.messages import CloseCode


@dataclass(frozen=True, slots=True)
class Person:
    """`human`: neither an agent nor a machine of LiveKit's. `native`: sends session_start. `ready`: can be sent to."""

    identity: str
    human: bool = True
    native: bool = False
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Begin:
    """The user is here. `again`: was so before, and what was begun then goes on."""

    person: Person
    again: bool


@dataclass(frozen=True, slots=True)
class Open:
    """The visit has no session, and the client will not ask for one."""


@dataclass(frozen=True, slots=True)
class End:
    """The user is gone, or we are: the transport is lost."""


@dataclass(frozen=True, slots=True)
class Leave:
    reason: str


READY_S = 1.0

Command = Begin | Open | End | Leave


class Patience(Protocol):
    """See RoomSettings, which is one."""

    @property
    def participant(self) -> str: ...

    @property
    def grace_s(self) -> float: ...

    @property
    def empty_s(self) -> float: ...

    @property
    def moved_s(self) -> float: ...

    @property
    def start_s(self) -> float: ...


class Attendance:
    def __init__(self, settings: Patience, now: float) -> None:
        self._settings = settings
        self._here: dict[str, Person] = {}
        """Whom could be talked with, in the order they came."""
        self.user: str | None = None
        self._visit = self._opened = self._moved = self._left = False
        self._up = self._subscribed = False
        self._open_s = math.inf
        self._leave_s = now + settings.empty_s

    def up(self, people: Iterable[Person], now: float) -> list[Command]:
        """We are in the room, or in it again, and `people` are."""
        self._up = True
        here = {person.identity: person for person in people if self._counts(person)}
        kept = {identity: here[identity] for identity in self._here if identity in here}
        self._here = kept | here
        if self.user is None:
            self._leave_s = now + self._settings.empty_s
        return self._look(now, at_once=True)

    def down(self, now: float) -> list[Command]:
        """The connection is lost; the library, or our driver, is trying."""
        if not self._up:
            return []
        self._up = self._subscribed = False
        return self._away(now)

    def joined(self, person: Person, now: float) -> list[Command]:
        if not self._counts(person):
            return []
        known = self._visit and person.identity == self.user
        self._here[person.identity] = person
        return [] if known else self._look(now)

    def ready(self, person: Person, now: float) -> list[Command]:
        """They can be sent to."""
        if person.identity in self._here:
            self._here[person.identity] = person
        return self._look_ready(now)

    def subscribed(self, now: float) -> list[Command]:
        """Somebody has our track."""
        self._subscribed = True
        return self._look_ready(now)

    def left(self, identity: str, now: float) -> list[Command]:
        self._here.pop(identity, None)
        if identity != self.user or not self._up:
            return []
        return self._away(now)

    def opened(self) -> None:
        """The visit has its session."""
        self._opened, self._moved = True, False
        self._open_s = self._leave_s = math.inf

    def closed(self, code: int, reason: str, now: float) -> list[Command]:
        """The session closed its transport, or the transport gave the client up."""
        self._visit = self._opened = False
        self._open_s = math.inf
        if code != CloseCode.RESUMED_ELSEWHERE:
            return self._leave(reason)
        self._moved = True
        self._leave_s = now + self._settings.moved_s
        person = self._here.get(self.user or "")
        if person is None or not self._up:
            return []
        self._visit = True
        return [Begin(person, again=False)]

    def next_deadline(self) -> float | None:
        at = min(self._open_s, self._leave_s)
        return None if at == math.inf or self._left else at

    def handle_timer(self, now: float) -> list[Command]:
        if now >= self._open_s:
            self._open_s = math.inf
            return [Open()]
        if now < self._leave_s or self._left:
            return []
        if self._moved:
            return self._leave("the conversation goes on elsewhere")
        others = [person for person in self._here.values() if person.identity != self.user]
        if self._up and others and self.user is not None:
            self.user = None
            return self._look(now)
        who = "LiveKit" if not self._up else "the user" if self.user is not None else "anybody"
        return self._leave(f"waited for {who} in vain")

    # --- inside -----------------------------------------------------------------------------------------------------

    def _counts(self, person: Person) -> bool:
        only = self._settings.participant
        return person.human and (not only or person.identity == only)

    def _look(self, now: float, *, at_once: bool = False) -> list[Command]:
        """Whether there is somebody to begin with. `at_once`: a user of before does not know that we were away."""
        if self._visit or self._left or not self._up:
            return []
        again = self.user is not None
        if self.user is None:
            self.user = next(iter(self._here), None)
        person = self._here.get(self.user) if self.user is not None else None
        if person is None:
            return []
        self._visit = True
        self._opened = False
        self._leave_s = math.inf
        begin = Begin(person, again and not self._moved)
        self._moved = False
        if person.native and not (at_once and begin.again):
            # Its client knows best whether this goes on with something.
            self._open_s = now + self._settings.start_s
            return [begin]
        if person.ready and (self._subscribed or begin.again):
            return [begin, Open()]
        self._open_s = now + READY_S
        return [begin]

    def _look_ready(self, now: float) -> list[Command]:
        person = self._here.get(self.user or "")
        if person is None or person.native or not (person.ready and self._subscribed) or self._open_s == math.inf:
            return []
        self._open_s = math.inf
        return [Open()]

    def _away(self, now: float) -> list[Command]:
        self._open_s = math.inf
        if not self._moved:
            self._leave_s = min(self._leave_s, now + self._settings.grace_s)
        if not self._visit:
            return []
        self._visit = self._opened = False
        return [End()]

    def _leave(self, reason: str) -> list[Command]:
        if self._left:
            return []
        self._left = True
        out: list[Command] = [End()] if self._visit else []
        self._visit = False
        return [*out, Leave(reason)]
