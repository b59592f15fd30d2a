from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.audio import SAMPLE_RATES, AudioFormat, Framer, StreamResampler, from_float, rms_dbfs, to_float
from base.errors import BadRequest

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_a_frame_is_20_ms_in_whole_samples(rate):
    format_ = AudioFormat(rate)
    assert format_.frame_samples * 50 == rate
    assert format_.frame_bytes == format_.frame_samples * 2
    assert format_.samples(format_.seconds(12345)) == 12345


@pytest.mark.parametrize("rate", [0, -1, 11025, 44101, 192_000])
def test_a_rate_that_is_not_spoken_is_refused_with_those_that_are(rate):
    with pytest.raises(BadRequest, match="use one of 8000"):
        AudioFormat(rate)


def test_an_encoding_that_is_not_spoken_is_refused():
    with pytest.raises(BadRequest, match="pcm_s16le"):
        AudioFormat(48_000, "opus")


@given(st.lists(st.integers(-32768, 32767), max_size=50))
def test_float_and_back_is_the_same(samples):
    pcm = np.array(samples, dtype="<i2").tobytes()
    assert from_float(to_float(pcm)) == pcm


def test_what_is_out_of_range_is_clipped_and_what_is_no_number_is_silence():
    pcm = from_float(np.array([2.0, -2.0, np.nan, np.inf, -np.inf], dtype=np.float32))
    assert np.frombuffer(pcm, "<i2").tolist() == [32767, -32768, 0, 32767, -32768]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8), st.integers(1, 30))
def test_frames_are_whole_and_nothing_is_lost_however_it_comes(data, cuts, size):
    edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    framer = Framer(size)
    frames = [f for a, b in pairwise(edges) for f in framer.push(data[a:b])]
    rest = framer.flush()
    assert all(len(f) == size for f in frames)
    joined = b"".join(frames) + (rest or b"")
    assert joined[: len(data)] == data
    assert not any(joined[len(data) :])
    assert len(joined) - len(data) < size
    assert framer.flush() is None


@pytest.mark.parametrize(
    ("rate_in", "rate_out"), [(22_050, 48_000), (48_000, 16_000), (16_000, 48_000), (24_000, 24_000)]
)
def test_resampling_in_pieces_is_resampling_at_once(rate_in, rate_out):
    tone = from_float((0.5 * np.sin(np.arange(rate_in) * 2 * np.pi * 440 / rate_in)).astype(np.float32))
    whole = StreamResampler(rate_in, rate_out)
    at_once = whole.process(tone) + whole.flush()
    pieces = StreamResampler(rate_in, rate_out)
    out = b"".join(pieces.process(tone[i : i + 882]) for i in range(0, len(tone), 882)) + pieces.flush()
    assert len(at_once) == rate_out * 2
    assert len(out) == len(at_once)
    difference = np.frombuffer(out, "<i2").astype(int) - np.frombuffer(at_once, "<i2").astype(int)
    assert np.abs(difference).max() <= 2
    assert rms_dbfs(out) == pytest.approx(rms_dbfs(tone), abs=0.1)


def test_after_a_flush_a_resampler_is_new():
    resampler = StreamResampler(22_050, 48_000)
    first = resampler.process(b"\x10\x20" * 2205) + resampler.flush()
    assert resampler.process(b"\x10\x20" * 2205) + resampler.flush() == first


@pytest.mark.parametrize(
    ("pcm", "level"),
    [(b"", -120.0), (bytes(640), -120.0), (b"\x00\x80" * 320, 0.0), (b"\x00\x40" * 320, -6.02), (b"\x01\x00", -90.3)],
)
def test_levels(pcm, level):
    assert rms_dbfs(pcm) == pytest.approx(level, abs=0.01)
