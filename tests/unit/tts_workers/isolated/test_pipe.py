"""Messages survive the pipe however it cuts them, and the window lets all through and no more than it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import (
    AntiphonError,
    AtCapacity,
    BadRequest,
    Denied,
    Internal,
    Misconfigured,
    NotFound,
    TimedOut,
    Unavailable,
    WrongState,
)
from tts_workers.engine import Audio, EngineInfo, Mark, MarkKind, Request, Style, VoiceInfo
from tts_workers.isolated import pipe

pytestmark = pytest.mark.unit

any_text = st.text(st.characters(), max_size=60)  # lone surrogates too
small = st.integers(0, 2**40)
seconds = st.floats(0, 1e6)
styles = st.builds(Style, *[st.floats(-20, 20)] * 4)
requests = st.builds(
    Request,
    turn=small,
    text=any_text,
    first=st.booleans(),
    last=st.booleans(),
    previous_text=any_text,
    language=any_text,
    voice=any_text,
    style=styles,
    seed=small,
)
marks = st.builds(Mark, small, small, small, st.booleans(), st.sampled_from(MarkKind))
audio = st.builds(lambda n, byte: Audio(bytes([byte]) * (2 * n)), st.integers(0, 30_000), st.integers(0, 255))
options = st.dictionaries(st.text("abc_", max_size=5), st.none() | st.booleans() | small | st.text("xyz", max_size=5))
to_child = st.one_of(
    st.builds(pipe.Load, st.text("ab/"), st.text("ab"), st.text("ab:"), options, small),
    st.builds(pipe.speak, small, requests),
    st.builds(pipe.More, small, small, seconds),
    st.builds(pipe.Cancel, small),
    st.just(pipe.Close()),
)
info = EngineInfo("x", 24_000, ("en",), (VoiceInfo("v", "V", ("en",)),), "v", "MIT", marks=True, variants=("f",))
from_child = st.one_of(
    st.just(pipe.Loaded(info)),
    st.builds(pipe.Done, small),
    st.builds(pipe.Failed, small, st.text("ab"), st.text("AB"), st.binary(), st.none() | seconds, st.binary()),
    st.builds(lambda id, mark: next(pipe.pieces(id, mark)), small, marks),
    st.builds(pipe.Sound, small, st.binary()),
)


@given(st.lists(to_child, max_size=8), st.lists(st.integers(1, 40), max_size=60))
def test_messages_come_whole_however_they_are_cut(messages: list[pipe.ToChild], cuts: list[int]) -> None:
    data = b"".join(map(pipe.encode, messages))
    frames = pipe.Frames()
    found = []
    for size in [*cuts, len(data)]:
        found += map(pipe.to_child, frames.feed(data[:size]))
        data = data[size:]
    assert found == messages


@given(from_child)
def test_what_the_child_says_comes_as_it_was_said(message: pipe.FromChild) -> None:
    (body,) = pipe.Frames().feed(pipe.encode(message))
    assert pipe.from_child(body) == message


@given(requests)
def test_a_request_comes_as_it_was_asked(request: Request) -> None:
    (body,) = pipe.Frames().feed(pipe.encode(pipe.speak(7, request)))
    message = pipe.to_child(body)
    assert isinstance(message, pipe.Speak)
    assert message.request(request.cancelled, request.ahead_s) == request


@given(audio)
def test_audio_in_pieces_adds_up_to_itself(item: Audio) -> None:
    pieces = list(pipe.pieces(1, item))
    assert b"".join(p.data for p in pieces if isinstance(p, pipe.Sound)) == item.data
    assert all(isinstance(p, pipe.Sound) and len(p.data) <= pipe.PIECE and len(p.data) % 2 == 0 for p in pieces)


@pytest.mark.parametrize(
    "error",
    [
        cls("what, and \ud800 why", reason="SOME_REASON", retry_after_s=2.5)
        for cls in (
            BadRequest,
            NotFound,
            WrongState,
            Denied,
            AtCapacity,
            Unavailable,
            TimedOut,
            Misconfigured,
            Internal,
            AntiphonError,
        )
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_keeps_its_class_message_and_reason(error: AntiphonError) -> None:
    (body,) = pipe.Frames().feed(pipe.encode(pipe.failed(3, error)))
    message = pipe.from_child(body)
    assert isinstance(message, pipe.Failed)
    found = message.error()
    assert type(found) is (type(error) if type(error) is not AntiphonError else Internal)
    assert (found.message, found.reason, found.retry_after_s) == (error.message, error.reason, error.retry_after_s)


@given(st.binary(max_size=40))
def test_nonsense_is_called_that(data: bytes) -> None:
    for decode in (pipe.to_child, pipe.from_child):
        try:
            decode(data)
        except pipe.Broken:
            continue


def test_a_length_that_no_message_has_is_broken() -> None:
    with pytest.raises(pipe.Broken, match="4294967295"):
        pipe.Frames().feed(b"\xff\xff\xff\xff")
    with pytest.raises(ValueError, match="too long"):
        pipe.encode(pipe.Load("m", "e", "f", {"x": "y" * pipe.MOST_BYTES}))


@given(st.lists(marks | audio, max_size=30), st.randoms(use_true_random=False))
def test_a_window_lets_all_through_and_no_more_than_it_says(items: list[Audio | Mark], random) -> None:
    """Sender and reader take turns at random; neither can end up waiting for the other."""
    todo = [message for item in items for message in pipe.pieces(1, item)]
    all_of_it = list(todo)
    window = pipe.Window()
    until, sent = pipe.WINDOW, 0
    waiting: list[pipe.Sound | pipe.Word] = []
    taken: list[pipe.Sound | pipe.Word] = []
    while todo or waiting:
        can_send = bool(todo) and sent < until
        assert can_send or waiting, "both wait"
        if can_send and (not waiting or random.random() < 0.5):
            message = todo.pop(0)
            sent += pipe.cost(message)
            waiting.append(message)
        else:
            message = waiting.pop(0)
            taken.append(message)
            if window.take(message):
                assert window.until > until
                until = window.until
        assert sum(map(pipe.cost, waiting)) < pipe.WINDOW + pipe.PIECE + pipe.ITEM_COST
    assert taken == all_of_it
