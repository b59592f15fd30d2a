"""The session protocol's messages, the same on every transport. docs/protocol.md states every field.

JSON objects with a `type`. Unknown fields are ignored. The JSON Schema beside the docs is made from these types.
Binary audio has a header of its own: see `HEADER`.
"""

from __future__ import annotations

import base64
import struct
from enum import IntEnum
from typing import Annotated, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta, Struct

from base.errors import BadRequest
from base.surrogates import whole

PROTOCOL = 1
"""The protocol's version; `session_start` names it."""

HEADER = struct.Struct("<BBHIQ")
"""uint8 type (1 = PCM), uint8 flags, uint16 zero, uint32 turn (0 upward), uint64 sample; little-endian; data next."""

PCM = 1


class CloseCode(IntEnum):
    """Why a WebSocket was closed. With every one but the first a client may come back with its resume token."""

    ENDED = 1000
    """The session is over; its resume token is worth nothing any more."""
    GOING_AWAY = 1001
    """The server stops or drains."""
    POLICY = 1008
    """The client broke a rule: no session_start in time, too many messages, does not read. The reason says which."""
    TOO_BIG = 1009
    INTERNAL = 1011
    TRY_LATER = 1013
    """At capacity."""
    RESUMED_ELSEWHERE = 4001
    """Another connection went on with this session; coming back would only take it away again."""


Name = Annotated[str, Meta(max_length=200)]
Language = Annotated[str, Meta(max_length=200, pattern=r"^[A-Za-z0-9_-]*$")]
Heard = Annotated[str, Meta(max_length=200, pattern=r"^(\*|[A-Za-z0-9_-]*)$")]
"""A language, or "*": the user's is to be detected."""
Secret = Annotated[str, Meta(max_length=8_192)]
"""An access key, or a token, which is longer."""
LongText = Annotated[str, Meta(max_length=20_000)]
Turn = Annotated[int, Meta(ge=0, lt=2**32)]
SAMPLE_MAX = 2**62
Rate = Annotated[int, Meta(ge=1, le=1_000_000)]
Sample = Annotated[int, Meta(ge=0, le=SAMPLE_MAX)]


class HistoryItem(Struct, frozen=True, kw_only=True):
    role: Literal["user", "assistant"]
    text: LongText


class Endpointing(Struct, frozen=True, kw_only=True):
    """Times in milliseconds; what is left out keeps its value."""

    endpoint_ms: Annotated[int, Meta(ge=100, le=5000)] | None = None
    confirm_ms: Annotated[int, Meta(ge=100, le=5000)] | None = None
    resume_ms: Annotated[int, Meta(ge=100, le=5000)] | None = None
    mode: Literal["adaptive", "fixed"] | None = None
    """`fixed`: exactly `endpoint_ms`. `adaptive`: by what was said and how the user pauses, around it."""
    early: bool | None = None
    """Answers may be begun before the turn has ended; nothing of one is told or heard until then."""


class SessionStart(Struct, frozen=True, kw_only=True, tag="session_start"):
    protocol: Annotated[int, Meta(ge=1, lt=2**31)] = PROTOCOL
    encoding: Name = "pcm_s16le"
    input_rate: Rate = 16_000
    output_rate: Rate = 48_000
    hold: bool = False
    model: Name = ""
    voice: Name = ""
    language: Heard = ""
    ear: Name = ""
    rate: Annotated[float, Meta(ge=0.5, le=3.0)] = 1.0
    pitch: Annotated[float, Meta(ge=-12.0, le=12.0)] = 0.0
    responder: Name = ""
    instructions: LongText = ""
    greeting: LongText | bool = True
    history: Annotated[list[HistoryItem], Meta(max_length=200)] = []
    phrases: Annotated[list[Name], Meta(max_length=500)] = []
    turn_detection: Literal["auto", "manual"] = "auto"
    endpointing: Endpointing | None = None
    interruptible: bool = True
    resume: Name = ""
    key: Secret = ""


class SessionUpdate(Struct, frozen=True, kw_only=True, tag="session_update"):
    voice: Name | None = None
    language: Heard | None = None
    ear: Name | None = None
    rate: Annotated[float, Meta(ge=0.5, le=3.0)] | None = None
    pitch: Annotated[float, Meta(ge=-12.0, le=12.0)] | None = None
    responder: Name | None = None
    instructions: LongText | None = None
    endpointing: Endpointing | None = None
    interruptible: bool | None = None
    turn_detection: Literal["auto", "manual"] | None = None


