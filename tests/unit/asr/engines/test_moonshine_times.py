"""Estimated times of words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.engines.moonshine.times import Anchor, beginning, levels, moved, quiet_moments, spread
from base.audio import UPLINK_RATE

pytestmark = pytest.mark.unit

RATE = UPLINK_RATE


def sound(*stretches: tuple[float, float]) -> np.ndarray:
    """(seconds, level) each."""
    rng = np.random.default_rng(1)
    parts = [rng.standard_normal(round(s * RATE)) * level for s, level in stretches]
    return np.concatenate(parts).astype(np.float32)


LOUD, QUIET = 0.1, 0.0003


def test_words_lie_in_what_is_voiced_by_their_length() -> None:
    clip = sound((0.5, QUIET), (1.0, LOUD), (0.5, QUIET), (1.0, LOUD), (0.3, QUIET))
    times = [(a / RATE, b / RATE) for a, b in spread([" aaa", " bbb", " ccc", " ddd"], clip)]
    assert [round(x, 1) for pair in times for x in pair] == [0.5, 1.0, 1.0, 1.5, 2.0, 2.5, 2.5, 3.0]


def test_an_anchor_divides_them() -> None:
    clip = sound((1.0, LOUD), (0.4, QUIET), (1.0, LOUD))
    times = spread([" a", " b", " c", " d"], clip, [Anchor(round(1.2 * RATE), 3)])
    assert times[2][1] == pytest.approx(RATE, abs=400)
    assert times[3][0] == pytest.approx(1.4 * RATE, abs=400)


def test_without_any_sound_they_share_the_clip() -> None:
    times = spread([" a", " b"], np.zeros(RATE, np.float32))
    assert times[0][1] == pytest.approx(RATE // 2, abs=2)
    assert spread([], np.zeros(0, np.float32)) == []
    assert spread([" a"], np.zeros(0, np.float32)) == [(0, 0)]


@given(
    words=st.lists(st.sampled_from([" a", " longer", ".", " …", "x"]), max_size=12),
    stretches=st.lists(st.tuples(st.floats(0.0, 0.5), st.sampled_from([0.0, QUIET, LOUD])), max_size=6),
    anchors=st.lists(st.tuples(st.integers(-10, 50_000), st.integers(-1, 14)), max_size=5),
)
@settings(deadline=None)
def test_times_never_go_back_and_lie_within_the_clip(words, stretches, anchors) -> None:  # type: ignore[no-untyped-def]
    clip = sound((0.0, 0.0), *stretches)
    times = spread(words, clip, [Anchor(s, n) for s, n in anchors])
    assert len(times) == len(words)
    at = 0
    for start, end in times:
        assert at <= start <= end <= len(clip)
        at = start


def test_the_quietest_moment_of_a_span_is_found() -> None:
    clip = sound((0.5, LOUD), (0.2, QUIET), (0.5, LOUD))
    (moment,) = quiet_moments(levels(clip), [(0, len(clip))])
    assert moment == pytest.approx(0.6 * RATE, abs=0.05 * RATE)
    assert quiet_moments(levels(clip), [(10 * RATE, 11 * RATE)]) == []


@pytest.mark.parametrize(
    ("heard", "count"),
    [
        ("it was the age", 4),
        ("it was an age", 4),
        ("it was the", 3),
        ("was the age", 4),
        ("it was the rage", None),
        ("of wisdom it", None),
        ("age", None),
        ("", None),
    ],
)
def test_what_was_decoded_alone_is_found_at_the_beginning(heard: str, count: int | None) -> None:
    assert beginning(heard.split(), ["it", "was", "the", "age", "of", "wisdom", "it", "was", "the", "age"]) == count


def test_anchors_move_with_the_words_before_them() -> None:
    old = ["it", "was", "the", "age", "of", "foolish", "ness", "it", "was"]
    new = ["and", "it", "was", "the", "age", "of", "foolishness", "it", "was", "the"]
    anchors = [Anchor(100, 3), Anchor(200, 5), Anchor(300, 7), Anchor(400, 9)]
    assert moved(anchors, old, new) == [Anchor(100, 4), Anchor(200, 6), Anchor(400, 9)]
    assert moved([Anchor(5, 0)], old, new) == [Anchor(5, 0)]
