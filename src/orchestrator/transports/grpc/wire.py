"""The session protocol's messages as protobuf: an arm a message, its fields by name (`base.mirror`).

Audio and `played`, which come and go all the time, are read and written by hand.
"""

from __future__ import annotations

import msgspec

from base.mirror import fill, plain
from base.surrogates import whole
from orchestrator.connection import Voice
from orchestrator.messages import (
    CLIENT_TYPES,
    Audio,
    ClientMessage,
    Malformed,
    Played,
    ServerMessage,
    client_message,
    mended,
)
from pb.antiphon.v1 import conversation_pb2 as pb

SERVICE = "antiphon.v1.Conversation"

ConverseRequest = pb.ConverseRequest
ConverseResponse = pb.ConverseResponse

_SAMPLES = 2**62
"""More than any position; what is beyond it is refused where JSON's would be."""


def message_from(request: pb.ConverseRequest) -> ClientMessage | Voice:
    """Raises Malformed, which says what is wrong and where."""
    arm = request.WhichOneof("message")
    if arm is None:
        raise Malformed(
            f"a message without an arm that is known here; known are {', '.join(CLIENT_TYPES)}",
            where="message",
            reason="UNKNOWN_TYPE",
        )
    if arm == "audio":
        audio = request.audio
        return Voice(audio.sample if audio.HasField("sample") else None, audio.data)
    if arm == "played" and request.played.samples <= _SAMPLES:
        return Played(turn=request.played.turn, samples=request.played.samples)
    return client_message(arm, plain(getattr(request, arm)))


def response_of(message: ServerMessage) -> pb.ConverseResponse:
    """Text from elsewhere (a brain's error, a tool's name) that is none is made some."""
    fields = msgspec.to_builtins(message)
    arm = fields.pop("type")
    try:
        return _response(arm, fields)
    except UnicodeEncodeError:
        return _response(arm, mended(fields))


def _response(arm: str, fields: object) -> pb.ConverseResponse:
    out = pb.ConverseResponse()
    fill(getattr(out, arm), fields)
    return out


def audio_of(audio: Audio) -> pb.ConverseResponse:
    return pb.ConverseResponse(audio=pb.AudioOutput(turn=audio.turn, sample=audio.sample, data=audio.pcm))


def closing_of(code: int, reason: str) -> pb.ConverseResponse:
    return pb.ConverseResponse(closing=pb.Closing(code=code, reason=whole(reason)))


def size_of(message: pb.ConverseRequest | pb.ConverseResponse) -> int:
    """Bytes on the wire."""
    return message.ByteSize()