class TextInput(Struct, frozen=True, kw_only=True, tag="text"):
    text: Annotated[str, Meta(min_length=1, max_length=20_000)]
    mode: Literal["ask", "say"] = "ask"


class AudioInput(Struct, frozen=True, kw_only=True, tag="audio"):
    """Audio for clients without binary: base64 of s16le PCM; `sample` at the input rate."""

    data: str
    sample: Sample | None = None


class InputState(Struct, frozen=True, kw_only=True, tag="input"):
    state: Literal["open", "muted", "released"]


class TurnCommit(Struct, frozen=True, kw_only=True, tag="turn_commit"):
    pass


class TurnCancel(Struct, frozen=True, kw_only=True, tag="turn_cancel"):
    pass


class Interrupt(Struct, frozen=True, kw_only=True, tag="interrupt"):
    pass


class Played(Struct, frozen=True, kw_only=True, tag="played"):
    turn: Turn
    samples: Sample


class ReplyDelta(Struct, frozen=True, kw_only=True, tag="reply_delta"):
    """Responder `client`: a piece of the reply to `turn` (the one named in `turn_ended`)."""

    turn: Turn
    text: LongText
    language: Language = ""


class ReplyEnd(Struct, frozen=True, kw_only=True, tag="reply_end"):
    turn: Turn


class SessionEnd(Struct, frozen=True, kw_only=True, tag="session_end"):
    pass


ClientMessage = (
    SessionStart
    | SessionUpdate
    | TextInput
    | AudioInput
    | InputState
    | TurnCommit
    | TurnCancel
    | Interrupt
    | Played
    | ReplyDelta
    | ReplyEnd
    | SessionEnd
)

# --- from the server -------------------------------------------------------------------------------------------------


