"""Protobuf in, values out, and back."""

from __future__ import annotations

import pytest

from base.audio import AudioFormat
from base.errors import AtCapacity, BadRequest, Internal
from pb.antiphon.v1 import synthesis_pb2 as pb
from tts_workers import values as v
from tts_workers import wire
from tts_workers.engine import MarkKind, Style

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"text": pb.Text(text="x", chunk=3)}, v.Text(7, "x", 3)),
        (
            {"text": pb.Text(text="", language="de", voice="a", style=pb.Style(rate=2))},
            v.Text(7, "", 0, "de", "a", Style(rate=2.0)),
        ),
        ({"text": pb.Text(text="x", style=pb.Style())}, v.Text(7, "x", style=Style())),
        ({"end_of_turn": pb.EndOfTurn()}, v.EndOfTurn(7)),
        ({"flush": pb.Flush()}, v.Flush(7)),
        ({"reserve": pb.Reserve()}, v.Reserve(7)),
        ({"credit": pb.Credit(until_sample=2**40)}, v.Credit(7, 2**40)),
        ({"control": pb.CONTROL_ACTION_PAUSE}, v.Control(7, v.Action.PAUSE)),
        ({"control": pb.CONTROL_ACTION_RESUME}, v.Control(7, v.Action.RESUME)),
        ({"control": pb.CONTROL_ACTION_STOP}, v.Control(7, v.Action.STOP)),
        ({}, None),
    ],
)
def test_messages(body, message: v.Message | None) -> None:
    assert wire.message_from(pb.TextChunk(session_id="s", turn=7, **body)) == message


def test_an_arm_of_a_later_version_is_ignored() -> None:
    later = pb.TextChunk(session_id="s", turn=7).SerializeToString() + bytes([0x7A, 0x02, 0x08, 0x01])  # field 15
    assert wire.message_from(pb.TextChunk.FromString(later)) is None


@pytest.mark.parametrize(
    "body",
    [
        {"control": pb.CONTROL_ACTION_UNSPECIFIED},
        {"control": 9},
        {"text": pb.Text(style=pb.Style(pitch=13))},
        {"text": pb.Text(style=pb.Style(range=-0.1))},
        {"text": pb.Text(style=pb.Style(rate=float("inf")))},
    ],
)
def test_what_cannot_be_is_invalid_in_its_turn(body) -> None:
    message = wire.message_from(pb.TextChunk(turn=7, **body))
    assert isinstance(message, v.Invalid)
    assert message.turn == 7
    assert isinstance(message.error, BadRequest)


def test_frames() -> None:
    frame = wire.frame_to("s", v.Audio(7, 960, b"\1\2"))
    assert (frame.session_id, frame.turn, frame.audio.sample, frame.audio.data) == ("s", 7, 960, b"\1\2")
    (mark,) = wire.frame_to("s", v.Marks(7, (v.Mark(MarkKind.WORD, 1, 2, 3, 4, True),))).marks.marks
    assert (mark.kind, mark.chunk, mark.start, mark.end, mark.sample, mark.exact) == (
        pb.MARK_KIND_WORD,
        1,
        2,
        3,
        4,
        True,
    )
    done = wire.frame_to("s", v.Finished(7, v.Reason.STOPPED, 960, 5, 77)).turn_finished
    assert (done.reason, done.samples, done.spoken, done.wasted_samples) == (pb.FINISH_REASON_STOPPED, 960, 5, 77)
    assert wire.frame_to("s", v.Reserved(7)).WhichOneof("body") == "reserved"
    error = wire.frame_to("s", v.Failed(7, AtCapacity("full", retry_after_s=0.0001))).error
    assert (error.code, error.reason, error.message, error.retry_after_ms) == (8, "AT_CAPACITY", "full", 1)
    assert wire.frame_to("s", v.Failed(7, Internal("broken"))).error.retry_after_ms == 0


def test_every_mark_reason_and_action_has_its_word() -> None:
    for kind in MarkKind:
        assert wire.frame_to("s", v.Marks(1, (v.Mark(kind, 0, 0, 0, 0, True),))).marks.marks[0].kind
    for reason in v.Reason:
        assert wire.frame_to("s", v.Finished(1, reason, 0, 0)).turn_finished.reason


def test_wishes() -> None:
    wish = wire.wish_from(pb.StartSessionRequest(model="m", voice="v", language="de"))
    assert wish == wire.Wish("m", "v", "de", AudioFormat(48_000), Style())
    wish = wire.wish_from(pb.SpeakRequest(format=pb.AudioFormat(sample_rate=16_000), style=pb.Style(volume=0)))
    assert (wish.format.sample_rate, wish.style.volume) == (16_000, 0.0)
