import pytest

from orchestrator.conversation import commands as c
from orchestrator.conversation import events as e
from orchestrator.explain import TurnLog

pytestmark = pytest.mark.unit

SECOND = 16_000


def finished(turn: int, reason: str = "complete") -> c.TellTurnFinished:
    return c.TellTurnFinished(turn, "heard", "", 4800, reason)


def heard() -> e.Heard:
    return e.Heard(1, 0, "", "", True)


def speak(log: TurnLog, at: float, *, text: str = "what is this", utterance: int = 1, level: float = -20.0) -> None:
    """One second of speech from `at` on, with a partial and its final."""
    log.note(e.SpeechStarted(utterance, 0, at), at, level_dbfs=-90.0)
    log.note(e.PartialHeard(utterance, "what"), at + 0.5, level_dbfs=level)
    log.note(e.SpeechEnded(utterance, SECOND, at + 1.0), at + 1.2, level_dbfs=level)
    log.note(e.FinalHeard(utterance, text, 0.8), at + 1.3, level_dbfs=level)


def answer(log: TurnLog, turn: int, at: float, reason: str = "silence") -> None:
    log.ended(c.TellTurnEnded(turn, "what is this", reason), at)
    log.started(c.StartReply(turn, c.Cause.USER, ()), at, "echo")


def test_a_spoken_turn_from_its_first_sound_to_its_end():
    log = TurnLog()
    speak(log, 10.0)
    answer(log, 1, 11.5)
    log.wrote(11.6)
    log.wrote(11.9)
    log.note(e.FirstAudio(1), 11.75, level_dbfs=0.0)
    line = log.finished(finished(1))
    assert line is not None
    assert line.response_s == pytest.approx(0.75)
    assert line.facts() == {
        "cause": "user",
        "responder": "echo",
        "level_dbfs": -20.0,
        "speech_ms": 1000,
        "utterances": 1,
        "partials": 1,
        "final_chars": 12,
        "confidence": 0.8,
        "endpoint": "silence",
        "endpoint_ms": 500.0,
        "first_text_ms": 100.0,
        "first_audio_ms": 250.0,
        "response_ms": 750.0,
        "false_alarms": 0,
        "outcome": "complete",
    }
    assert line.speech is not None
    assert line.speech.final == "what is this"


def test_what_is_not_said_is_not_explained():
    log = TurnLog()
    log.started(c.StartReply(1, c.Cause.GREETING, ()), 1.0, "tour")
    line = log.finished(finished(1, "interrupt"))
    assert line is not None
    assert line.response_s is None
    assert "speech_ms" not in line.facts()
    assert line.facts()["first_audio_ms"] is None
    log.started(c.StartReply(2, c.Cause.SAY, (), "words"), 2.0, "tour")
    line = log.finished(finished(2))
    assert line is not None
    assert line.responder == "", "no brain had a part in it"


def test_typed_text_has_no_speech_though_there_was_some():
    log = TurnLog()
    speak(log, 10.0)
    answer(log, 1, 11.0, "asked")
    line = log.finished(finished(1))
    assert line is not None
    assert line.speech is None


def test_speech_over_a_reply_is_the_next_one_s():
    log = TurnLog()
    log.started(c.StartReply(1, c.Cause.GREETING, ()), 1.0, "tour")
    speak(log, 2.0)
    first = log.finished(finished(1, "barge_in"))
    answer(log, 2, 3.5)
    second = log.finished(finished(2))
    assert first is not None
    assert second is not None
    assert first.speech is None
    assert second.facts()["speech_ms"] == 1000


def test_a_false_alarm_belongs_to_nobody():
    log = TurnLog()
    log.started(c.StartReply(1, c.Cause.GREETING, ()), 1.0, "tour")
    speak(log, 2.0, text="")
    log.false_alarm()
    first = log.finished(finished(1))
    assert first is not None
    assert first.facts()["false_alarms"] == 1
    speak(log, 5.0, utterance=2)
    answer(log, 2, 6.5)
    second = log.finished(finished(2))
    assert second is not None
    assert second.facts()["utterances"] == 1


def test_a_withdrawn_reply_gives_its_speech_to_the_one_that_answers_the_whole():
    log = TurnLog()
    speak(log, 10.0, level=-30.0)
    answer(log, 1, 11.5)
    speak(log, 11.6, utterance=2, text="and that", level=-20.0)
    assert log.finished(finished(1, "withdrawn")) is not None
    answer(log, 2, 13.0)
    line = log.finished(finished(2))
    assert line is not None
    facts = line.facts()
    assert (facts["utterances"], facts["partials"], facts["speech_ms"], facts["level_dbfs"]) == (2, 2, 2000, -20.0)
    assert line.speech is not None
    assert line.speech.final == "what is this and that"
    assert facts["endpoint_ms"] == pytest.approx(400.0)


def test_a_turn_that_was_never_started_here_has_no_line():
    log = TurnLog()
    assert log.finished(finished(1)) is None
    log.started(c.StartReply(2, c.Cause.GREETING, ()), 1.0, "tour")
    assert log.finished(finished(1)) is None
