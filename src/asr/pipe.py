"""What a worker and its decoding children say to each other, in msgpack; framed as in `asr.child_pipes`.

All that is about an utterance carries the job's number: what comes of an old one is no news of the next.
"""

from __future__ import annotations

import msgspec

from asr.child_pipes import framed
from asr.recognizer import Final, Partial, Word
from base.errors import BY_GRPC_CODE, AntiphonError, Internal

MOST_BYTES = 4 * 1024 * 1024


class Begin(msgspec.Struct, tag="begin", frozen=True):
    job: int
    utterance: int
    sample: int
    language: str
    phrases: tuple[str, ...]
    adaptation: str


class Audio(msgspec.Struct, tag="audio", frozen=True):
    job: int
    pcm: bytes


class Finish(msgspec.Struct, tag="finish", frozen=True):
    job: int


class Cancel(msgspec.Struct, tag="cancel", frozen=True):
    job: int


ToChild = Begin | Audio | Finish | Cancel


class Loaded(msgspec.Struct, tag="loaded", frozen=True):
    """The child has its model and takes work."""


class Taken(msgspec.Struct, tag="taken", frozen=True):
    """`size` bytes of audio were decoded in `busy_s`; with a partial where there is news."""

    job: int
    size: int
    busy_s: float
    utterance: int = 0
    text: str | None = None
    stable: int = 0

    def partial(self) -> Partial | None:
        return None if self.text is None else Partial(self.utterance, self.text, self.stable)


class Finished(msgspec.Struct, tag="finished", frozen=True):
    job: int
    utterance: int
    text: str
    confidence: float
    words: tuple[tuple[str, int, int, float], ...]
    adaptation: str
    busy_s: float

    def final(self) -> Final:
        return Final(self.utterance, self.text, self.confidence, tuple(Word(*word) for word in self.words))


class Cancelled(msgspec.Struct, tag="cancelled", frozen=True):
    job: int


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """`code` is the name of a gRPC status."""

    job: int
    code: str
    reason: str
    message: str

    def error(self) -> AntiphonError:
        return BY_GRPC_CODE.get(self.code, Internal)(self.message, reason=self.reason)


FromChild = Loaded | Taken | Finished | Cancelled | Failed

_encoder = msgspec.msgpack.Encoder()
_to_child: msgspec.msgpack.Decoder[ToChild] = msgspec.msgpack.Decoder(ToChild)
_from_child: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)


def encode(message: ToChild | FromChild) -> bytes:
    return framed(_encoder.encode(message))


def to_child(body: bytes) -> ToChild:
    return _to_child.decode(body)


def from_child(body: bytes) -> FromChild:
    return _from_child.decode(body)
