from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from antiphon.chat.exchange import Exchange, Outcome
from antiphon.client import Event
from orchestrator.messages import Notice, State, TurnEnded, TurnFinished

pytestmark = pytest.mark.unit

ENDED = TurnEnded(turn=1, transcript="hi", reason="silence")
FINISHED = TurnFinished(turn=1, heard="hello", unheard="", samples=1, reason="completed")


def exchange() -> Exchange:
    made = Exchange(quiet_s=1.0, patience_s=8.0, stuck_s=100.0)
    made.take(State(state="listening"), 0.0)
    made.begin(0.0)
    return made


def test_it_goes_on_while_the_user_speaks() -> None:
    assert exchange().outcome(1e9) is None
    assert exchange().deadline() is None


def test_it_is_over_when_the_reply_was_heard_and_all_is_quiet() -> None:
    e = exchange()
    e.said(5.0)
    for event in (ENDED, State(state="thinking"), State(state="speaking")):
        e.take(event, 6.0)
    assert e.outcome(50.0) is None, "it is speaking"
    e.take(FINISHED, 60.0)
    e.take(State(state="listening"), 60.0)
    assert e.outcome(60.9) is None
    assert e.deadline() == 61.0
    assert e.outcome(61.0) is Outcome.ANSWERED


def test_a_session_that_makes_nothing_of_it_is_waited_for_a_while() -> None:
    e = exchange()
    e.said(5.0)
    assert e.outcome(12.9) is None
    assert e.outcome(13.0) is Outcome.UNHEARD


def test_told_that_no_words_were_heard_nobody_waits() -> None:
    e = exchange()
    e.said(5.0)
    e.take(Notice(code="no_words", message="I heard no words"), 6.0)
    assert e.outcome(7.0) is Outcome.UNHEARD


def test_a_reply_that_does_not_go_on_is_given_up() -> None:
    e = exchange()
    e.said(5.0)
    e.take(State(state="thinking"), 6.0)
    assert e.outcome(105.9) is None
    assert e.outcome(106.0) is Outcome.STUCK


class ExchangeMachine(RuleBasedStateMachine):
    """Whatever is told in whatever order: it ends by its deadline, and never before all is said."""

    def __init__(self) -> None:
        super().__init__()
        self.exchange = exchange()
        self.now = 0.0
        self.all_said = False

    @rule(
        event=st.sampled_from(
            [
                ENDED,
                FINISHED,
                Notice(code="x", message="y"),
                *(State(state=s) for s in ("listening", "thinking", "speaking", "barged_in", "idle")),  # type: ignore[arg-type]
            ]
        )
    )
    def news(self, event: Event) -> None:
        self.exchange.take(event, self.now)

    @rule(seconds=st.floats(0.0, 20.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: not self.all_said)
    @rule()
    def said(self) -> None:
        self.all_said = True
        self.exchange.said(self.now)

    @rule()
    def another(self) -> None:
        self.all_said = False
        self.exchange.begin(self.now)

    @invariant()
    def over_exactly_from_the_deadline_on(self) -> None:
        deadline = self.exchange.deadline()
        assert (deadline is None) == (not self.all_said)
        if deadline is not None:
            assert self.exchange.outcome(deadline) is not None
            assert self.exchange.outcome(deadline - 0.001) is None
            assert deadline <= self.now + 100.0


TestExchangeMachine = ExchangeMachine.TestCase
TestExchangeMachine.settings = settings(max_examples=100, deadline=None)
