"""From a decoder's scored segments to words that count. Pure.

A segment's acoustic score is relative to the best-fitting sound of each frame, as PocketSphinx gives it: 0 is a perfect
fit, natural logarithm. Frames are 10 ms. The limits were measured: see docs/decisions/hearing.md.
"""

from __future__ import annotations

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
class GrammarLimits:
    """When a phrase of the grammar beats the open model. A long phrase is seldom found by chance, so each of its words
    after the second makes the limits wider."""

    gain: float = 0.5
    """Nats a frame that the phrase's path must score above the open one's, which pays for its language model."""
    loss: float = 1.0
    """Nats a frame that its worst word may fit worse than what the open model heard in the same frames."""
    more_loss: float = 0.3
    mean_loss: float = 0.75
    """The same, for all its words on average."""
    outside: int = 15
    """Frames of open words before or after the phrase."""
    more_outside: int = 8
    inside: int = 30
    """Frames of noise or silence within it, a gap."""


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


def phrase_confidence(
    given: Decoded, heard: Decoded, phones: Callable[[str], int], limits: GrammarLimits | None = None
) -> float:
    """How sure it is that the complete phrase `given` was said, where the open model found `heard`; 0: it was not."""
    limits = limits or GrammarLimits()
    said = [s for s in given.segments if not s.is_filler]
    open_words = [s for s in heard.segments if not s.is_filler]
    if not said or not open_words or any(s.frames > LONGEST_PHONE * max(1, phones(s.spelling)) for s in said):
        return 0.0
    start, end = said[0].start, said[-1].end
    outside = sum(max(0, min(start, s.end) - s.start) + max(0, s.end - max(end, s.start)) for s in open_words)
    inside = max((s.frames for s in given.segments if s.is_filler and start < s.start < end), default=0)
    fit = _fit_a_frame(heard.segments, max(given.frames, end))
    losses = [(sum(fit[s.start : s.end]) - s.fit) / max(1, s.frames) for s in said]
    gain = (given.score - heard.score) / max(1, given.frames)
    more = max(0, len(said) - 2)
    wins = (
        gain >= limits.gain
        and max(losses) <= limits.loss + more * limits.more_loss
        and sum(losses) / len(losses) <= limits.mean_loss
        and outside <= limits.outside + more * limits.more_outside
        and inside <= limits.inside
    )
    return min(1.0, 0.7 + 0.2 * (gain - limits.gain)) if wins else 0.0


def _fit_a_frame(segments: Sequence[Segment], frames: int) -> list[float]:
    out = [0.0] * frames
    for s in segments:
        each = max(s.fit, _WORST) / max(1, s.frames)
        out[s.start : s.end] = [each] * len(out[s.start : s.end])
    return out
