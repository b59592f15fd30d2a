"""The port of a recogniser that hears whole clips, many sessions' in turn: Whisper, or what is like it. Pure.

It knows nothing of streaming: when a growing utterance is decoded again, and what of it is published, is decided by
`asr.listening` and `asr.agreement`. A `Transcriber` lives in a process of its own (`asr.shared_child`) and may block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Clip:
    """Mono s16le at 16 kHz. `language`: empty to have it detected. `last`: nothing follows; it may take more care."""

    pcm: bytes
    language: str = ""
    phrases: tuple[str, ...] = ()
    last: bool = False


@dataclass(frozen=True, slots=True)
class ClipWord:
    """`text` begins with a space unless it joins the word before it; samples count from the clip's first."""

    text: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """`language` as the engine heard it, with its probability; empty where it was not asked. `sure`: decoding the same
    clip with `last` could tell nothing else.
    """

    words: tuple[ClipWord, ...] = ()
    language: str = ""
    probability: float = 0.0
    sure: bool = True


class Transcriber(Protocol):
    def transcribe(self, clip: Clip) -> Transcript: ...

    def warm_up(self) -> float:
        """Decodes something for nobody; returns the seconds that a decode takes."""
        ...

    def close(self) -> None: ...
