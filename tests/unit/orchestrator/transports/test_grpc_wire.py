"""The protobuf messages are the session protocol's: every message and field, both ways, and nothing besides."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from antiphon.lines.grpc import wire as client_wire
from antiphon.lines.line import Closed, Unknown
from orchestrator.connection import Voice
from orchestrator.messages import (
    Audio,
    AudioInput,
    ClientMessage,
    Error,
    Explain,
    Malformed,
    Notice,
    Played,
    ServerMessage,
    SessionStart,
    SessionUpdate,
)
from orchestrator.transports.grpc import wire
from pb.antiphon.v1 import conversation_pb2 as pb
from tests.support.sample_values import full

pytestmark = pytest.mark.unit

PROTO = (Path(__file__).parents[4] / "proto" / "antiphon" / "v1" / "conversation.proto").read_text(encoding="utf-8")
CLIENT: tuple[Any, ...] = get_args(ClientMessage)
SERVER: tuple[Any, ...] = get_args(ServerMessage)


def tag(kind: Any) -> str:
    return str(kind.__struct_config__.tag)


def arms(message: Any) -> dict[str, Any]:
    return {field.name: field.message_type for field in message.DESCRIPTOR.fields}


def test_every_message_has_an_arm_and_every_arm_is_a_message() -> None:
    assert set(arms(pb.ConverseRequest)) == {tag(kind) for kind in CLIENT}
    assert set(arms(pb.ConverseResponse)) == {tag(kind) for kind in SERVER} | {"audio", "closing"}


@pytest.mark.parametrize("kind", [*CLIENT, *SERVER], ids=lambda k: k.__name__)
def test_every_field_is_there_by_name_and_no_other(kind: Any) -> None:
    there = arms(pb.ConverseRequest if kind in CLIENT else pb.ConverseResponse)[tag(kind)]
    check_fields(kind, there)


def check_fields(kind: Any, there: Any) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    assert set(fields) == set(there.fields_by_name)
    for name, field in fields.items():
        for inner in (field.type, *get_args(field.type)):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                check_fields(inner, there.fields_by_name[name].message_type)


@pytest.mark.parametrize("arm", [0, 1])
@pytest.mark.parametrize("kind", [k for k in CLIENT if k is not AudioInput], ids=lambda k: k.__name__)
def test_what_a_client_says_arrives_as_it_was(kind: Any, arm: int) -> None:
    message = full(kind, arm)
    sent = client_wire.request_of(message).SerializeToString()
    assert wire.message_from(pb.ConverseRequest.FromString(sent)) == message


@pytest.mark.parametrize("arm", range(6))
@pytest.mark.parametrize("kind", SERVER, ids=lambda k: k.__name__)
def test_what_a_server_says_arrives_as_it_was(kind: Any, arm: int) -> None:
    message = full(kind, arm)
    sent = wire.response_of(message).SerializeToString()
    assert client_wire.message_from(pb.ConverseResponse.FromString(sent)) == message


def test_audio_arrives_as_it_was() -> None:
    voice = pb.ConverseRequest.FromString(client_wire.request_of(Audio(0, 960, b"\1\2")).SerializeToString())
    assert wire.message_from(voice) == Voice(960, b"\1\2")
    anywhere = AudioInput(data=base64.b64encode(b"\3\4").decode())
    assert wire.message_from(client_wire.request_of(anywhere)) == Voice(None, b"\3\4")
    heard = wire.audio_of(Audio(7, 2**40, b"\5\6"))
    assert client_wire.message_from(heard) == Audio(7, 2**40, b"\5\6")


def test_the_last_word_arrives_as_it_was() -> None:
    assert client_wire.message_from(wire.closing_of(4001, "half \ud83d")) == Closed(4001, "half \ufffd")


def test_what_is_not_set_is_what_it_is_without() -> None:
    """Defaults are the protocol's, not protobuf's."""
    assert wire.message_from(pb.ConverseRequest(session_start=pb.SessionStart())) == SessionStart()
    assert wire.message_from(pb.ConverseRequest(session_update=pb.SessionUpdate())) == SessionUpdate()
    assert wire.message_from(pb.ConverseRequest(played=pb.Played())) == Played(turn=0, samples=0)
    emptied = pb.ConverseRequest(session_update=pb.SessionUpdate(voice="", rate=2.0))
    assert wire.message_from(emptied) == SessionUpdate(voice="", rate=2.0)
    off = pb.SessionStart(interruptible=False, greeting=pb.Greeting(on=False))
    assert wire.message_from(pb.ConverseRequest(session_start=off)) == SessionStart(interruptible=False, greeting=False)


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        (pb.ConverseRequest(session_start=pb.SessionStart(input_rate=0)), "input_rate"),
        (pb.ConverseRequest(session_start=pb.SessionStart(rate=float("nan"))), "rate"),
        (pb.ConverseRequest(session_start=pb.SessionStart(history=[pb.HistoryItem(text="x")])), "history[0]"),
        (pb.ConverseRequest(session_start=pb.SessionStart(phrases=["x"] * 501)), "phrases"),
        (pb.ConverseRequest(session_start=pb.SessionStart(turn_detection=9)), "turn_detection"),  # type: ignore[arg-type]
        (pb.ConverseRequest(session_update=pb.SessionUpdate(endpointing=pb.Endpointing(endpoint_ms=1))),
         "endpointing.endpoint_ms"),
        (pb.ConverseRequest(text=pb.TextInput()), "text"),
        (pb.ConverseRequest(text=pb.TextInput(text="x" * 20_001)), "text"),
        (pb.ConverseRequest(input=pb.InputState()), ""),
        (pb.ConverseRequest(played=pb.Played(turn=1, samples=2**63)), "samples"),
        (pb.ConverseRequest(), "message"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_as_json_s_is(request_: pb.ConverseRequest, where: str) -> None:
    with pytest.raises(Malformed) as refused:
        wire.message_from(request_)
    assert refused.value.where == where
    assert refused.value.reason == ("UNKNOWN_TYPE" if where == "message" else "MALFORMED")


def test_text_that_is_none_is_made_some() -> None:
    broken = wire.response_of(Error(code="internal", message="half \ud83d of it"))
    assert client_wire.message_from(broken) == Error(code="internal", message="half \ufffd of it")
    facts = wire.response_of(Explain(turn=1, facts={"\ud83d": "\udc00"}))
    assert client_wire.message_from(facts) == Explain(turn=1, facts={"\ufffd": "\ufffd"})


def test_what_a_later_server_says_is_no_error() -> None:
    later = b"\xf2\x3f\x03abc"
    message = client_wire.message_from(pb.ConverseResponse.FromString(later))
    assert isinstance(message, Unknown)
    extended = wire.response_of(Notice(code="x", message="y")).notice.SerializeToString() + later
    assert client_wire.message_from(pb.ConverseResponse(notice=pb.Notice.FromString(extended))) == Notice(
        code="x", message="y"
    )
    unknown_state = pb.ConverseResponse(state=pb.StateChange(state=77))  # type: ignore[arg-type]
    assert isinstance(client_wire.message_from(unknown_state), Unknown)


def test_every_field_has_a_comment() -> None:
    bare = []
    for number, line in enumerate(PROTO.splitlines(), start=1):
        is_field = re.match(r"\s+(optional |repeated )?[\w.<>, ]+ \w+ = \d+;", line)
        if is_field and "//" not in line and not re.search(r"[A-Z]_\w+ = \d+;", line):
            bare.append(f"{number}: {line}")
    assert not bare, bare
