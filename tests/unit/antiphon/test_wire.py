from __future__ import annotations

import pytest

from antiphon.wire import Unknown, as_exception, decode, encode, socket_url
from base.errors import AtCapacity, BadRequest, Internal
from orchestrator.messages import Error, Notice, State, TextInput

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("127.0.0.1:8765", "ws://127.0.0.1:8765/v1/converse"),
        ("http://localhost:8765/", "ws://localhost:8765/v1/converse"),
        ("https://talk.example", "wss://talk.example/v1/converse"),
        ("ws://[::1]:1/other", "ws://[::1]:1/other"),
    ],
)
def test_every_way_to_write_an_address(given: str, meant: str) -> None:
    assert socket_url(given) == meant


@pytest.mark.parametrize("given", ["ftp://x", "http://", "://"])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(BadRequest, match="looks like"):
        socket_url(given)


def test_messages_are_json_with_a_type() -> None:
    assert encode(TextInput(text="hi")) == '{"type":"text","text":"hi","mode":"ask"}'
    assert decode('{"type":"notice","code":"a","message":"b","new":1}') == Notice(code="a", message="b")
    assert decode('{"type":"state","state":"idle"}') == State(state="idle")


@pytest.mark.parametrize("text", ['{"type":"hologram"}', "{", "[]", '{"type":"state","state":"dancing"}'])
def test_what_a_newer_server_says_is_no_error(text: str) -> None:
    assert decode(text) == Unknown(text)


def test_errors_keep_their_place_in_the_tree() -> None:
    full = as_exception(Error(code="at_capacity", message="full", reason="X", retry_after_s=2.0))
    assert isinstance(full, AtCapacity)
    assert (full.reason, full.retry_after_s) == ("X", 2.0)
    assert as_exception(Error(code="bad_request", message="is no text", where="text")).message == "text: is no text"
    assert isinstance(as_exception(Error(code="who knows", message="")), Internal)
