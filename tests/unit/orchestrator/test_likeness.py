from __future__ import annotations

import numpy as np
import pytest

from base.audio import to_float
from benchmarks.speech import synthetic_speech
from orchestrator.decimator import Sound
from orchestrator.likeness import NONE, RATE, likeness

pytestmark = pytest.mark.unit

DELAYS = round(0.9 * RATE)


def voice(seconds: float = 2.0, *, pitch_hz: float = 120.0, seed: int = 1) -> Sound:
    sound: Sound = to_float(synthetic_speech(seconds, pitch_hz=pitch_hz, seed=seed))[::2].copy()
    return sound


def heard(
    played: Sound, delay: int, *, length: int = 2_000, room: tuple[tuple[int, float], ...] = ((0, 1.0),)
) -> Sound:
    """The last `length` samples of what comes back `delay` later."""
    out = np.zeros(2 * len(played), np.float32)
    for at, share in room:
        out[delay + at : delay + at + len(played)] += share * played
    return out[len(played) - length : len(played)]


def noise(samples: int, seed: int = 1) -> Sound:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


@pytest.mark.parametrize("delay", [0, 160, 2_400, 7_000])
@pytest.mark.parametrize("gain", [1.0, 0.03])
def test_what_is_played_is_found_at_its_delay_however_soft(delay: int, gain: float) -> None:
    played = voice()[-2_000 - DELAYS :]
    found = likeness(gain * heard(played, delay), played)
    assert found.sharp > 25
    assert found.share > 0.9
    assert found.lag == delay


def test_in_a_room_with_noise_it_is_found_and_the_filter_takes_the_first_reflections() -> None:
    played = voice()[-2_000 - DELAYS :]
    room = ((0, 1.0), (13, -0.5), (29, 0.4), (400, 0.2), (900, -0.15))
    sound = heard(played, 900, room=room)
    sound = sound + 0.1 * float(np.std(sound)) * noise(len(sound))
    found = likeness(sound, played, 900)
    assert found.sharp > 15
    assert 0.7 < found.share < 0.99
    assert found.lag == 900


@pytest.mark.parametrize("seed", range(6))
def test_another_voice_is_not_found(seed: int) -> None:
    played = voice()[-2_000 - DELAYS :]
    found = likeness(voice(0.25, pitch_hz=170 + 17 * seed, seed=50 + seed), played)
    assert found.sharp < 20
    assert found.share < 0.4


def test_who_speaks_over_it_leaves_the_peak_and_takes_their_share() -> None:
    played = voice()[-2_000 - DELAYS :]
    echo = heard(played, 800)
    user = voice(0.25, pitch_hz=210, seed=9)
    user = user * float(np.std(echo) / np.std(user))
    shares = []
    for louder in (0.1, 0.5, 1.0, 2.0):
        found = likeness(echo + louder * user, played)
        assert found.lag == 800
        shares.append(found.share)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.85
    assert shares[-1] < 0.5


def test_nothing_says_nothing() -> None:
    played = voice()[-2_000 - DELAYS :]
    silence = np.zeros(2_000, np.float32)
    assert likeness(silence, played) == NONE
    assert likeness(played[:2_000], np.zeros(2_000 + DELAYS, np.float32)) == NONE
    assert likeness(played[:10], played) == NONE
    assert likeness(played, played) == NONE, "there is no delay to look at"
