import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from asr.noise import NoiseFloor

pytestmark = pytest.mark.unit

SECOND = 50


def hear(floor, levels, *, speech=False):
    for level in levels:
        floor.hear(level, speech=speech)


def wavering(n, level, by, seed=1):
    """As loud as speech is: up and down by several dB."""
    return level + by * np.random.default_rng(seed).standard_normal(n)


@pytest.fixture
def floor():
    made = NoiseFloor()
    made.begin(-65.0)
    hear(made, [-65.0] * SECOND)
    return made


def test_the_first_frame_is_taken_for_the_room_unless_it_may_be_speech():
    quiet, loud, silent = NoiseFloor(), NoiseFloor(), NoiseFloor()
    quiet.begin(-58.0)
    loud.begin(-20.0)
    silent.begin(-120.0)
    assert quiet.floor_dbfs == -58.0
    assert loud.floor_dbfs == -45.0
    assert silent.floor_dbfs == -70.0


def test_it_falls_quickly(floor):
    hear(floor, [-78.0] * 20)
    assert floor.floor_dbfs < -77


def test_it_rises_slowly_with_what_is_not_steady(floor):
    hear(floor, wavering(SECOND, -50.0, 6.0))
    assert -65 < floor.floor_dbfs < -55


def test_it_does_not_rise_while_somebody_speaks(floor):
    hear(floor, wavering(3 * SECOND, -25.0, 8.0), speech=True)
    assert floor.floor_dbfs == pytest.approx(-65.0, abs=0.1)


def test_a_steady_noise_is_learnt_within_a_second_though_it_passes_for_speech(floor):
    hear(floor, wavering(SECOND, -30.0, 0.8), speech=True)
    assert floor.floor_dbfs == pytest.approx(-30.0, abs=1.5)


def test_digital_silence_tells_nothing(floor):
    hear(floor, [-120.0] * 10 * SECOND)
    assert floor.floor_dbfs == pytest.approx(-65.0, abs=0.1)


def test_what_is_learnt_anew_is_a_ceiling_over_nearly_all_of_it(floor):
    music = wavering(3 * SECOND, -30.0, 4.0)
    hear(floor, music, speech=True)
    floor.relearn()
    assert np.mean(music[-100:] <= floor.ceiling_dbfs) >= 0.94


def test_the_ceiling_is_given_up_when_nothing_comes_near_it(floor):
    hear(floor, wavering(SECOND, -20.0, 6.0), speech=True)
    floor.relearn()
    hear(floor, [-65.0] * 2 * SECOND)
    assert floor.ceiling_dbfs > -30
    hear(floor, [-65.0] * 2 * SECOND)
    assert floor.ceiling_dbfs == float("-inf")


def test_the_ceiling_stays_while_the_music_plays(floor):
    hear(floor, wavering(SECOND, -20.0, 6.0), speech=True)
    floor.relearn()
    hear(floor, wavering(20 * SECOND, -20.0, 6.0))
    assert floor.ceiling_dbfs > -30


def test_before_anything_was_heard_there_is_nothing_to_learn():
    floor = NoiseFloor()
    floor.relearn()
    assert floor.ceiling_dbfs == float("-inf")


class Noise(RuleBasedStateMachine):
    """Whatever is heard, what is known of it lies between what was loudest and the least that a room can be."""

    def __init__(self):
        super().__init__()
        self.floor = NoiseFloor()
        self.loudest = -70.0

    @rule(level=st.floats(-120, 0), n=st.integers(1, 60), speech=st.booleans())
    def sound(self, level, n, speech):
        hear(self.floor, [level] * n, speech=speech)
        self.loudest = max(self.loudest, level)

    @rule(levels=st.lists(st.floats(-120, 0), max_size=40), speech=st.booleans())
    def sounds(self, levels, speech):
        hear(self.floor, levels, speech=speech)
        self.loudest = max([self.loudest, *levels])

    @rule()
    def relearn(self):
        self.floor.relearn()

    @rule()
    def quiet_for_long_forgets_all(self):
        hear(self.floor, [-80.0] * 160)
        assert self.floor.floor_dbfs < -70
        # Whoever learnt a ceiling over a quiet room gave up nothing by it.
        assert self.floor.ceiling_dbfs < -70

    @invariant()
    def it_is_a_level_that_was_heard(self):
        assert -80 <= self.floor.floor_dbfs <= self.loudest + 1e-9
        assert self.floor.ceiling_dbfs <= self.loudest


TestNoise = Noise.TestCase
