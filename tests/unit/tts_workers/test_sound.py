"""The sound of one chunk: exact counts, marks in place, gain, no matter how the engine cuts its audio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.audio import SAMPLE_RATES, from_float, rms_dbfs
from base.errors import Internal
from tts_workers.engine import Mark
from tts_workers.sound import ChunkSound
from tts_workers.values import Word

pytestmark = pytest.mark.unit


def tone(samples: int, rate: int, amplitude: float = 0.3) -> bytes:
    return from_float((amplitude * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)).astype(np.float32))


def through(sound: ChunkSound, pcm: bytes, sizes: list[int]) -> bytes:
    out = []
    at = 0
    for size in sizes:
        out.append(sound.push(pcm[at : at + 2 * size]))
        at += 2 * size
    out.append(sound.push(pcm[at:]))
    out.append(sound.finish())
    return b"".join(out)


@settings(max_examples=80)
@given(
    rate_in=st.sampled_from([16_000, 22_050, 24_000, 48_000]),
    rate_out=st.sampled_from(SAMPLE_RATES),
    samples=st.integers(0, 9000),
    sizes=st.lists(st.integers(0, 3000), max_size=6),
)
def test_counts_are_exact(rate_in: int, rate_out: int, samples: int, sizes: list[int]) -> None:
    sound = ChunkSound(rate_in, rate_out, gain=1.0, start=0, text_size=0)
    out = through(sound, tone(samples, rate_in), sizes)
    assert len(out) // 2 == sound.scaled(samples)
    assert abs(sound.scaled(samples) - samples * rate_out / rate_in) <= 0.5


def test_an_impulse_stays_where_its_mark_says() -> None:
    x = np.zeros(22_050, dtype=np.float32)
    x[11_025] = 0.9
    sound = ChunkSound(22_050, 48_000, gain=1.0, start=960, text_size=10)
    sound.mark(Mark(2, 5, 11_025))
    y = np.frombuffer(through(sound, from_float(x), [500] * 30), dtype="<i2")
    (word,) = sound.words()
    assert word == Word(2, 5, 960 + 24_000)
    assert abs(int(np.argmax(np.abs(y))) - 24_000) <= 1


def test_marks_come_with_their_audio_and_never_after() -> None:
    sound = ChunkSound(48_000, 48_000, gain=1.0, start=0, text_size=100)
    for i in range(10):
        sound.mark(Mark(i, i + 1, i * 1000))
    assert sound.words() == ()
    sent = 0
    seen: list[Word] = []
    for _ in range(20):
        out = sound.push(tone(480, 48_000))
        words = sound.words()
        assert all(word.sample >= sent for word in words)
        sent += len(out) // 2
        seen += words
    assert [w.sample for w in seen] == [i * 1000 for i in range(10)]


def test_marks_out_of_order_or_beyond_the_end_are_put_inside() -> None:
    sound = ChunkSound(48_000, 48_000, gain=1.0, start=100, text_size=4)
    sound.mark(Mark(0, 2, 500))
    sound.mark(Mark(2, 3, 300))
    sound.mark(Mark(3, 99, 10**9))
    sound.push(tone(1000, 48_000))
    sound.finish()
    assert [(w.start, w.end, w.sample) for w in sound.words()] == [(0, 2, 600), (2, 3, 600), (3, 4, 1100)]


def test_gain_counts_and_peaks_are_held() -> None:
    quiet = through(ChunkSound(48_000, 48_000, gain=0.5, start=0, text_size=0), tone(9600, 48_000), [])
    assert rms_dbfs(quiet) == pytest.approx(rms_dbfs(tone(9600, 48_000)) - 6.02, abs=0.05)
    loud = through(ChunkSound(48_000, 48_000, gain=10.0, start=0, text_size=0), tone(9600, 48_000), [])
    assert np.abs(np.frombuffer(loud, dtype="<i2").astype(int)).max() <= 0.9 * 32768


def test_half_a_sample_is_the_engines_fault() -> None:
    with pytest.raises(Internal, match="3 bytes"):
        ChunkSound(48_000, 48_000, gain=1.0, start=0, text_size=0).push(b"abc")
