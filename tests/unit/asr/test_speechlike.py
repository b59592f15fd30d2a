import numpy as np
import pytest

from asr.speechlike import Speechlike, Traits
from base.audio import UPLINK_RATE, from_float
from benchmarks.speech import key_click, knock, silence
from tests.support.vowels import vowel

pytestmark = pytest.mark.unit

T = np.arange(2 * UPLINK_RATE) / UPLINK_RATE
NOISE = np.random.default_rng(3)


def pcm(x):
    return from_float(np.asarray(x, dtype=np.float32))


def tones(*hertz):
    return sum(np.sin(2 * np.pi * f * T) for f in hertz) / len(hertz) * 0.2


def verdict(sound, piece=3_200):
    found = Speechlike()
    for at in range(0, len(sound), piece):
        found.push(sound[at : at + piece])
    return found.verdict()


def room(sound):
    around = pcm(NOISE.standard_normal(UPLINK_RATE // 3) * 3e-4)
    return around + sound + around


def syllables():
    """Vowels that change their level and their colour, as speech does."""
    return b"".join(
        vowel(0.16, pitch_hz=110 + 7 * i, level_dbfs=-22 + 5 * (i % 2))
        + pcm(NOISE.standard_normal(960) * 0.01 * (i % 3))
        for i in range(8)
    )


NOISES = {
    "nothing": b"",
    "silence": silence(2.0),
    "white noise": pcm(NOISE.standard_normal(len(T)) * 0.05),
    "brown noise": pcm(np.cumsum(NOISE.standard_normal(len(T))) * 1e-3 % 0.2),
    "hum": pcm(tones(50, 100, 150, 300)),
    "a chord": pcm(tones(220, 277, 330, 440)),
    "a whistle": pcm(tones(1_000)),
    "typing": b"".join(key_click(i) + silence(0.2) for i in range(8)),
}


@pytest.mark.parametrize("name", NOISES)
def test_noise_is_not_speech(name):
    assert not verdict(room(NOISES[name]))


def test_syllables_are():
    assert verdict(room(syllables()))


def test_pieces_of_any_size_say_the_same():
    sound = room(syllables())
    whole, small = Speechlike(), Speechlike()
    whole.push(sound)
    for at in range(0, len(sound), 250):
        small.push(sound[at : at + 250])
    assert whole.traits() == small.traits()


def test_too_little_is_not_speech():
    found = Speechlike()
    found.push(vowel(0.02))
    assert found.traits() == Traits()
    assert not found.verdict()


def test_a_knock_alone_is_not_speech():
    assert not verdict(room(knock()))
