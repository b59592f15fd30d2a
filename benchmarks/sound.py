"""What is read off played sound: when it began, when it ended, whether it is what was sent. Pure; s16le throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AUDIBLE = 327
"""An amplitude of 1 % of full scale: below it is what dither and a filter's ringing leave."""


@dataclass(frozen=True, slots=True)
class Block:
    """What the loudspeaker took at `at_s`: its first sample sounds then, the others after it."""

    at_s: float
    pcm: bytes


def samples(pcm: bytes) -> NDArray[np.int16]:
    return np.frombuffer(pcm, dtype="<i2")


def first_audible(pcm: bytes, threshold: int = AUDIBLE) -> int | None:
    """Index of the first sample that can be heard; None for silence."""
    found = np.flatnonzero(np.abs(samples(pcm).astype(np.int32)) >= threshold)
    return int(found[0]) if len(found) else None


def last_audible(pcm: bytes, threshold: int = AUDIBLE) -> int | None:
    found = np.flatnonzero(np.abs(samples(pcm).astype(np.int32)) >= threshold)
    return int(found[-1]) if len(found) else None


def first_sound(blocks: Sequence[Block], rate: int) -> float | None:
    """When the first audible sample sounded."""
    for block in blocks:
        index = first_audible(block.pcm)
        if index is not None:
            return block.at_s + index / rate
    return None


def silent_from(blocks: Sequence[Block], rate: int) -> float | None:
    """The end of the last audible sample: silence from then on. None when nothing was audible."""
    for block in reversed(blocks):
        index = last_audible(block.pcm)
        if index is not None:
            return block.at_s + (index + 1) / rate
    return None


@dataclass(frozen=True, slots=True)
class Span:
    """`count` samples of `turn` from `sample` on, played without a break."""

    turn: int
    sample: int
    count: int


def join(spans: Sequence[Span]) -> list[Span]:
    """Spans that follow on each other made one."""
    out: list[Span] = []
    for span in spans:
        if out and out[-1].turn == span.turn and out[-1].sample + out[-1].count == span.sample:
            out[-1] = Span(span.turn, out[-1].sample, out[-1].count + span.count)
        elif span.count:
            out.append(span)
    return out


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of what was played with what should have been, in samples."""

    expected: int
    played: int
    lost: int
    repeated: int
    different: int
    """Played at its place, but with another value."""

    @property
    def exact(self) -> bool:
        return not (self.lost or self.repeated or self.different) and self.expected == self.played


def compare(spans: Sequence[Span], played: bytes, reference: bytes, turn: int) -> Comparison:
    """`played` is the audio of `spans`, in order; `reference` is the whole turn as it was meant.

    Places come from the offsets, values from the audio: a tone alone would hide the loss of whole periods.
    """
    meant = samples(reference)
    heard = samples(played)
    times = np.zeros(len(meant), dtype=np.int32)
    different = beyond = at = 0
    for span in spans:
        if span.turn == turn:
            end = min(span.sample + span.count, len(meant))
            beyond += span.sample + span.count - end if span.sample < len(meant) else span.count
            if span.sample < end:
                times[span.sample : end] += 1
                piece = heard[at : at + end - span.sample]
                different += int(np.count_nonzero(piece != meant[span.sample : span.sample + len(piece)]))
        at += span.count
    total = sum(span.count for span in spans if span.turn == turn)
    repeated = int(np.sum(np.maximum(times - 1, 0))) + beyond
    return Comparison(len(meant), total, int(np.count_nonzero(times == 0)), repeated, different)
