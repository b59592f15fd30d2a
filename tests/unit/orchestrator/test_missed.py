"""What is kept for a client that is away."""

from __future__ import annotations

import pytest

from orchestrator import messages as m
from orchestrator.missed import CHARACTERS, MESSAGES, REPLY_CHARACTERS, Missed
from orchestrator.outbox import CONTROL_BYTES, CONTROL_MESSAGES

pytestmark = pytest.mark.unit


def after(*messages: m.ServerMessage) -> list[m.ServerMessage]:
    missed = Missed()
    for message in messages:
        missed.add(message)
    return missed.take()


def finished(turn: int) -> m.TurnFinished:
    return m.TurnFinished(turn=turn, heard="", unheard="", samples=0, reason="complete")


def test_a_reply_in_many_pieces_is_one_text_where_it_began() -> None:
    ended = m.TurnEnded(turn=1, transcript="tell me", reason="silence")
    pieces = [m.Reply(turn=1, text=f"w{i} ") for i in range(500)]
    notice = m.Notice(code="loading", message="it loads")
    whole = "".join(piece.text for piece in pieces)
    assert after(ended, pieces[0], notice, *pieces[1:], finished(1)) == [
        ended,
        m.Reply(turn=1, text=whole),
        notice,
        finished(1),
    ]


def test_replies_of_two_turns_stay_two() -> None:
    one, two = m.Reply(turn=1, text="a"), m.Reply(turn=2, text="b")
    assert after(one, finished(1), two, two) == [one, finished(1), m.Reply(turn=2, text="bb")]


def test_of_an_utterance_the_last_transcript_is_kept() -> None:
    said = [m.Transcript(utterance=1, text="a" * n, final=n == 9) for n in range(10)]
    other = m.Transcript(utterance=2, text="b", final=False)
    assert after(*said[:-1], other, said[-1]) == [other, said[-1]]


def test_states_and_marks_are_not_kept() -> None:
    assert after(m.State(state="idle"), m.MarkMessage(turn=1, start=0, end=1, sample=0, exact=True)) == []


def test_what_only_shows_how_things_went_is_dropped_first_and_that_is_told() -> None:
    lasting = [m.TurnEnded(turn=1, transcript="x", reason="silence"), m.Reply(turn=1, text="y"), finished(1)]
    kept = after(*lasting, *(m.Explain(turn=n, facts={}) for n in range(3 * MESSAGES)))
    assert kept[:3] == lasting
    assert len(kept) == MESSAGES + 1
    last = kept[-1]
    assert isinstance(last, m.Notice)
    assert last.code == "messages_lost"
    assert last.message.startswith(f"{2 * MESSAGES + 3} messages")


def test_the_end_of_a_reply_too_long_to_keep_is_kept() -> None:
    text = "x" * REPLY_CHARACTERS
    end = m.TurnFinished(turn=1, heard="", unheard=text, samples=0, reason="interrupt")
    kept = after(m.Reply(turn=1, text=text), m.Reply(turn=1, text="y"), end)
    assert kept[:2] == [m.Reply(turn=1, text=text), end]


def test_all_text_is_bounded() -> None:
    kept = after(*[m.Notice(code="a", message="x" * 2_000)] * 99)
    assert sum(len(n.message) for n in kept if isinstance(n, m.Notice)) < CHARACTERS + 200


def test_it_is_bounded_whatever_comes_and_fits_into_the_outbox() -> None:
    missed = Missed()
    for turn in range(1_000):
        missed.add(finished(turn))
        missed.add(m.Reply(turn=1, text="\u0001" * 1_000))
    kept = missed.take()
    assert len(kept) == MESSAGES + 1 < CONTROL_MESSAGES
    assert sum(len(message.text) for message in kept if isinstance(message, m.Reply)) <= REPLY_CHARACTERS
    assert sum(len(m.server_encoder.encode(message)) for message in kept) < CONTROL_BYTES
    assert missed.take() == []
