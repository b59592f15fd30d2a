"""Which of the rooms that LiveKit offers are taken, and how full we are: pure.

    offered ──accepted──> ASKED ──assigned──> JOINING ──session opened──> OPEN
                            │ no assignment      │ room over                │ room over
                            └────────────────────┴──────────────────────────┴───────────> gone

A job that was accepted holds a place until its session has opened (from then on the session itself counts), or it is
gone: so a burst of rooms is never over-accepted, whatever LiveKit knew of our load when it asked.

LiveKit compares the loads of its workers with a target (`agents.target_load`, 0.7 unless configured) and asks nobody
who is at it or above, so the load that is reported reaches that only when no place is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

ASSIGNMENT_S = 10.0
"""How long after our yes LiveKit may take to assign the job; its own limit for our answer is the same."""
TARGET_LOAD = 0.7
"""At this load LiveKit gives a worker nothing more."""
NEARLY = 0.99
"""Of that, at most, while there is a place."""


@dataclass(frozen=True, slots=True)
class Job:
    """A room to be served; with `participant`, for that one alone."""

    id: str
    room: str
    room_id: str = ""
    participant: str = ""
    metadata: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Where its agent is; two of ours have nothing to do at the same."""
        return self.room, self.participant


class Answer(Enum):
    ACCEPT = "accept"
    FULL = "full"
    DRAINING = "draining"
    HERE = "here"
    """We serve it already: LiveKit came back, or somebody asked twice."""


class State(Enum):
    ASKED = "asked"
    JOINING = "joining"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Load:
    """What LiveKit is told."""

    load: float
    full: bool
    jobs: int
    draining: bool


@dataclass(slots=True)
class _Entry:
    job: Job
    state: State
    deadline: float | None = None


class Jobs:
    """`places` is how many sessions there may be at once; `sessions`, wherever it is asked for, how many there are."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._entries: dict[str, _Entry] = {}
        self._draining = False

    def offered(self, job: Job, sessions: int, now: float) -> Answer:
        """LiveKit asks whether we take `job`; ACCEPT holds a place for it."""
        if self._draining:
            return Answer.DRAINING
        if any(entry.job.place == job.place for entry in self._entries.values()):
            return Answer.HERE
        if self.used(sessions) >= self._places:
            return Answer.FULL
        self._entries[job.id] = _Entry(job, State.ASKED, now + ASSIGNMENT_S)
        return Answer.ACCEPT

    def assigned(self, id: str) -> Job | None:
        """It is ours. None: it is none that we said yes to, or it came too late."""
        entry = self._entries.get(id)
        if entry is None or entry.state is not State.ASKED:
            return None
        entry.state, entry.deadline = State.JOINING, None
        return entry.job

    def opened(self, id: str) -> None:
        """Its session counts from now on."""
        if entry := self._entries.get(id):
            entry.state = State.OPEN

    def ended(self, id: str) -> None:
        self._entries.pop(id, None)

    def lost(self) -> list[Job]:
        """The server is gone: what it has not assigned it never will."""
        return self._drop(lambda entry: entry.state is State.ASKED)

    def drain(self) -> None:
        """No new jobs any more."""
        self._draining = True

    def handle_timer(self, now: float) -> list[Job]:
        """Those that were not assigned in time; their places are free again."""
        return self._drop(lambda entry: entry.deadline is not None and entry.deadline <= now)

    # --- how full ---------------------------------------------------------------------------------------------------

    def reserved(self) -> int:
        """Places held for sessions that have not opened."""
        return sum(1 for entry in self._entries.values() if entry.state is not State.OPEN)

    def running(self) -> list[str]:
        """Ids of the jobs that were assigned."""
        return [id for id, entry in self._entries.items() if entry.state is not State.ASKED]

    def used(self, sessions: int) -> int:
        return sessions + self.reserved()

    def load(self, sessions: int) -> Load:
        used = self.used(sessions)
        full = self._draining or used >= self._places
        load = 1.0 if full else NEARLY * TARGET_LOAD * used / self._places
        return Load(load, full, len(self.running()), self._draining)

    def _drop(self, which: Callable[[_Entry], bool]) -> list[Job]:
        gone = [entry.job for entry in self._entries.values() if which(entry)]
        for job in gone:
            del self._entries[job.id]
        return gone
