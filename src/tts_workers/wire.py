"""Between antiphon.v1 synthesis messages and our values; the only module here that knows protobuf.

What cannot be read raises `BadRequest` with what was wrong; within a stream it becomes `Invalid` of its turn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import grpc

from base.audio import AudioFormat
from base.errors import AntiphonError, BadRequest
from pb.antiphon.v1 import synthesis_pb2 as pb
from tts_workers import values as v
from tts_workers.engine import MarkKind, Style
from tts_workers.models import check_style

SERVICE = "antiphon.v1.TextToSpeech"

StartSessionRequest = pb.StartSessionRequest
StartSessionResponse = pb.StartSessionResponse
TextChunk = pb.TextChunk
AudioFrame = pb.AudioFrame
ControlRequest = pb.ControlRequest
ControlResponse = pb.ControlResponse
EndSessionRequest = pb.EndSessionRequest
EndSessionResponse = pb.EndSessionResponse
SpeakRequest = pb.SpeakRequest

_DEFAULT_RATE = 48_000
_ENCODINGS = {pb.AUDIO_ENCODING_UNSPECIFIED: "pcm_s16le", pb.AUDIO_ENCODING_PCM_S16LE: "pcm_s16le"}
_ACTIONS: dict[int, v.Action] = {
    pb.CONTROL_ACTION_PAUSE: v.Action.PAUSE,
    pb.CONTROL_ACTION_RESUME: v.Action.RESUME,
    pb.CONTROL_ACTION_STOP: v.Action.STOP,
}
_REASONS = {
    v.Reason.COMPLETED: pb.FINISH_REASON_COMPLETED,
    v.Reason.STOPPED: pb.FINISH_REASON_STOPPED,
    v.Reason.FAILED: pb.FINISH_REASON_FAILED,
}
_MARKS = {
    MarkKind.CHUNK_START: pb.MARK_KIND_CHUNK_START,
    MarkKind.CHUNK_END: pb.MARK_KIND_CHUNK_END,
    MarkKind.WORD: pb.MARK_KIND_WORD,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What StartSession and Speak ask for."""

    model: str
    voice: str
    language: str
    format: AudioFormat
    style: Style


def wish_from(request: pb.StartSessionRequest | pb.SpeakRequest) -> Wish:
    return Wish(
        model=request.model,
        voice=request.voice,
        language=request.language,
        format=_format_from(request.format),
        style=_style_from(request.style),
    )


def started_to(id: str, model: str, voice: str, language: str, rate: int) -> pb.StartSessionResponse:
    return pb.StartSessionResponse(
        session_id=id,
        model=model,
        voice=voice,
        language=language,
        format=pb.AudioFormat(encoding=pb.AUDIO_ENCODING_PCM_S16LE, sample_rate=rate),
    )


def message_from(chunk: pb.TextChunk) -> v.Message | None:
    """None for a message without a body, or with one that we don't know yet."""
    try:
        return _message_from(chunk)
    except AntiphonError as error:
        return v.Invalid(chunk.turn, error)


def _message_from(chunk: pb.TextChunk) -> v.Message | None:
    turn = chunk.turn
    match chunk.WhichOneof("body"):
        case "text":
            text = chunk.text
            style = _style_from(text.style) if text.HasField("style") else None
            return v.Text(turn, text.text, text.chunk, text.language, text.voice, style)
        case "end_of_turn":
            return v.EndOfTurn(turn)
        case "control":
            return v.Control(turn, action_from(chunk.control))
        case "flush":
            return v.Flush(turn)
        case "credit":
            return v.Credit(turn, chunk.credit.until_sample)
        case "reserve":
            return v.Reserve(turn)
        case _:
            return None


def action_from(action: int) -> v.Action:
    if action not in _ACTIONS:
        raise BadRequest(f"control action {action} is unknown; it is PAUSE, RESUME or STOP", reason="BAD_ACTION")
    return _ACTIONS[action]


def frame_to(session: str, frame: v.Frame) -> pb.AudioFrame:
    out = pb.AudioFrame(session_id=session, turn=frame.turn)
    match frame:
        case v.Audio(sample=sample, pcm=pcm):
            out.audio.sample = sample
            out.audio.data = pcm
        case v.Marks(marks=marks):
            out.marks.marks.extend(_mark_to(mark) for mark in marks)
        case v.Finished(reason=reason, samples=samples, spoken=spoken, wasted=wasted):
            out.turn_finished.reason = _REASONS[reason]
            out.turn_finished.samples = samples
            out.turn_finished.spoken = spoken
            out.turn_finished.wasted_samples = wasted
        case v.Failed(error=error):
            out.error.CopyFrom(_error_to(error))
        case v.Reserved():
            out.reserved.SetInParent()
    return out


def _mark_to(mark: v.Mark) -> pb.Mark:
    return pb.Mark(
        kind=_MARKS[mark.kind],
        chunk=mark.chunk,
        start=mark.start,
        end=mark.end,
        sample=mark.sample,
        exact=mark.exact,
    )


def _error_to(error: AntiphonError) -> pb.TurnError:
    code: int = getattr(grpc.StatusCode, error.grpc_code).value[0]
    retry = error.retry_after_s
    return pb.TurnError(
        code=code,
        reason=error.reason,
        message=error.message,
        retry_after_ms=0 if retry is None else max(1, math.ceil(retry * 1000)),
    )


def _format_from(format: pb.AudioFormat) -> AudioFormat:
    if format.encoding not in _ENCODINGS:
        raise BadRequest(f"encoding {format.encoding} is unknown; use PCM_S16LE", reason="BAD_ENCODING")
    return AudioFormat(format.sample_rate or _DEFAULT_RATE, _ENCODINGS[format.encoding])


def _style_from(style: pb.Style) -> Style:
    """Fields that are not set keep the voice's own way."""
    values = {name: getattr(style, name) for name in ("rate", "pitch", "range", "volume") if style.HasField(name)}
    return check_style(Style(**values))
