"""What a worker and the process of an isolated model say to each other, and how it is framed on a pipe. Pure.

A message is four bytes of length, little-endian, then msgpack. Everything about a request carries its id; id 0 is the
load. Many requests share the pipe, so what the engine makes of each is cut into pieces and held back by a *window*: the
child sends of one request up to `until`, and the worker moves that on as its consumer takes what came. A request that
nobody reads keeps `WINDOW` bytes and a piece, at most, and nobody else waiting.

Text goes as bytes: a lone surrogate is a code point too, and marks count code points.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

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
from tts_workers.engine import Audio, EngineInfo, Mark, MarkKind, ModelSpec, Request, Style

HEADER = struct.Struct("<I")
MOST_BYTES = 16 * 1024 * 1024
WINDOW = 32 * 1024
"""Bytes that may be on their way: a third of a second at 48 kHz."""
PIECE = 16 * 1024
ITEM_COST = 64
"""What an item counts besides its audio."""
LOAD = 0

_CLASSES: tuple[type[AntiphonError], ...] = (
    BadRequest, NotFound, WrongState, Denied, AtCapacity, Unavailable, TimedOut, Misconfigured, Internal,
)  # fmt: skip
_BY_CODE = {cls.code: cls for cls in _CLASSES}


# --- to the child -----------------------------------------------------------------------------------------------------


class Load(msgspec.Struct, tag="load", frozen=True):
    """The first message. `factory` ("module:Class") makes the engine; `memory_limit` in bytes, 0: none."""

    model: str
    engine: str
    factory: str
    options: dict[str, Any]
    memory_limit: int = 0

    def spec(self) -> ModelSpec:
        return ModelSpec(self.model, self.engine, self.options)


class Speak(msgspec.Struct, tag="speak", frozen=True):
    id: int
    turn: int
    text: bytes
    first: bool
    last: bool
    previous_text: bytes
    language: bytes
    voice: bytes
    style: Style
    seed: int
    ahead_s: float

    def request(self, cancelled: Callable[[], bool], ahead_s: Callable[[], float]) -> Request:
        return Request(
            turn=self.turn,
            text=_text(self.text),
            first=self.first,
            last=self.last,
            previous_text=_text(self.previous_text),
            language=_text(self.language),
            voice=_text(self.voice),
            style=self.style,
            seed=self.seed,
            cancelled=cancelled,
            ahead_s=ahead_s,
        )


class More(msgspec.Struct, tag="more", frozen=True):
    """The window's end, counted from the request's start, and how far ahead the listener's audio is."""

    id: int
    until: int
    ahead_s: float


class Cancel(msgspec.Struct, tag="cancel", frozen=True):
    id: int


class Close(msgspec.Struct, tag="close", frozen=True):
    """The model is to be closed, and the process to end."""


ToChild = Load | Speak | More | Cancel | Close


def speak(id: int, request: Request) -> Speak:
    return Speak(
        id=id,
        turn=request.turn,
        text=_bytes(request.text),
        first=request.first,
        last=request.last,
        previous_text=_bytes(request.previous_text),
        language=_bytes(request.language),
        voice=_bytes(request.voice),
        style=request.style,
        seed=request.seed,
        ahead_s=request.ahead_s(),
    )


# --- from the child ---------------------------------------------------------------------------------------------------


class Loaded(msgspec.Struct, tag="loaded", frozen=True):
    info: EngineInfo


class Sound(msgspec.Struct, tag="sound", frozen=True):
    id: int
    data: bytes

    def item(self) -> Audio:
        return Audio(self.data)


class Word(msgspec.Struct, tag="word", frozen=True):
    id: int
    start: int
    end: int
    sample: int
    exact: bool
    kind: MarkKind

    def item(self) -> Mark:
        return Mark(self.start, self.end, self.sample, self.exact, self.kind)


class Done(msgspec.Struct, tag="done", frozen=True):
    id: int


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """`code` as in `AntiphonError.code`; `trace` is for the log, where what failed is nobody's word but a fault."""

    id: int
    code: str
    reason: str
    message: bytes
    retry_after_s: float | None = None
    trace: bytes = b""

    def error(self) -> AntiphonError:
        cls = _BY_CODE.get(self.code, Internal)
        return cls(_text(self.message), reason=self.reason, retry_after_s=self.retry_after_s)


FromChild = Loaded | Sound | Word | Done | Failed


def failed(id: int, error: AntiphonError, trace: str = "") -> Failed:
    return Failed(id, error.code, error.reason, _bytes(error.message), error.retry_after_s, _bytes(trace))


def pieces(id: int, item: Audio | Mark) -> Iterator[Sound | Word]:
    """`item` in messages of at most `PIECE` bytes, whole samples each."""
    if isinstance(item, Mark):
        yield Word(id, item.start, item.end, item.sample, item.exact, item.kind)
        return
    for at in range(0, len(item.data), PIECE):
        yield Sound(id, bytes(item.data[at : at + PIECE]))


def cost(message: Sound | Word) -> int:
    """What a message takes of its request's window."""
    return ITEM_COST + (len(message.data) if isinstance(message, Sound) else 0)


class Window:
    """The reading side of one request. The child stops when it has sent `until` or more."""

    def __init__(self) -> None:
        self.until = WINDOW
        self._taken = 0

    def take(self, message: Sound | Word) -> bool:
        """The consumer took `message`; whether the child is to be told of a new `until`."""
        self._taken += cost(message)
        if self.until - self._taken > WINDOW // 2:
            return False
        self.until = self._taken + WINDOW
        return True


# --- framing ----------------------------------------------------------------------------------------------------------

_encoder = msgspec.msgpack.Encoder()
_to_child: msgspec.msgpack.Decoder[ToChild] = msgspec.msgpack.Decoder(ToChild)
_from_child: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)


class Broken(Exception):
    """What came is no message: the other side is out of its mind, and of no more use."""


def encode(message: ToChild | FromChild) -> bytes:
    """Raises TypeError, ValueError or OverflowError for options that msgpack cannot hold."""
    body = _encoder.encode(message)
    if len(body) > MOST_BYTES:
        raise ValueError(f"a message of {len(body)} bytes is too long; {MOST_BYTES} is the most")
    return HEADER.pack(len(body)) + body


def to_child(body: bytes) -> ToChild:
    """Raises Broken."""
    try:
        return _to_child.decode(body)
    except msgspec.MsgspecError as error:
        raise Broken(str(error)) from error


def from_child(body: bytes) -> FromChild:
    """Raises Broken."""
    try:
        return _from_child.decode(body)
    except msgspec.MsgspecError as error:
        raise Broken(str(error)) from error


class Frames:
    """Bodies of messages, out of bytes as they come."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that `data` completes; raises Broken for a length that no message has."""
        self._buffer += data
        bodies = []
        at = 0
        while len(self._buffer) - at >= HEADER.size:
            (size,) = HEADER.unpack_from(self._buffer, at)
            if size > MOST_BYTES:
                raise Broken(f"a message of {size} bytes; {MOST_BYTES} is the most")
            if len(self._buffer) - at - HEADER.size < size:
                break
            at += HEADER.size
            bodies.append(bytes(self._buffer[at : at + size]))
            at += size
        del self._buffer[:at]
        return bodies


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
