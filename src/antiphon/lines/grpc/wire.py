"""The session protocol's messages as protobuf, from the client's side (`base.mirror` has the rules)."""

from __future__ import annotations

import msgspec

from antiphon.lines.line import Closed, Unknown
from base.errors import BadRequest
from base.mirror import fill, plain
from orchestrator.messages import Audio, AudioInput, ClientMessage, ServerMessage, decode_base64, mended
from pb.antiphon.v1 import conversation_pb2 as pb

ConverseRequest = pb.ConverseRequest
ConverseResponse = pb.ConverseResponse


def request_of(message: ClientMessage | Audio) -> pb.ConverseRequest:
    """Raises BadRequest for what protobuf cannot say (an encoding that the `.proto` does not know)."""
    if isinstance(message, Audio):
        return pb.ConverseRequest(audio=pb.AudioInput(data=message.pcm, sample=message.sample))
    if isinstance(message, AudioInput):
        return pb.ConverseRequest(audio=pb.AudioInput(data=decode_base64(message.data), sample=message.sample))
    fields = mended(msgspec.to_builtins(message))
    assert isinstance(fields, dict)
    out = pb.ConverseRequest()
    try:
        fill(getattr(out, fields.pop("type")), fields)
    except ValueError as e:
        raise BadRequest(str(e), reason="MALFORMED") from None
    return out


def message_from(response: pb.ConverseResponse) -> ServerMessage | Audio | Closed | Unknown:
    arm = response.WhichOneof("message")
    if arm == "audio":
        audio = response.audio
        return Audio(audio.turn, audio.sample, audio.data)
    if arm == "closing":
        return Closed(response.closing.code, response.closing.reason)
    if arm is None:
        return Unknown("a message of a later version")
    try:
        message: ServerMessage = msgspec.convert({"type": arm, **plain(getattr(response, arm))}, ServerMessage)
    except msgspec.ValidationError:
        return Unknown(str(response))
    return message
