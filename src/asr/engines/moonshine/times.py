"""When words were said, for a recogniser that does not tell. Pure.

The words are spread over what is voiced of the clip by their length in letters, so that none lies in a pause; where it
is known that so many words had been said by some moment (an `Anchor`), they are spread on either side of it. So a time
is an estimate: near an anchor it is right to some hundredths of a second, elsewhere to some tenths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE

FRAME = UPLINK_RATE // 100
_BELOW_LOUDEST_DB = 35.0
_ABOVE_NOISE_DB = 10.0
_SMOOTH = 5
"""Frames over which a level is averaged when a quiet moment is looked for."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Anchor:
    """By `sample` the first `words` words had been said, and none after them was begun."""

    sample: int
    words: int


def levels(samples: Floats) -> NDArray[np.float64]:
    """RMS of each frame in dB below full scale."""
    count = len(samples) // FRAME
    frames = samples[: count * FRAME].reshape(count, FRAME).astype(np.float64)
    found: NDArray[np.float64] = 10 * np.log10(np.mean(frames * frames, axis=1) + 1e-12)
    return found


def quiet_moments(loud: NDArray[np.float64], spans: Sequence[tuple[int, int]]) -> list[int]:
    """The middle of the quietest stretch within each span of samples."""
    if not len(loud):
        return []
    smooth = np.convolve(loud, np.ones(_SMOOTH) / _SMOOTH, "same")
    found = []
    for first, last in spans:
        a, b = max(0, first // FRAME), min(len(loud), max(first // FRAME + 1, last // FRAME))
        if a < b:
            low = np.flatnonzero(smooth[a:b] <= smooth[a:b].min() + 1.0)
            found.append((a + int(low[len(low) // 2])) * FRAME + FRAME // 2)
    return found


def moved(anchors: Sequence[Anchor], old: Sequence[str], new: Sequence[str]) -> list[Anchor]:
    """Anchors among the words `old`, put where these are among `new`; without those whose last word is gone."""
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    found = []
    for anchor in anchors:
        block = next((b for b in blocks if b.a < anchor.words <= b.a + b.size), None)
        if not anchor.words:
            found.append(anchor)
        elif block is not None:
            found.append(Anchor(anchor.sample, anchor.words - block.a + block.b))
    return found


def beginning(heard: Sequence[str], words: Sequence[str]) -> int | None:
    """How many of `words` a decode of their beginning alone says, which may have heard some of them otherwise; None
    where that is not sure.
    """
    best: tuple[int, int, int] | None = None
    row = list(range(len(heard) + 1))
    for count, word in enumerate(words[: 2 * len(heard)], 1):
        above, row = row, [count]
        for i, other in enumerate(heard, 1):
            row.append(min(above[i] + 1, row[i - 1] + 1, above[i - 1] + (word != other)))
        if heard[-1] == word:
            found = (row[-1], abs(count - len(heard)), count)
            best = min(best or found, found)
    return best[2] if best is not None and best[0] <= len(heard) // 3 else None


def spread(words: Sequence[str], samples: Floats, anchors: Sequence[Anchor] = ()) -> list[tuple[int, int]]:
    """Start and end of each word, in samples. They never go back, and lie within the clip."""
    voiced = _voiced(levels(samples), len(samples))
    at = [Anchor(0, 0), *_rising(anchors, len(words), len(samples)), Anchor(len(samples), len(words))]
    times: list[tuple[int, int]] = []
    for before, after in pairwise(at):
        some = [1 + sum(map(str.isalnum, word)) for word in words[before.words : after.words]]
        if not some:
            continue
        edges = np.cumsum([0, *some]) / sum(some)
        first, last = voiced[before.sample], voiced[after.sample]
        spoken = first + edges * (last - first)
        starts = np.clip(np.searchsorted(voiced, spoken[:-1], "right") - 1, before.sample, after.sample)
        ends = np.clip(np.searchsorted(voiced, spoken[1:], "left"), starts, after.sample)
        times += zip(map(int, starts), map(int, ends), strict=True)
    return times


def _rising(anchors: Sequence[Anchor], words: int, end: int) -> list[Anchor]:
    """Without those that contradict one before them."""
    kept: list[Anchor] = []
    for anchor in sorted(anchors, key=lambda a: a.sample):
        least = kept[-1].words if kept else 0
        if 0 < anchor.sample < end and least <= anchor.words <= words:
            kept.append(anchor)
    return kept


def _voiced(loud: NDArray[np.float64], end: int) -> NDArray[np.float64]:
    """How many samples were voiced before each sample, the last being `end`; all of them where nothing is."""
    mark = np.zeros(len(loud))
    if len(loud):
        limit = max(float(loud.max()) - _BELOW_LOUDEST_DB, float(np.percentile(loud, 10)) + _ABOVE_NOISE_DB)
        mark = (loud >= min(limit, float(loud.max()))).astype(np.float64)
    whole = np.zeros(end + 1)
    marked = np.repeat(mark, FRAME)
    whole[1 : 1 + len(marked)] = marked
    if not mark.any():
        whole[1:] = 1.0
    return np.cumsum(whole)
