"""What the captions say, and when."""

from __future__ import annotations

import pytest

from orchestrator import messages as m
from orchestrator.transports.livekit.captions import AgentSaid, AgentSays, Captions, Step, UserSaid

pytestmark = pytest.mark.unit


def steps(captions: Captions) -> list[Step]:
    out = []
    while (step := captions.next()) is not None:
        out.append(step)
    return out


def mark(start: int, end: int, sample: int, turn: int = 1) -> m.MarkMessage:
    return m.MarkMessage(turn=turn, start=start, end=end, sample=sample, exact=True)


def finished(heard: str, turn: int = 1) -> m.TurnFinished:
    return m.TurnFinished(turn=turn, heard=heard, unheard="", samples=1, reason="complete")


def said(captions: Captions, text: str) -> None:
    captions.message(m.Reply(turn=1, text=text))


def test_the_users_words_come_whole_and_only_the_newest() -> None:
    captions = Captions("s")
    captions.message(m.Transcript(utterance=3, text="what", final=False))
    captions.message(m.Transcript(utterance=3, text="what time", final=False))
    assert steps(captions) == [UserSaid("SG_s_u3", "what time", False)]
    captions.message(m.Transcript(utterance=3, text="What time is it?", final=True))
    assert steps(captions) == [UserSaid("SG_s_u3", "What time is it?", True)]


def test_the_agents_words_come_as_they_sound() -> None:
    captions = Captions("s")
    said(captions, "Hello there, ")
    said(captions, "friend.")
    captions.message(mark(0, 5, 0))
    captions.message(mark(6, 11, 9600))
    assert steps(captions) == [AgentSays("SG_s_1", "Hello")]
    captions.heard(1, 9500)
    assert steps(captions) == []
    captions.heard(1, 9600)
    assert steps(captions) == [AgentSays("SG_s_1", " there")]
    captions.message(finished("Hello there, friend."))
    assert steps(captions) == [AgentSays("SG_s_1", ", friend."), AgentSaid("SG_s_1")]


def test_marks_that_come_late_are_shown_at_once() -> None:
    captions = Captions("s")
    said(captions, "Hello there")
    captions.heard(1, 48_000)
    captions.message(mark(0, 5, 100))
    captions.message(mark(6, 11, 200))
    assert steps(captions) == [AgentSays("SG_s_1", "Hello there")]


def test_what_was_shown_and_not_heard_is_taken_back() -> None:
    captions = Captions("s")
    said(captions, "Hello there, friend.")
    for at in (mark(0, 5, 0), mark(6, 11, 10)):
        captions.message(at)
    captions.heard(1, 10)
    assert steps(captions) == [AgentSays("SG_s_1", "Hello there")]
    captions.message(finished("Hello"))
    assert steps(captions) == [AgentSaid("SG_s_1", "Hello")]
    captions.heard(1, 500)
    assert steps(captions) == []


def test_a_reply_of_which_nothing_was_heard_says_nothing() -> None:
    captions = Captions("s")
    said(captions, "Hello there, friend.")
    captions.message(finished(""))
    assert steps(captions) == []


def test_a_reply_without_marks_is_said_at_its_end() -> None:
    captions = Captions("s")
    said(captions, "Hello.")
    captions.message(finished("Hello."))
    assert steps(captions) == [AgentSaid("SG_s_1", "Hello.")]


def test_a_turn_that_went_on_elsewhere_is_said_whole_when_it_is_over() -> None:
    captions = Captions("s")
    captions.message(mark(0, 5, 0, turn=9))
    captions.message(finished("Hello there", turn=9))
    assert steps(captions) == [AgentSaid("SG_s_9", "Hello there")]


def test_for_a_new_reader_what_is_half_said_is_said_again() -> None:
    captions = Captions("s")
    said(captions, "Hello there")
    captions.message(mark(0, 5, 0))
    assert steps(captions) == [AgentSays("SG_s_1", "Hello")]
    captions.again()
    captions.message(mark(6, 11, 0))
    assert steps(captions) == [AgentSays("SG_s_1", "Hello there")]


def test_what_nobody_fetches_does_not_pile_up() -> None:
    captions = Captions("s")
    for n in range(1000):
        captions.message(m.Transcript(utterance=n, text=str(n), final=True))
        captions.message(m.Reply(turn=n, text="words"))
    assert len(steps(captions)) <= 50
