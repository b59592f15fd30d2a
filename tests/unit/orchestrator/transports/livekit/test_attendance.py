"""With whom, from when, until when."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from orchestrator.messages import CloseCode
from orchestrator.transports.livekit.attendance import Attendance, Begin, Command, End, Leave, Open, Person
from orchestrator.transports.livekit.settings import RoomSettings

pytestmark = pytest.mark.unit

ANNA, BERT = Person("anna"), Person("bert")
NATIVE = Person("anna", native=True)
ROBOT = Person("robot", human=False)
SETTINGS = RoomSettings(grace_s=30.0, empty_s=60.0, moved_s=10.0, start_s=3.0)


def fresh(*people: Person, subscribed: bool = True, settings: RoomSettings = SETTINGS) -> Attendance:
    """In the room at 0; whatever that began is done."""
    attendance = Attendance(settings, 0.0)
    if subscribed:
        attendance.subscribed(0.0)
    attendance.up(people, 0.0)
    return attendance


def test_the_first_human_is_the_user_and_others_listen() -> None:
    attendance = Attendance(SETTINGS, 0.0)
    attendance.subscribed(0.0)
    assert attendance.up([ROBOT, ANNA, BERT], 0.0) == [Begin(ANNA, again=False), Open()]
    assert attendance.joined(Person("carl"), 1.0) == []
    assert attendance.left("bert", 2.0) == []
    assert attendance.user == "anna"


def test_a_session_is_opened_when_the_user_can_hear_it() -> None:
    attendance = Attendance(SETTINGS, 0.0)
    assert attendance.up([], 0.0) == []
    joining = Person("anna", ready=False)
    assert attendance.joined(joining, 1.0) == [Begin(joining, again=False)]
    assert attendance.subscribed(1.1) == []
    assert attendance.ready(ANNA, 1.2) == [Open()]
    assert attendance.subscribed(1.3) == []
    attendance.opened()
    assert attendance.next_deadline() is None


def test_a_session_is_opened_in_the_end_even_if_nothing_says_that_it_can_be_heard() -> None:
    attendance = fresh(ANNA, subscribed=False)
    assert attendance.next_deadline() == 1.0
    assert attendance.handle_timer(1.0) == [Open()]


def test_a_native_client_is_given_time_to_ask() -> None:
    attendance = fresh(NATIVE)
    assert attendance.subscribed(0.5) == []
    assert attendance.handle_timer(2.9) == []
    assert attendance.handle_timer(3.0) == [Open()]
    attendance = fresh(NATIVE)
    attendance.opened()
    assert attendance.next_deadline() is None


def test_who_comes_back_in_time_goes_on_and_who_does_not_is_left() -> None:
    attendance = fresh(ANNA)
    attendance.opened()
    assert attendance.left("anna", 10.0) == [End()]
    assert attendance.joined(ANNA, 39.0) == [Begin(ANNA, again=True), Open()]
    attendance.opened()
    assert attendance.left("anna", 50.0) == [End()]
    assert attendance.handle_timer(79.9) == []
    (leave,) = attendance.handle_timer(80.0)
    assert isinstance(leave, Leave)
    assert attendance.joined(ANNA, 81.0) == []


def test_the_next_human_is_talked_with_when_the_user_stays_away() -> None:
    attendance = fresh(ANNA, BERT)
    attendance.opened()
    attendance.left("anna", 10.0)
    assert attendance.handle_timer(40.0) == [Begin(BERT, again=False), Open()]


def test_a_connection_that_was_lost_goes_on_with_who_is_still_there() -> None:
    attendance = fresh(NATIVE)
    attendance.opened()
    assert attendance.down(5.0) == [End()]
    assert attendance.down(6.0) == []
    assert attendance.left("anna", 6.5) == []
    attendance.subscribed(7.0)
    assert attendance.up([NATIVE], 7.0) == [Begin(NATIVE, again=True), Open()]


def test_a_livekit_that_stays_away_is_given_up() -> None:
    attendance = fresh(ANNA)
    attendance.opened()
    attendance.down(5.0)
    assert attendance.next_deadline() == 35.0
    (leave,) = attendance.handle_timer(35.0)
    assert leave == Leave("waited for LiveKit in vain")


def test_a_room_where_nobody_comes_is_left() -> None:
    attendance = fresh()
    assert attendance.handle_timer(59.0) == []
    assert attendance.handle_timer(60.0) == [Leave("waited for anybody in vain")]


def test_a_session_that_is_over_is_left() -> None:
    attendance = fresh(ANNA)
    attendance.opened()
    assert attendance.closed(CloseCode.ENDED, "the session is over", 9.0) == [Leave("the session is over")]
    assert attendance.next_deadline() is None


def test_a_session_that_moved_may_come_back_for_a_while() -> None:
    attendance = fresh(NATIVE)
    attendance.opened()
    assert attendance.closed(CloseCode.RESUMED_ELSEWHERE, "", 10.0) == [Begin(NATIVE, again=False)]
    assert attendance.handle_timer(19.0) == []
    attendance.opened()
    assert attendance.next_deadline() is None
    attendance.closed(CloseCode.RESUMED_ELSEWHERE, "", 20.0)
    assert attendance.handle_timer(30.0) == [End(), Leave("the conversation goes on elsewhere")]


def test_only_who_is_named_counts() -> None:
    attendance = fresh(ANNA, settings=RoomSettings(participant="bert"))
    assert attendance.user is None
    assert attendance.joined(BERT, 1.0)[0] == Begin(BERT, again=False)


class AnyOrder(RuleBasedStateMachine):
    """People, connections and time as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.attendance = Attendance(SETTINGS, 0.0)
        self.visiting: Person | None = None
        self.opened = self.left = False

    def carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            assert not self.left
            match command:
                case Begin(person=person):
                    assert self.visiting is None
                    assert person.human
                    self.visiting, self.opened = person, False
                case Open():
                    assert self.visiting is not None
                    assert not self.opened
                    self.opened = True
                    self.attendance.opened()
                case End():
                    assert self.visiting is not None
                    self.visiting = None
                case Leave():
                    assert self.visiting is None
                    self.left = True

    @rule(person=st.sampled_from([ANNA, BERT, NATIVE, ROBOT, Person("bert", ready=False)]))
    def join(self, person: Person) -> None:
        self.carry_out(self.attendance.joined(person, self.now))

    @rule(person=st.sampled_from([ANNA, BERT]))
    def ready(self, person: Person) -> None:
        self.carry_out(self.attendance.ready(person, self.now))

    @rule()
    def subscribed(self) -> None:
        self.carry_out(self.attendance.subscribed(self.now))

    @rule(identity=st.sampled_from(["anna", "bert", "robot"]))
    def leave(self, identity: str) -> None:
        self.carry_out(self.attendance.left(identity, self.now))

    @rule()
    def down(self) -> None:
        self.carry_out(self.attendance.down(self.now))

    @rule(people=st.lists(st.sampled_from([ANNA, BERT, ROBOT]), unique=True))
    def up(self, people: list[Person]) -> None:
        self.carry_out(self.attendance.up(people, self.now))

    @rule(code=st.sampled_from([CloseCode.ENDED, CloseCode.RESUMED_ELSEWHERE]))
    def close(self, code: CloseCode) -> None:
        if self.visiting is not None and self.opened:
            self.visiting, self.opened = None, False
            self.carry_out(self.attendance.closed(code, "why", self.now))

    @rule(seconds=st.floats(0.1, 40.0))
    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while (at := self.attendance.next_deadline()) is not None and at <= until:
            self.now = max(self.now, at)
            commands = self.attendance.handle_timer(self.now)
            assert commands, "a deadline that brings nothing would be asked for for ever"
            self.carry_out(commands)
        self.now = until

    @invariant()
    def whoever_is_visited_is_the_user(self) -> None:
        assert self.visiting is None or self.visiting.identity == self.attendance.user

    @invariant()
    def the_agent_never_stays_for_nobody(self) -> None:
        if self.visiting is None and not self.left:
            assert self.attendance.next_deadline() is not None


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
