import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from asr.vad import FRAME_SAMPLES, FrameVad, SpeechEnded, SpeechStarted, Vad, VadSettings
from tests.support.detectors import LoudDetector
from tests.support.vowels import vowel

pytestmark = pytest.mark.unit

F = FRAME_SAMPLES
S = VadSettings()


class World:
    def __init__(self, settings=S):
        self.vad = Vad(settings)
        self.sample = 0
        self.news = []

    def frames(self, n, *, speech, level):
        out = []
        for _ in range(n):
            out += self.vad.push(self.sample, 1.0 if speech else 0.0, level)
            self.sample += F
        self.news += out
        return out


@pytest.fixture
def world():
    made = World()
    made.frames(20, speech=False, level=-60)
    return made


def test_two_voiced_frames_start_an_utterance_at_the_first_of_them(world):
    assert world.frames(1, speech=True, level=-20) == []
    assert world.frames(1, speech=True, level=-20) == [SpeechStarted(1, 20 * F)]


def test_a_single_voiced_frame_is_nothing(world):
    for _ in range(10):
        world.frames(1, speech=True, level=-20)
        world.frames(1, speech=False, level=-60)
    assert world.news == []


def test_it_ends_after_the_hang_over_one_past_the_last_voiced_sample(world):
    world.frames(10, speech=True, level=-20)
    assert world.frames(S.hangover - 1, speech=False, level=-60) == []
    assert world.frames(1, speech=False, level=-60) == [SpeechEnded(1, 30 * F)]


def test_a_pause_shorter_than_the_hang_over_is_part_of_it(world):
    world.frames(10, speech=True, level=-20)
    world.frames(S.hangover - 1, speech=False, level=-60)
    world.frames(5, speech=True, level=-20)
    world.frames(S.hangover, speech=False, level=-60)
    assert world.news == [SpeechStarted(1, 20 * F), SpeechEnded(1, (20 + 10 + S.hangover - 1 + 5) * F)]


def test_a_raised_trigger_wants_more_frames(world):
    world.vad.set_trigger(4)
    assert world.frames(3, speech=True, level=-20) == []
    world.frames(1, speech=False, level=-60)
    assert world.frames(4, speech=True, level=-20) == [SpeechStarted(1, 24 * F)]


@pytest.mark.parametrize("level", [S.quietest_dbfs - 1, -58.0])
def test_what_is_too_quiet_is_no_speech_whatever_the_detector_says(world, level):
    assert world.frames(50, speech=True, level=level) == []


def test_speech_must_stand_out_of_the_noise():
    world = World()
    world.frames(3000, speech=False, level=-40)
    assert world.vad.noise_dbfs == pytest.approx(-40, abs=1)
    assert world.frames(20, speech=True, level=-37) == []
    assert world.frames(2, speech=True, level=-25) != []


def test_the_floor_falls_quickly_when_it_gets_quiet():
    world = World()
    world.frames(3000, speech=False, level=-40)
    world.frames(50, speech=False, level=-70)
    assert world.vad.noise_dbfs < -68


def test_noise_taken_for_speech_ends_when_it_is_learnt_anew_and_speech_over_it_is_heard(world):
    world.frames(400, speech=True, level=-30)
    assert world.news == [SpeechStarted(1, 20 * F)]
    world.vad.relearn_noise()
    world.frames(S.hangover, speech=True, level=-30)
    assert isinstance(world.news[-1], SpeechEnded)
    world.frames(3, speech=True, level=-18)
    assert isinstance(world.news[-1], SpeechStarted)


class VadMachine(RuleBasedStateMachine):
    """Anything may come: starts and ends alternate, ids increase, spans lie in what was fed, silence always ends it."""

    def __init__(self):
        super().__init__()
        self.world = World()
        self.trigger = S.trigger

    @rule(n=st.integers(1, 30), speech=st.booleans(), level=st.floats(-120, 0))
    def feed(self, n, speech, level):
        self.world.frames(n, speech=speech, level=level)

    @rule(frames=st.integers(0, 6))
    def raise_trigger(self, frames):
        self.world.vad.set_trigger(frames)
        self.trigger = max(1, frames)

    @rule()
    def relearn(self):
        self.world.vad.relearn_noise()

    @rule()
    def skip(self):
        self.world.sample += 7 * F

    @rule()
    def silence_ends_it(self):
        self.world.frames(S.hangover, speech=False, level=-120)
        assert not self.world.vad.speaking

    @invariant()
    def news_make_sense(self):
        last_end, open_ = 0, None
        for i, news in enumerate(self.world.news):
            if isinstance(news, SpeechStarted):
                assert open_ is None
                assert news.utterance == i // 2 + 1
                assert last_end <= news.sample < self.world.sample
                open_ = news
            else:
                assert open_ is not None
                assert news.utterance == open_.utterance
                assert open_.sample < news.sample <= self.world.sample
                last_end, open_ = news.sample, None
        assert self.world.vad.speaking == (open_ is not None)


TestVadMachine = VadMachine.TestCase


def test_a_voice_in_quiet_is_one_utterance():
    vad = FrameVad(LoudDetector())
    pcm = bytes(320 * 2 * 20) + vowel(0.6) + bytes(320 * 2 * 20)
    news = [n for i in range(len(pcm) // 640) for n in vad.push(i * F, pcm[i * 640 : i * 640 + 640])]
    assert [type(n) for n in news] == [SpeechStarted, SpeechEnded]
    assert news[0].sample == 20 * F
    assert news[1].sample == 50 * F
