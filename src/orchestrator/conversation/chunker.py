"""Cuts a reply, as it is written, into speakable chunks (skeleton; signatures are fixed)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunk:
    """One speakable piece. [start, end) are code points of the responder's text; chunks cover it in order.

    `spans` are runs (position in `text`, position in the responder's text) from which both advance together.
    """

    index: int
    text: str
    language: str
    start: int
    end: int
    spans: tuple[tuple[int, int], ...]

    def to_source(self, position: int) -> int:
        raise NotImplementedError


class Chunker:
    def __init__(self, language: str = "", *, rate: float = 1.0) -> None:
        raise NotImplementedError

    def push(self, text: str, language: str = "") -> list[Chunk]:
        raise NotImplementedError

    def flush(self) -> list[Chunk]:
        """What is pending is cut now, as at the end of the text; more may be pushed after."""
        raise NotImplementedError
