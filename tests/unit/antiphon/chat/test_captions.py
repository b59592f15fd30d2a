from __future__ import annotations

import pytest

from antiphon.chat.captions import Captions
from antiphon.chat.recording import as_json
from antiphon.client import Event, Reconnected, Reconnecting
from orchestrator.messages import (
    Error,
    Explain,
    MarkMessage,
    Notice,
    Reply,
    SessionStarted,
    Transcript,
    TurnEnded,
    TurnFinished,
)

pytestmark = pytest.mark.unit

STARTED = SessionStarted(
    session="s1",
    protocol=1,
    resume="secret",
    resumed=False,
    input_rate=16_000,
    output_rate=48_000,
    voice="en-gb",
    language="en",
    hears=["en"],
    speaks=["en"],
    can_hear=False,
    responder="tour",
    grace_s=30.0,
    next_input_sample=0,
)


def printed(*events: Event, explain: bool = False, typed: bool = False) -> list[str]:
    pieces: list[str] = []
    captions = Captions(pieces.append, explain=explain, typed=typed)
    for event in events:
        captions.take(event)
    return "".join(pieces).splitlines()


def test_a_conversation_reads_as_one() -> None:
    assert printed(
        STARTED,
        Transcript(utterance=0, text="what", final=False),
        Transcript(utterance=0, text="what time is it", final=True),
        Reply(turn=0, text="It is "),
        Reply(turn=0, text="noon."),
        TurnFinished(turn=0, heard="It is ", unheard="noon.", samples=1, reason="interrupted"),
        Notice(code="n", message="I heard no words"),
        Error(code="bad_request", message="text: empty"),
        Reconnecting("lost", 0.25),
        Reconnected(STARTED),
    ) == [
        "session s1: voice en-gb, brain tour; nobody hears this language, but typing works",
        "you> what time is it",
        "antiphon> It is —",
        "  (I heard no words)",
        "  error: text: empty",
        "  lost; trying again in 0.2 s",
        "  connected again; the conversation goes on",
    ]


def mark(end: int, sample: int) -> MarkMessage:
    return MarkMessage(turn=0, start=0, end=end, sample=sample, exact=True)


def test_on_a_terminal_words_appear_as_they_sound() -> None:
    pieces: list[str] = []
    captions = Captions(pieces.append, live=True)
    for event in (
        Reply(turn=0, text="One, two, "),
        mark(4, 0),
        mark(9, 900),
        Reply(turn=0, text="three."),
        mark(16, 1_800),
    ):
        captions.take(event)
    for sample in (0, 1, 900, 901):
        captions.heard((0, sample))
    captions.heard((7, 99_999))
    assert "".join(pieces) == "antiphon> One, two,"
    captions.line("you> stop")
    captions.take(TurnFinished(turn=0, heard="One, two,", unheard="three.", samples=1, reason="interrupted"))
    assert "".join(pieces).splitlines() == ["antiphon> One, two,", "you> stop", "           —"]


def test_a_reply_that_is_heard_whole_is_shown_whole() -> None:
    pieces: list[str] = []
    captions = Captions(pieces.append, live=True)
    captions.take(Reply(turn=3, text="One, two."))
    captions.take(MarkMessage(turn=3, start=0, end=4, sample=0, exact=True))
    captions.heard((3, 100))
    captions.take(TurnFinished(turn=3, heard="One, two.", unheard="", samples=1, reason="completed"))
    assert "".join(pieces) == "antiphon> One, two.\n"


def test_what_was_typed_is_not_repeated() -> None:
    assert printed(Transcript(utterance=0, text="hello", final=True), typed=True) == []


def ended(transcript: str, reason: str = "silence") -> TurnEnded:
    return TurnEnded(turn=1, transcript=transcript, reason=reason)


def test_a_turn_that_ends_before_its_final_is_shown_as_it_ended() -> None:
    partial = Transcript(utterance=0, text="what time", final=False)
    assert printed(partial, ended("what time")) == ["you> what time"]
    assert printed(partial, ended("what time"), typed=True) == []


def test_what_was_shown_as_final_is_not_shown_again() -> None:
    first, second = (
        Transcript(utterance=n, text=text, final=True) for n, text in enumerate(("what time", "is it now"))
    )
    assert printed(first, second, ended("what time is it now")) == ["you> what time", "you> is it now"]
    assert printed(first, ended("what time is it now")) == ["you> what time", "you> is it now"]
    assert printed(first, ended("what time"), ended("what time")) == ["you> what time", "you> what time"]


def test_a_typed_line_in_a_spoken_conversation_is_not_repeated() -> None:
    assert printed(ended("what time is it", "asked")) == []


def test_explained_is_one_line_and_leaves_out_what_is_not_known() -> None:
    facts = {"level_dbfs": -23.5, "endpoint": "silence", "response_ms": 540.0, "first_text_ms": None, "cause": "user"}
    explain = Explain(turn=1, facts={**facts, "novel": 3})
    assert printed(explain) == []
    assert printed(explain, explain=True) == [
        "  level -23.5 dBFS, ended by silence, from last voice to first sound 540.0 ms, novel 3"
    ]


def test_what_was_said_cannot_drive_the_terminal() -> None:
    (line,) = printed(Transcript(utterance=0, text="a\x1b]0;b", final=True))
    assert "\x1b" not in line


def test_the_key_to_the_session_is_not_recorded() -> None:
    for event in (STARTED, Reconnected(STARTED)):
        assert "secret" not in str(as_json(event))
    assert as_json(STARTED)["type"] == "session_started"
    assert as_json(Reconnecting("x", 1.0)) == {"type": "reconnecting", "reason": "x", "wait_s": 1.0}
