"""The port of a speech recogniser: audio of one utterance in, partials and a final out.

Audio is mono s16le at 16 kHz. A `Decoder` decodes one utterance at a time; it may block, so it lives on a thread or in
a process of its own, never on the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Word:
    """`start` and `end` are samples at 16 kHz in the session's media time; `confidence` is 0 to 1."""

    text: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Partial:
    """What was understood so far. The first `stable` code points of `text` will not change (0: no promise).

    `language`: what is spoken, where it was to be detected and is sure by now; else empty.
    """

    utterance: int
    text: str
    stable: int = 0
    language: str = ""


@dataclass(frozen=True, slots=True)
class Final:
    """The end of an utterance; empty `text` means that there were no words. `language` as in `Partial`. `end`: where it
    was ended as too long; 0: where its speaker did.
    """

    utterance: int
    text: str
    confidence: float = 0.0
    words: tuple[Word, ...] = ()
    language: str = ""
    end: int = 0


@dataclass(frozen=True, slots=True)
class RecognizerInfo:
    name: str
    languages: tuple[str, ...]
    licence: str
    partials: bool = True
    phrases: bool = False
    confidence: bool = True
    detection: bool = False
    """It tells languages apart: a session may leave its language open."""


@dataclass(frozen=True, slots=True)
class RecognizerConfig:
    """What a session wants. `adaptation`: what `Adaptive.adaptation` said after its last utterance; empty at first."""

    language: str = ""
    phrases: tuple[str, ...] = ()
    adaptation: str = ""


class Decoder(Protocol):
    """One session's recogniser. Calls come in the order start, push…, finish or cancel; then start again."""

    def start(self, utterance: int, sample: int) -> None: ...

    def push(self, pcm: bytes) -> Partial | None:
        """Takes up to 100 ms; returns a partial when there is news."""
        ...

    def finish(self) -> Final: ...

    def cancel(self) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class Adaptive(Protocol):
    """A decoder that learns its session's voice, and can hand on what it learnt to another decoder."""

    def adaptation(self) -> str:
        """Opaque, short; for `RecognizerConfig.adaptation`."""
        ...


class Recognizer(Protocol):
    """A loaded model that makes decoders."""

    info: RecognizerInfo

    def open(self, config: RecognizerConfig) -> Decoder: ...

    def close(self) -> None: ...
