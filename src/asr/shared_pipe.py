"""What a worker and the child that holds a shared model say to each other; framed as in `asr.child_pipes`.

One clip at a time is decoded; its answer carries its number, for what comes of an old one is not news of the next.
"""

from __future__ import annotations

import msgspec

from asr.child_pipes import framed
from asr.transcriber import Clip, ClipWord, Transcript
from base.errors import BY_GRPC_CODE, AntiphonError, Internal, Misconfigured


class Decode(msgspec.Struct, tag="decode", frozen=True):
    job: int
    pcm: bytes
    language: str
    phrases: tuple[str, ...]
    last: bool

    def clip(self) -> Clip:
        return Clip(self.pcm, self.language, self.phrases, self.last)


class Loaded(msgspec.Struct, tag="loaded", frozen=True):
    """It takes work; a decode takes about `cost_s`."""

    cost_s: float


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """The model cannot be loaded, however often it is tried."""

    code: str
    reason: str
    message: str

    def error(self) -> AntiphonError:
        return _error(self.code, self.message, self.reason)


class Decoded(msgspec.Struct, tag="decoded", frozen=True):
    job: int
    words: tuple[tuple[str, int, int, float], ...]
    language: str
    probability: float
    sure: bool
    took_s: float

    def transcript(self) -> Transcript:
        return Transcript(tuple(ClipWord(*w) for w in self.words), self.language, self.probability, self.sure)


class Failed(msgspec.Struct, tag="failed", frozen=True):
    job: int
    code: str
    reason: str
    message: str

    def error(self) -> AntiphonError:
        return _error(self.code, self.message, self.reason)


FromChild = Loaded | Refused | Decoded | Failed

_encoder = msgspec.msgpack.Encoder()
_decode: msgspec.msgpack.Decoder[Decode] = msgspec.msgpack.Decoder(Decode)
_from_child: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)


def _error(code: str, message: str, reason: str) -> AntiphonError:
    kind = Misconfigured if code == "FAILED_PRECONDITION" else BY_GRPC_CODE.get(code, Internal)
    return kind(message, reason=reason)


def encode(message: Decode | FromChild) -> bytes:
    return framed(_encoder.encode(message))


def to_child(body: bytes) -> Decode:
    return _decode.decode(body)


def from_child(body: bytes) -> FromChild:
    return _from_child.decode(body)
