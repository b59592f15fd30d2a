"""The servicer's port: many sessions' utterances, heard at once. Nothing here waits. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from asr.recognizer import Final, Partial, RecognizerConfig, RecognizerInfo
from base.errors import AntiphonError, BadRequest
from base.language import matches


@dataclass(frozen=True, slots=True)
class Failed:
    """No final will come for this utterance."""

    utterance: int
    error: AntiphonError


News = Partial | Final | Failed
Sink = Callable[[News], None]
"""Called on the event loop; a Final or a Failed is the last news of its utterance, and after a cancel none comes."""


class Hearing(Protocol):
    """One utterance being heard."""

    def push_nowait(self, pcm: bytes) -> None: ...

    def finish_nowait(self) -> None:
        """No more audio: the final is due."""
        ...

    def cancel_nowait(self) -> None: ...


class EarsSession(Protocol):
    warnings: tuple[str, ...]
    """What of the configuration could not be done, in sentences."""

    def begin_nowait(self, utterance: int, sample: int, sink: Sink) -> Hearing:
        """Raises AtCapacity where no decoder is free."""
        ...

    def close_nowait(self) -> None:
        """Cancels what is left."""
        ...


class Ears(Protocol):
    info: RecognizerInfo

    @property
    def slots(self) -> int: ...

    @property
    def busy(self) -> int:
        """Utterances being heard."""
        ...

    @property
    def rtf(self) -> float:
        """Decoding time over audio time, measured lately; 0 where not yet."""
        ...

    def open(self, config: RecognizerConfig) -> EarsSession:
        """Raises BadRequest for what can't be heard."""
        ...


def check_language(info: RecognizerInfo, config: RecognizerConfig) -> None:
    """Raises BadRequest that names the languages."""
    if config.language and not any(matches(config.language, tag) for tag in info.languages):
        raise BadRequest(
            f"{info.name} does not hear {config.language!r}; it hears: {', '.join(info.languages)}",
            reason="LANGUAGE_UNKNOWN",
        )
