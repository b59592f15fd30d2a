"""Which rooms are taken, and how full we say that we are."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from orchestrator.dispatch.jobs import ASSIGNMENT_S, TARGET_LOAD, Answer, Job, Jobs

pytestmark = pytest.mark.unit


def job(number: int, room: str = "", participant: str = "") -> Job:
    return Job(f"AJ_{number}", room or f"room-{number}", participant=participant)


def test_a_burst_is_not_over_accepted() -> None:
    jobs = Jobs(places=5)
    answers = [jobs.offered(job(n), sessions=2, now=0.0) for n in range(6)]
    assert answers == [Answer.ACCEPT] * 3 + [Answer.FULL] * 3


def test_a_place_is_held_from_the_yes_until_the_session_counts_itself() -> None:
    jobs = Jobs(places=2)
    jobs.offered(job(1), sessions=0, now=0.0)
    assert jobs.used(0) == 1
    assert jobs.assigned("AJ_1") == job(1)
    assert jobs.used(0) == 1
    jobs.opened("AJ_1")
    assert jobs.used(1) == 1
    jobs.ended("AJ_1")
    assert jobs.used(1) == 1, "the session is in its grace time, and has its place"


def test_a_job_that_is_not_assigned_in_time_gives_its_place_back() -> None:
    jobs = Jobs(places=1)
    jobs.offered(job(1), sessions=0, now=0.0)
    assert jobs.handle_timer(ASSIGNMENT_S - 0.1) == []
    assert jobs.handle_timer(ASSIGNMENT_S) == [job(1)]
    assert jobs.offered(job(2), sessions=0, now=ASSIGNMENT_S) is Answer.ACCEPT
    assert jobs.assigned("AJ_1") is None


def test_an_assignment_that_nobody_said_yes_to_or_that_comes_twice_is_none() -> None:
    jobs = Jobs(places=1)
    assert jobs.assigned("AJ_9") is None
    jobs.offered(job(1), sessions=0, now=0.0)
    assert jobs.assigned("AJ_1") is not None
    assert jobs.assigned("AJ_1") is None


def test_a_room_is_served_once_and_a_participant_of_a_room_once() -> None:
    jobs = Jobs(places=9)
    assert jobs.offered(job(1, "kitchen"), 0, 0.0) is Answer.ACCEPT
    assert jobs.offered(job(2, "kitchen"), 0, 0.0) is Answer.HERE
    assert jobs.offered(job(3, "kitchen", "anna"), 0, 0.0) is Answer.ACCEPT
    assert jobs.offered(job(4, "kitchen", "ben"), 0, 0.0) is Answer.ACCEPT
    assert jobs.offered(job(5, "kitchen", "ben"), 0, 0.0) is Answer.HERE
    jobs.ended("AJ_4")
    assert jobs.offered(job(6, "kitchen", "ben"), 0, 0.0) is Answer.ACCEPT


def test_when_the_server_is_gone_what_it_assigned_goes_on_and_the_rest_is_free() -> None:
    jobs = Jobs(places=2)
    jobs.offered(job(1), 0, 0.0)
    jobs.offered(job(2), 0, 0.0)
    jobs.assigned("AJ_1")
    assert jobs.lost() == [job(2)]
    assert jobs.running() == ["AJ_1"]


def test_drained_nothing_is_taken_and_what_runs_is_still_told() -> None:
    jobs = Jobs(places=2)
    jobs.offered(job(1), 0, 0.0)
    jobs.assigned("AJ_1")
    jobs.drain()
    assert jobs.offered(job(2), 0, 0.0) is Answer.DRAINING
    load = jobs.load(0)
    assert (load.full, load.draining, load.jobs, load.load) == (True, True, 1, 1.0)


def test_the_load_stays_below_livekits_target_while_there_is_a_place() -> None:
    jobs = Jobs(places=100)
    assert jobs.load(0).load == 0.0
    assert TARGET_LOAD * 0.97 < jobs.load(99).load < TARGET_LOAD
    assert not jobs.load(99).full
    assert jobs.load(100).full
    assert jobs.load(100).load == 1.0


class Machine(RuleBasedStateMachine):
    """A hub with `PLACES` sessions at most, and a server that offers, assigns, forgets and closes as it likes."""

    PLACES = 4
    asked = Bundle("asked")
    joining = Bundle("joining")
    open_ = Bundle("open")

    def __init__(self) -> None:
        super().__init__()
        self.jobs = Jobs(self.PLACES)
        self.now = 0.0
        self.others = 0
        self.sessions = 0
        self.number = 0

    @property
    def all(self) -> int:
        return self.others + self.sessions

    @rule(target=asked, room=st.integers(0, 7))
    def offer(self, room: int) -> object:
        self.number += 1
        offered = job(self.number, f"room-{room}")
        answer = self.jobs.offered(offered, self.all, self.now)
        assert answer is not Answer.DRAINING
        return offered.id if answer is Answer.ACCEPT else multiple()

    @rule(target=joining, id=consumes(asked))
    def assign(self, id: str) -> object:
        return id if self.jobs.assigned(id) else multiple()

    @rule(target=open_, id=consumes(joining))
    def open(self, id: str) -> str:
        self.sessions += 1
        self.jobs.opened(id)
        return id

    @rule(id=consumes(joining))
    def over_before_it_opened(self, id: str) -> None:
        self.jobs.ended(id)

    @rule(id=consumes(open_))
    def over(self, id: str) -> None:
        self.sessions -= 1
        self.jobs.ended(id)

    @rule(seconds=st.floats(0.1, 20.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.jobs.handle_timer(self.now)

    @rule()
    def server_lost(self) -> None:
        self.jobs.lost()

    @rule(by=st.sampled_from((-1, 1)))
    def somebody_else_comes_or_goes(self, by: int) -> None:
        """WebSocket sessions; the hub takes none beyond its places, nor into those that are held."""
        if by < 0 or self.jobs.used(self.all) < self.PLACES:
            self.others = max(0, self.others + by)

    @invariant()
    def never_more_than_there_are_places(self) -> None:
        assert self.jobs.used(self.all) <= self.PLACES

    @invariant()
    def full_is_said_exactly_when_there_is_no_place(self) -> None:
        load = self.jobs.load(self.all)
        assert load.full == (self.jobs.used(self.all) >= self.PLACES)
        assert load.full == (load.load >= TARGET_LOAD)


TestMachine = Machine.TestCase
