"""Audio at the edge: framing, gaps, repeats, nonsense; floods."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.audio import SAMPLE_RATES
from base.errors import BadRequest
from orchestrator.edge import FARTHEST, FRAME_SAMPLES, Allowance, InputAudio

pytestmark = pytest.mark.unit

FRAME_BYTES = FRAME_SAMPLES * 2

NOISE = np.random.default_rng(3).integers(-9000, 9000, 16_000 * 3, dtype=np.int16)


def pcm(first: int, count: int) -> bytes:
    return NOISE[first : first + count].astype("<i2").tobytes()


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=20))
def test_any_lengths_become_whole_frames_of_the_same_audio(lengths: list[int]) -> None:
    audio, at, out = InputAudio(16_000), 0, []
    for n in lengths:
        out += audio.push(at, pcm(at, n), 0.0)
        at += n
    assert [sample for sample, _ in out] == [i * FRAME_SAMPLES for i in range(len(out))]
    assert all(len(frame) == FRAME_BYTES for _, frame in out)
    assert b"".join(frame for _, frame in out) == pcm(0, at // FRAME_SAMPLES * FRAME_SAMPLES)


@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_every_rate_keeps_media_time_and_makes_nobody_wait(rate: int) -> None:
    audio, piece, out = InputAudio(rate), rate // 50, []
    tone = (9000 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype("<i2")
    for n in range(50):
        out += audio.push(n * piece, tone[n * piece : (n + 1) * piece].tobytes(), n * 0.02)
        assert out[-1][0] == n * FRAME_SAMPLES, "a frame in, a frame out"
    heard = np.frombuffer(b"".join(frame for _, frame in out), dtype="<i2").astype(float)
    shift_s = {8000: 0.002, 12_000: 16 / 12_000, 16_000: 0.0}.get(rate, 0.001)
    reference = 9000 * np.sin(2 * np.pi * 440 * (np.arange(len(heard)) / 16_000 - shift_s))
    middle = slice(1600, 14_400)
    assert np.sqrt(np.mean((heard[middle] - reference[middle]) ** 2)) < 20


@pytest.mark.parametrize("rate", [24_000, 32_000, 44_100, 48_000])
def test_what_16_khz_cannot_hold_is_filtered_out(rate: int) -> None:
    audio = InputAudio(rate)
    tone = (9000 * np.sin(2 * np.pi * 10_500 * np.arange(rate) / rate)).astype("<i2").tobytes()
    heard = np.frombuffer(b"".join(frame for _, frame in audio.push(0, tone, 0.0)), dtype="<i2").astype(float)
    assert np.sqrt(np.mean(heard[1600:] ** 2)) < 9


def test_the_first_offset_may_be_any_and_frames_lie_on_multiples() -> None:
    audio = InputAudio(16_000)
    out = audio.push(1000, pcm(0, 640), 0.0)
    assert [sample for sample, _ in out] == [960, 1280]
    assert out[0][1] == bytes(80) + pcm(0, 280)


def test_without_offsets_it_goes_on() -> None:
    audio = InputAudio(16_000)
    out = audio.push(None, pcm(0, 320), 0.0) + audio.push(None, pcm(320, 320), 0.0)
    assert out == [(0, pcm(0, 320)), (320, pcm(320, 320))]


def test_without_offsets_it_begins_where_it_is_told() -> None:
    audio = InputAudio(16_000, 3200)
    assert audio.push(None, pcm(0, 320), 0.0) == [(3200, pcm(0, 320))]
    assert InputAudio(16_000, 3200).push(0, pcm(0, 320), 0.0) == [(0, pcm(0, 320))]


@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_a_first_offset_that_would_overflow_is_refused_and_changes_nothing(rate: int) -> None:
    audio, piece = InputAudio(rate), bytes(rate // 25)
    for sample in (FARTHEST + 1, 2**62, 2**64 - 1):
        with pytest.raises(BadRequest, match="cannot begin at"):
            audio.push(sample, piece, 0.0)
    assert audio.push(0, piece, 0.0)[0][0] == 0
    (last, _), *_ = InputAudio(rate).push(FARTHEST // rate * rate, piece, 0.0)
    assert last < 2**53


def test_a_short_gap_is_bridged_with_zeros() -> None:
    audio = InputAudio(16_000)
    out = audio.push(0, pcm(0, 320), 0.0) + audio.push(640, pcm(640, 320), 0.0)
    assert out == [(0, pcm(0, 320)), (320, bytes(640)), (640, pcm(640, 320))]


def test_a_long_gap_is_left_to_the_uplink_and_offsets_stay_true() -> None:
    audio = InputAudio(16_000)
    out = audio.push(0, pcm(0, 320), 0.0) + audio.push(16_000, pcm(0, 320), 1.0)
    assert [sample for sample, _ in out] == [0, 16_000]


def test_what_was_there_before_is_cut_off() -> None:
    audio = InputAudio(16_000)
    first = audio.push(0, pcm(0, 640), 0.0)
    assert audio.push(0, pcm(0, 640), 0.1) == []
    again = audio.push(320, pcm(320, 640), 0.1)
    assert first + again == [(0, pcm(0, 320)), (320, pcm(320, 320)), (640, pcm(640, 320))]
    assert audio.repeated == 960


def test_an_offset_far_in_the_future_is_refused_and_changes_nothing() -> None:
    audio = InputAudio(16_000)
    audio.push(0, pcm(0, 320), 0.0)
    with pytest.raises(BadRequest, match="ahead of the time that passed"):
        audio.push(2**62, pcm(0, 320), 0.02)
    assert audio.push(320, pcm(320, 320), 0.04) == [(320, pcm(320, 320))]


def test_a_client_muted_for_minutes_may_count_on() -> None:
    audio = InputAudio(48_000)
    audio.push(0, bytes(1920), 0.0)
    assert audio.push(48_000 * 600, bytes(1920 * 2), 600.0)[0][0] == 16_000 * 600


@pytest.mark.parametrize(("size", "what"), [(641, "even"), (32_002, "one second")])
def test_odd_and_oversized_audio_is_refused(size: int, what: str) -> None:
    with pytest.raises(BadRequest, match=what):
        InputAudio(16_000).push(0, bytes(size), 0.0)


def test_unsupported_rates_are_refused() -> None:
    with pytest.raises(BadRequest, match="11025"):
        InputAudio(11_025)


@settings(max_examples=200)
@given(
    rate=st.sampled_from(SAMPLE_RATES),
    steps=st.lists(st.tuples(st.integers(-3000, 60_000), st.integers(0, 3000)), max_size=30),
)
def test_offsets_only_grow_whatever_the_client_counts(rate: int, steps: list[tuple[int, int]]) -> None:
    audio, at, last, now = InputAudio(rate), 0, -FRAME_SAMPLES, 0.0
    for jump, n in steps:
        at = max(0, at + jump)
        now += 0.02
        try:
            out = audio.push(at, bytes(min(n, rate) * 2), now)
        except BadRequest:
            continue
        for sample, frame in out:
            assert sample >= last + FRAME_SAMPLES or sample % FRAME_SAMPLES == 0
            assert sample > last
            assert len(frame) == FRAME_BYTES
            last = sample
        at += n


def test_an_allowance_lets_a_burst_pass_and_then_its_rate() -> None:
    allowance = Allowance(rate=10, burst=5, now=0.0)
    assert [allowance.take(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert not allowance.take(0.05)
    assert allowance.take(0.1)
    assert [allowance.take(100.0) for _ in range(6)] == [True] * 5 + [False]