class VoiceDescription(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    languages: list[str]
    model: str


class SessionStarted(Struct, frozen=True, kw_only=True, tag="session_started"):
    session: str
    protocol: int
    resume: str
    resumed: bool
    input_rate: int
    output_rate: int
    voice: str
    language: str
    hears: list[str]
    speaks: list[str]
    can_hear: bool
    responder: str
    grace_s: float
    next_input_sample: int
    """At the input rate: where the session's media time goes on (0 for a new session)."""


class State(Struct, frozen=True, kw_only=True, tag="state"):
    state: Literal["idle", "listening", "thinking", "speaking", "barged_in", "terminated"]


class Transcript(Struct, frozen=True, kw_only=True, tag="transcript"):
    """`language`: what the user was found to speak, once it is sure; empty where that was not to be detected."""

    utterance: int
    text: str
    final: bool
    language: str = ""


class TurnEnded(Struct, frozen=True, kw_only=True, tag="turn_ended"):
    """The user's turn ended. With responder `client`, answer with `reply_delta` for `turn`."""

    turn: int
    transcript: str
    reason: str


class Reply(Struct, frozen=True, kw_only=True, tag="reply"):
    turn: int
    text: str


class MarkMessage(Struct, frozen=True, kw_only=True, tag="mark"):
    """Code points [start, end) of the turn's reply text begin to sound at `sample` (output rate)."""

    turn: int
    start: int
    end: int
    sample: int
    exact: bool


class Hold(Struct, frozen=True, kw_only=True, tag="hold"):
    turn: int


class Resume(Struct, frozen=True, kw_only=True, tag="resume"):
    turn: int
    sample: int


class Clear(Struct, frozen=True, kw_only=True, tag="clear"):
    turn: int


class TurnFinished(Struct, frozen=True, kw_only=True, tag="turn_finished"):
    turn: int
    heard: str
    unheard: str
    samples: int
    reason: str


class Notice(Struct, frozen=True, kw_only=True, tag="notice"):
    code: str
    message: str


class Error(Struct, frozen=True, kw_only=True, tag="error"):
    """`code` is one of base.errors', `reason` a finer constant; `where` names the field ("history[3].role").

    After a fatal one the connection closes. `retry_after_s` is set where a retry makes sense.
    """

    code: str
    message: str
    fatal: bool = False
    where: str = ""
    reason: str = ""
    retry_after_s: float | None = None


class Explain(Struct, frozen=True, kw_only=True, tag="explain"):
    """One line a turn for `--explain`: what was measured."""

    turn: int
    facts: dict[str, str | float | int | None]


ServerMessage = (
    SessionStarted
    | State
    | Transcript
    | TurnEnded
    | Reply
    | MarkMessage
    | Hold
    | Resume
    | Clear
    | TurnFinished
    | Notice
    | Error
    | Explain
)

client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
server_encoder = msgspec.json.Encoder()
client_encoder = msgspec.json.Encoder()

ECHOED = 100
"""Characters that a client is told of what was wrong, which may be its own text."""

CLIENT_TYPES = tuple(str(t.__struct_config__.tag) for t in get_args(ClientMessage))


def encoded(message: ServerMessage) -> bytes:
    """As JSON. Text from elsewhere (a brain's error, a tool's name) that is none is made some."""
    try:
        return server_encoder.encode(message)
    except UnicodeEncodeError:
        return server_encoder.encode(mended(msgspec.to_builtins(message)))


def mended(value: object) -> object:
    """Plain values whose texts are whole."""
    match value:
        case str():
            return whole(value)
        case list() | tuple():
            return [mended(each) for each in value]
        case dict():
            return {mended(key): mended(each) for key, each in value.items()}
        case _:
            return value


class Malformed(BadRequest):
    """A message that is not one; `where` names the field, "" for the whole."""

    default_reason = "MALFORMED"


def parse_client(text: str | bytes) -> ClientMessage:
    """Raises Malformed, which says what is wrong and where."""
    try:
        return client_decoder.decode(text)
    except msgspec.ValidationError as e:
        raise explained(str(e)) from None
    except RecursionError:
        raise Malformed("the message is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as e:
        raise Malformed(f"the message is not JSON: {e}", reason="NOT_JSON") from None


def client_message(type: str, fields: dict[str, object]) -> ClientMessage:
    """The same from values that are no JSON any more. Raises Malformed likewise."""
    try:
        message: ClientMessage = msgspec.convert({"type": type, **fields}, ClientMessage)
    except msgspec.ValidationError as e:
        raise explained(str(e)) from None
    return message


def explained(problem: str) -> Malformed:
    """What msgspec says, in our words."""
    said, at, path = problem.rpartition(" - at `$")
    what, where = (said, path.rstrip("`").lstrip(".")) if at else (problem, "")
    if len(what) > ECHOED:
        what = f"{what[:ECHOED]}…'"
    if where == "type" and what.startswith("Invalid value"):
        name = what.removeprefix("Invalid value ")
        known = ", ".join(CLIENT_TYPES)
        return Malformed(f"message type {name} is unknown; known are {known}", where="type", reason="UNKNOWN_TYPE")
    return Malformed(f"{where or 'message'}: {what}", where=where)


# --- binary audio ----------------------------------------------------------------------------------------------------


class Audio(NamedTuple):
    """`sample` is the offset of the first sample of `pcm` (s16le): in its turn downward, in the session upward."""

    turn: int
    sample: int
    pcm: bytes


def pack_audio(audio: Audio) -> bytes:
    return HEADER.pack(PCM, 0, 0, audio.turn, audio.sample) + audio.pcm


def unpack_audio(data: bytes) -> Audio:
    """Flags and the reserved field are ignored, as later versions may use them. Raises BadRequest."""
    if len(data) < HEADER.size:
        raise BadRequest(f"binary message of {len(data)} bytes is shorter than its header of {HEADER.size}")
    kind, _flags, _zero, turn, sample = HEADER.unpack_from(data)
    if kind != PCM:
        raise BadRequest(f"binary message of type {kind} (byte 0) is unknown; 1 is PCM")
    if sample > SAMPLE_MAX:
        raise BadRequest(f"sample {sample} (bytes 8 to 15) is more than {SAMPLE_MAX}", reason="SAMPLE_AHEAD")
    return Audio(turn, sample, data[HEADER.size :])


def decode_base64(data: str) -> bytes:
    """The PCM of an `audio` message. Raises Malformed."""
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as e:
        raise Malformed(f"data is not base64: {e}", where="data", reason="NOT_BASE64") from None
