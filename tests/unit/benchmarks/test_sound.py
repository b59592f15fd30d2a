"""What is read off played sound, on sounds whose truth is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sound import Block, Span, compare, first_sound, join, silent_from

pytestmark = pytest.mark.unit

RATE = 48_000
BLOCK = 480


def tone(samples: int, start: int = 0) -> bytes:
    n = np.arange(start, start + samples)
    return bytes((8000 * np.cos(2 * np.pi * 440 / RATE * n)).astype("<i2").tobytes())


def blocks(pcm: bytes, begin_s: float = 10.0) -> list[Block]:
    size = BLOCK * 2
    return [Block(begin_s + i * 0.01, pcm[at : at + size]) for i, at in enumerate(range(0, len(pcm), size))]


def silence(samples: int) -> bytes:
    return bytes(2 * samples)


def test_sound_begins_and_ends_on_the_sample() -> None:
    played = blocks(silence(700) + tone(1000) + silence(1180))
    assert first_sound(played, RATE) == pytest.approx(10.0 + 700 / RATE)
    assert silent_from(played, RATE) == pytest.approx(10.0 + 1700 / RATE, abs=60 / RATE)


def test_silence_has_neither_beginning_nor_end() -> None:
    assert first_sound(blocks(silence(960)), RATE) is None
    assert silent_from(blocks(silence(960)), RATE) is None


def test_what_a_filter_leaves_ringing_is_silence() -> None:
    ringing = (100 * np.cos(np.arange(960))).astype("<i2").tobytes()
    assert silent_from(blocks(tone(480) + ringing), RATE) == pytest.approx(10.01, abs=60 / RATE)


def test_spans_that_follow_on_each_other_are_one() -> None:
    spans = [Span(1, 0, 480), Span(1, 480, 480), Span(1, 900, 10), Span(2, 910, 5), Span(2, 915, 0)]
    assert join(spans) == [Span(1, 0, 960), Span(1, 900, 10), Span(2, 910, 5)]


REFERENCE = tone(4800)


def played(*spans: tuple[int, int]) -> tuple[list[Span], bytes]:
    return [Span(7, at, n) for at, n in spans], b"".join(REFERENCE[2 * at : 2 * (at + n)] for at, n in spans)


def test_a_reply_in_pieces_is_exact() -> None:
    assert compare(*played((0, 1000), (1000, 3800)), REFERENCE, 7).exact


def test_one_lost_sample_shows() -> None:
    found = compare(*played((0, 1000), (1001, 3799)), REFERENCE, 7)
    assert (found.lost, found.repeated, found.different, found.exact) == (1, 0, 0, False)


def test_one_repeated_sample_shows() -> None:
    found = compare(*played((0, 1000), (999, 3801)), REFERENCE, 7)
    assert (found.lost, found.repeated, found.different, found.exact) == (0, 1, 0, False)


def test_a_whole_period_lost_shows_though_it_sounds_the_same() -> None:
    """1200 samples are eleven periods of 440 Hz."""
    heard = np.frombuffer(REFERENCE, "<i2").astype(int)
    assert np.max(np.abs(heard[1200:] - heard[:-1200])) <= 1
    found = compare(*played((0, 1200), (2400, 2400)), REFERENCE, 7)
    assert found.lost == 1200


def test_other_samples_at_the_right_place_show() -> None:
    spans, pcm = played((0, 4800))
    assert compare(spans, pcm[:100] + bytes(20) + pcm[120:], REFERENCE, 7).different == 10
    assert not compare(spans, pcm[:100] + bytes(20) + pcm[120:], REFERENCE, 7).exact


def test_other_turns_are_another_matter() -> None:
    spans, pcm = played((0, 4800))
    assert compare([Span(6, 0, 10), *spans, Span(8, 0, 10)], bytes(20) + pcm + bytes(20), REFERENCE, 7).exact


def test_more_than_there_was_shows() -> None:
    spans, pcm = played((0, 4800))
    found = compare([*spans, Span(7, 4800, 30)], pcm + bytes(60), REFERENCE, 7)
    assert found.repeated == 30
    assert not found.exact


@given(st.lists(st.integers(1, 4799), unique=True, max_size=6).map(sorted))
def test_any_cut_without_loss_is_exact(cuts: list[int]) -> None:
    edges = [0, *cuts, 4800]
    assert compare(*played(*((a, b - a) for a, b in pairwise(edges))), REFERENCE, 7).exact
