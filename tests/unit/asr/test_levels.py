import numpy as np
import pytest

from asr.levels import BLOCKS, FRAME_SAMPLES, SILENT_DBFS, block_levels
from base.audio import UPLINK_RATE

pytestmark = pytest.mark.unit

T = np.arange(FRAME_SAMPLES) / UPLINK_RATE


def pcm(x):
    return np.clip(np.asarray(x) * 32768, -32768, 32767).astype("<i2").tobytes()


def test_what_speech_is_made_of_has_its_level():
    tone = 0.1 * np.sin(2 * np.pi * 800 * T)
    assert block_levels(pcm(tone)) == pytest.approx([-23.0] * BLOCKS, abs=0.3)


def test_noise_loses_hardly_anything():
    noise = np.random.default_rng(1).standard_normal(FRAME_SAMPLES) * 0.05
    assert np.mean(block_levels(pcm(noise))) == pytest.approx(-26.0, abs=1)


@pytest.mark.parametrize("slow", [np.full(FRAME_SAMPLES, 0.5), 0.5 * np.sin(2 * np.pi * 50 * T)], ids=["dc", "hum"])
def test_an_offset_and_the_mains_hardly_count(slow):
    assert max(block_levels(pcm(slow))) < -45


def test_each_block_is_on_its_own():
    x = np.zeros(FRAME_SAMPLES)
    x[80:160] = 0.1 * np.sin(2 * np.pi * 1000 * T[:80])
    assert block_levels(pcm(x)) == pytest.approx([SILENT_DBFS, -23.0, SILENT_DBFS, SILENT_DBFS], abs=0.3)


@pytest.mark.parametrize("x", [np.zeros(FRAME_SAMPLES), np.ones(FRAME_SAMPLES), -np.ones(FRAME_SAMPLES)])
def test_silence_and_the_ends_of_the_scale_have_a_level(x):
    assert all(SILENT_DBFS <= level <= 0 for level in block_levels(pcm(x)))


@pytest.mark.parametrize("size", [0, 638, 642])
def test_another_length_is_refused(size):
    with pytest.raises(ValueError, match="640"):
        block_levels(bytes(size))
