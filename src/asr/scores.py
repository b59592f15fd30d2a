"""From a decoder's scored segments to words that count. Pure.

A segment's acoustic score is relative to the best-fitting sound of each frame, as PocketSphinx gives it: 0 is a perfect
fit, natural logarithm. Frames are 10 ms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asr.recognizer import Word

FRAME_SAMPLES = 160

LONGEST_PHONE = 30
"""Frames a phone of a word, on average. Speech stays below; words heard in steady noise are longer."""

_WORST = -745.0
"""The logarithm of the smallest score that a double holds."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`word` as the decoder spells it; frames [start, end); `posterior` 0 to 1; `fit` the acoustic score."""

    word: str
    start: int
    end: int
    posterior: float
    fit: float

    @property
    def frames(self) -> int:
        return self.end - self.start

    @property
    def is_filler(self) -> bool:
        """Silence, breath, noise: no word."""
        return self.word[:1] in "<[+"

    @property
    def spelling(self) -> str:
        """Without the number of its pronunciation: "the(2)" is "the"."""
        return self.word.partition("(")[0] if self.word.endswith(")") else self.word


@dataclass(frozen=True, slots=True)
class Decoded:
    """One search's result: `score` is that of its path (natural logarithm), language included."""

    segments: tuple[Segment, ...] = ()
    score: float = 0.0
    frames: int = 0

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(s.spelling for s in self.segments if not s.is_filler)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for and against a phrase of the grammar. In nats a frame and in frames."""

    gain: float
    """What the phrase's path scores above the open one's, which pays for its language model."""
    loss: float
    """What its worst word fits worse than what the open model heard in the same frames."""
    outside: int
    """Open words before or after the phrase."""
    gap: int
    """The longest noise or silence within it."""
    stretch: float
    """Frames a phone of its slowest word."""
    words: int

    def confidence(self) -> float:
        """0 to 1; a logistic regression over 243 phrases that were said and 299 that were not."""
        if self.stretch > LONGEST_PHONE:
            return 0.0
        odds = (
            -2.98
            + 2.38 * self.gain
            - 0.448 * self.loss
            - 0.107 * min(self.outside, 60)
            - 0.14 * min(self.gap, 60)
            - 0.025 * self.stretch
            + 0.295 * min(self.words, 8)
        )
        return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, odds))))


def words(segments: Sequence[Segment], first_sample: int, phones: Callable[[str], int], floor: float) -> list[Word]:
    """The words that count. `phones` says how many a word has.

    A last word that ends without silence after it has no posterior of its own; it gets that of its neighbours.
    """
    out: list[Word] = []
    for i, segment in enumerate(segments):
        if segment.is_filler or segment.frames > LONGEST_PHONE * max(1, phones(segment.spelling)):
            continue
        confidence = segment.posterior
        if i == len(segments) - 1:
            before = [s.posterior for s in segments[:i] if not s.is_filler]
            confidence = sum(before) / len(before) if before else 0.5
        if confidence >= floor:
            out.append(
                Word(
                    segment.spelling,
                    first_sample + segment.start * FRAME_SAMPLES,
                    first_sample + segment.end * FRAME_SAMPLES,
                    min(1.0, confidence),
                )
            )
    return out


def evidence(given: Decoded, heard: Decoded, phones: Callable[[str], int]) -> Evidence | None:
    """For the phrase `given`, where the open model found `heard`; None for a phrase without words."""
    said = [s for s in given.segments if not s.is_filler]
    if not said:
        return None
    start, end = said[0].start, said[-1].end
    open_words = [s for s in heard.segments if not s.is_filler]
    fit = _fit_a_frame(heard.segments, max(given.frames, end))
    return Evidence(
        gain=(given.score - heard.score) / max(1, given.frames),
        loss=max((sum(fit[s.start : s.end]) - s.fit) / max(1, s.frames) for s in said),
        outside=sum(max(0, min(start, s.end) - s.start) + max(0, s.end - max(end, s.start)) for s in open_words),
        gap=max((s.frames for s in given.segments if s.is_filler and start < s.start < end), default=0),
        stretch=max(s.frames / max(1, phones(s.spelling)) for s in said),
        words=len(said),
    )


def _fit_a_frame(segments: Sequence[Segment], frames: int) -> list[float]:
    out = [0.0] * frames
    for s in segments:
        each = max(s.fit, _WORST) / max(1, s.frames)
        out[s.start : s.end] = [each] * len(out[s.start : s.end])
    return out
