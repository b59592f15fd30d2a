"""Messages: what is accepted, and that what is not is told what and where."""

from __future__ import annotations

import contextlib
import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadRequest
from orchestrator.messages import (
    CLIENT_TYPES,
    HEADER,
    Audio,
    ClientMessage,
    Malformed,
    Played,
    SessionStart,
    TextInput,
    decode_base64,
    pack_audio,
    parse_client,
    unpack_audio,
)

pytestmark = pytest.mark.unit


def refusal(text: str | bytes) -> Malformed:
    with pytest.raises(Malformed) as caught:
        parse_client(text)
    return caught.value


def test_defaults_and_unknown_fields() -> None:
    message = parse_client('{"type": "session_start", "colour": "red", "hold": true}')
    assert message == SessionStart(hold=True)


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("{", "", "not JSON"),
        ("nonsense", "", "not JSON"),
        (b"\xff\xfe", "", "not JSON"),
        ("[]", "", "object"),
        ("{}", "", "type"),
        ('{"type": "sing"}', "type", "'sing' is unknown; known are session_start"),
        ('{"type": 5}', "type", "str"),
        ('{"type": "text"}', "", "text"),
        ('{"type": "text", "text": ""}', "text", "length >= 1"),
        ('{"type": "text", "text": 5}', "text", "`str`"),
        ('{"type": "text", "text": "a", "mode": "shout"}', "mode", "'shout'"),
        ('{"type": "played", "turn": -1, "samples": 0}', "turn", ">= 0"),
        ('{"type": "played", "turn": 1, "samples": 1e30}', "samples", "`int`"),
        ('{"type": "session_start", "history": [{"role": "user", "text": "x"}, {"role": "god", "text": ""}]}',
         "history[1].role", "'god'"),
    ],
)  # fmt: skip
def test_malformed_is_told_what_and_where(text: str | bytes, where: str, says: str) -> None:
    error = refusal(text)
    assert error.where == where
    assert says in error.message
    assert error.code == "bad_request"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"type": "%s"}', "type"),
        ('{"type": "input", "state": "%s"}', "state"),
        ('{"type": "session_start", "history": [{"role": "%s", "text": ""}]}', "history[0].role"),
        ('{"type": "input", "state": "%s - at `$.elsewhere"}', "state"),
    ],
)
@pytest.mark.parametrize("size", [1, 500_000])
def test_what_is_wrong_is_told_in_few_words(text: str, where: str, size: int) -> None:
    error = refusal(text % ("x" * size))
    assert len(error.message) < 400
    assert error.where == where
    assert "'x" in error.message


@pytest.mark.parametrize("field", ["input_rate", "output_rate", "protocol"])
def test_a_number_that_is_none_is_not_read_out(field: str) -> None:
    error = refusal(f'{{"type": "session_start", "{field}": {"1" * 4000}}}')
    assert error.where == field
    assert len(error.message) < 100


def test_a_text_of_100_kb_is_refused_by_its_length() -> None:
    assert "20000" in refusal(json.dumps({"type": "text", "text": "a" * 100_000})).message


def test_deep_nesting_is_refused() -> None:
    assert refusal('{"type": "text", "text": "a", "x": ' + "[" * 100_000)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert parse_client(data)


def test_every_client_type_is_known_by_name() -> None:
    assert len(CLIENT_TYPES) == len(get_args(ClientMessage))
    for message in (TextInput(text="hi"), Played(turn=1, samples=2), SessionStart()):
        encoded: Any = json.loads(msgspec.json.encode(message))
        assert encoded["type"] in CLIENT_TYPES
        assert parse_client(msgspec.json.encode(message)) == message


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**62), st.binary(max_size=100))
def test_binary_round_trip(turn: int, sample: int, pcm: bytes) -> None:
    assert unpack_audio(pack_audio(Audio(turn, sample, pcm))) == Audio(turn, sample, pcm)


def test_the_header_is_the_documented_one() -> None:
    packed = pack_audio(Audio(7, 960, b"\x01\x02"))
    assert packed.hex(" ") == "01 00 00 00 07 00 00 00 c0 03 00 00 00 00 00 00 01 02"


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "0 bytes"), (bytes(15), "15 bytes"), (b"\x02" + bytes(20), "type 2"),
     (HEADER.pack(1, 0, 0, 0, 2**62 + 1), "more than"), (HEADER.pack(1, 0, 0, 0, 2**64 - 1), "more than")],
)  # fmt: skip
def test_binary_that_is_none_is_told_why(data: bytes, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        unpack_audio(data)


def test_base64_that_is_none_is_told_where() -> None:
    assert decode_base64("AQI=") == b"\x01\x02"
    with pytest.raises(Malformed) as caught:
        decode_base64("not base64!")
    assert caught.value.where == "data"
