"""Plain values from messages and back. The wires' own tests go through every message of theirs."""

from __future__ import annotations

import pytest

from base.mirror import fill, plain
from pb.antiphon.v1 import conversation_pb2 as pb
from pb.antiphon.v1 import registry_pb2

pytestmark = pytest.mark.unit


def test_what_is_not_set_is_left_out_and_what_has_no_presence_is_there() -> None:
    assert plain(pb.SessionUpdate()) == {}
    assert plain(pb.SessionUpdate(voice="")) == {"voice": ""}
    assert plain(pb.Played()) == {"turn": 0, "samples": 0}


def test_enums_are_words() -> None:
    assert plain(pb.InputState(state=pb.MICROPHONE_STATE_MUTED)) == {"state": "muted"}
    assert plain(pb.InputState()) == {}
    assert plain(pb.InputState(state=42)) == {"state": "42"}  # type: ignore[arg-type]
    made = pb.InputState()
    fill(made, {"state": "released"})
    assert made.state == pb.MICROPHONE_STATE_RELEASED
    with pytest.raises(ValueError, match="none of open, muted, released"):
        fill(pb.InputState(), {"state": "loud"})


@pytest.mark.parametrize("value", [None, "text", 3, -3, 0, 1.5, ""])
def test_a_message_that_is_one_oneof_is_its_value(value: object) -> None:
    fact = pb.Fact()
    fill(fact, value)
    assert plain(fact) == value
    assert type(plain(fact)) is type(value)


@pytest.mark.parametrize("value", [True, False, "hello"])
def test_true_is_no_number_and_no_text(value: object) -> None:
    greeting = pb.Greeting()
    fill(greeting, value)
    assert plain(greeting) is value or plain(greeting) == value
    with pytest.raises(ValueError, match="takes no"):
        fill(pb.Greeting(), 1.5)
    with pytest.raises(ValueError, match="takes no bool"):
        fill(pb.Fact(), True)


def test_lists_maps_and_messages_within() -> None:
    value = {"turn": 1, "facts": {"a": 1, "b": "x", "c": None}}
    made = pb.Explanation()
    fill(made, value)
    assert plain(made) == value
    start = {"history": [{"role": "user", "text": "a"}, {"role": "assistant", "text": "b"}], "phrases": ["x", "y"]}
    session = pb.SessionStart()
    fill(session, start)
    assert {k: v for k, v in plain(session).items() if k in start} == start
    empty = pb.SessionStart()
    fill(empty, {"endpointing": {}})
    assert plain(empty)["endpointing"] == {}


def test_none_is_not_set_and_what_has_no_place_is_refused() -> None:
    made = pb.SessionUpdate()
    fill(made, {"voice": None})
    assert not made.HasField("voice")
    with pytest.raises(ValueError, match="has no field volume"):
        fill(pb.SessionUpdate(), {"volume": 1})
    with pytest.raises(ValueError, match="has fields"):
        fill(pb.SessionUpdate(), 7)
    with pytest.raises(ValueError):
        fill(pb.TextInput(), {"text": "\ud800"})


def test_messages_of_others_are_read_as_well() -> None:
    record = registry_pb2.WorkerRecord(id="tts", slots=3)
    assert {k: v for k, v in plain(record).items() if k in ("id", "slots")} == {"id": "tts", "slots": 3}
