import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from asr.levels import BLOCK_SAMPLES, BLOCKS
from asr.vad import FRAME_SAMPLES, FrameVad, SpeechEnded, SpeechStarted, Vad, VadSettings
from tests.support.detectors import LoudDetector
from tests.support.vowels import vowel

pytestmark = pytest.mark.unit

F = FRAME_SAMPLES
B = BLOCK_SAMPLES
S = VadSettings()
ROOM = -66.0
SYLLABLES = (-20.0, -24.0, -19.0, -29.0, -22.0)
"""Speech is never as steady as a noise: a level a frame."""


class World:
    def __init__(self, settings=S):
        self.vad = Vad(settings)
        self.sample = 0
        self.news = []

    def frame(self, levels, *, speech):
        out = self.vad.push(self.sample, 1.0 if speech else 0.0, levels)
        self.sample += F
        self.news += out
        return out

    def frames(self, n, *, speech, level):
        return [news for _ in range(n) for news in self.frame([level] * BLOCKS, speech=speech)]

    def speech(self, n, by=0.0):
        levels = [SYLLABLES[i % len(SYLLABLES)] + by for i in range(n)]
        return [news for level in levels for news in self.frame([level] * BLOCKS, speech=True)]

    def quiet(self, n):
        return self.frames(n, speech=False, level=ROOM)


@pytest.fixture
def world():
    made = World()
    made.quiet(20)
    return made


def test_speech_starts_at_the_first_loud_block_as_soon_as_20_ms_of_it_are_there(world):
    assert world.frame([ROOM, ROOM, ROOM, -20.0], speech=True) == []
    assert world.frame([-20.0] * BLOCKS, speech=True) == [SpeechStarted(1, 20 * F + 3 * B)]


def test_it_starts_within_one_frame_that_is_filled(world):
    assert world.frame([-20.0] * BLOCKS, speech=True) == [SpeechStarted(1, 20 * F)]


def test_a_click_is_over_before_it_is_speech(world):
    for _ in range(40):
        world.frame([ROOM, -10.0, -18.0, -40.0], speech=True)
        world.frame([-52.0, -60.0, ROOM, ROOM], speech=True)
        world.quiet(6)
    assert world.news == []


def test_what_is_dying_away_starts_nothing(world):
    world.frame([ROOM, ROOM, -6.0, -9.0], speech=False)
    assert world.frame([-12.0, -15.0, -18.0, -21.0], speech=True) == []


def test_a_knock_on_top_of_a_murmur_is_judged_alone(world):
    world.frame([-50.0] * BLOCKS, speech=False)
    assert world.frame([-50.0, -50.0, -50.0, -10.0], speech=True) == []
    assert world.frame([-40.0, -50.0, ROOM, ROOM], speech=True) == []


def test_what_the_detector_does_not_take_for_speech_is_none(world):
    assert world.frames(20, speech=False, level=-20.0) == []


def test_it_ends_after_the_hang_over_one_past_the_last_voiced_sample(world):
    world.speech(10)
    assert world.quiet(S.hangover - 1) == []
    assert world.quiet(1) == [SpeechEnded(1, 30 * F)]


def test_the_end_is_found_to_a_block(world):
    world.speech(10)
    world.frame([-20.0, ROOM, ROOM, ROOM], speech=True)
    assert world.quiet(S.hangover) == [SpeechEnded(1, 30 * F + B)]


def test_a_detectors_own_hang_over_does_not_count(world):
    world.speech(10)
    world.frames(S.hangover, speech=True, level=ROOM)
    assert world.news[-1] == SpeechEnded(1, 30 * F)


def test_an_echo_does_not_count(world):
    world.speech(10)
    for step in range(30):
        world.frame([-26.0 - 1.0 * step] * BLOCKS, speech=True)
    world.quiet(S.hangover)
    ended = world.news[-1]
    assert isinstance(ended, SpeechEnded)
    assert 30 * F < ended.sample <= 30 * F + 25 * F


def test_a_pause_shorter_than_the_hang_over_is_part_of_it(world):
    world.speech(10)
    world.quiet(S.hangover - 1)
    world.speech(5)
    world.quiet(S.hangover)
    assert world.news == [SpeechStarted(1, 20 * F), SpeechEnded(1, (20 + 10 + S.hangover - 1 + 5) * F)]


def test_a_click_does_not_keep_an_utterance_alive(world):
    world.speech(10)
    for _ in range(4):
        world.quiet(5)
        world.frame([ROOM, -12.0, -30.0, ROOM], speech=True)
    assert world.news[-1] == SpeechEnded(1, 30 * F)


def test_speech_in_a_noise_that_is_none_begins_where_it_is_speech(world):
    for level in (-24.0, -20.0, -28.0, -21.0) * 20:
        world.frame([level] * BLOCKS, speech=False)
    (started,) = world.speech(3)
    assert 99 * F <= started.sample <= 100 * F


def test_a_raised_trigger_wants_more_of_it(world):
    world.vad.set_trigger(4)
    assert world.speech(2) == []
    world.quiet(5)
    assert world.speech(3) == [SpeechStarted(1, 27 * F)]


@pytest.mark.parametrize("level", [S.quietest_dbfs - 1, ROOM + S.margin_db - 0.5])
def test_what_is_too_quiet_is_no_speech_whatever_the_detector_says(world, level):
    assert world.frames(50, speech=True, level=level) == []


def test_speech_must_stand_out_of_the_noise():
    world = World()
    world.frames(100, speech=False, level=-40.0)
    assert world.vad.noise_dbfs == pytest.approx(-40, abs=0.5)
    assert world.frames(20, speech=True, level=-37.5) == []
    assert world.frames(2, speech=True, level=-25.0) != []


def test_a_steady_noise_that_passes_for_speech_ends_by_itself_and_speech_over_it_is_heard(world):
    world.frames(60, speech=True, level=-30.0)
    assert [type(news) for news in world.news] == [SpeechStarted, SpeechEnded]
    world.frames(100, speech=True, level=-30.0)
    assert len(world.news) == 2
    world.speech(3, by=10.0)
    assert isinstance(world.news[-1], SpeechStarted)


def test_speech_without_end_does_not(world):
    world.speech(1500)
    assert len(world.news) == 1


def test_noise_taken_for_speech_ends_when_it_is_learnt_anew_and_speech_over_it_is_heard(world):
    world.speech(400)
    world.vad.relearn_noise()
    world.speech(S.hangover + 1)
    assert isinstance(world.news[-1], SpeechEnded)
    world.speech(100)
    assert len(world.news) == 2
    world.speech(3, by=12.0)
    assert isinstance(world.news[-1], SpeechStarted)


def test_frames_that_are_missing_are_silence(world):
    world.frame([ROOM, ROOM, -20.0, -20.0], speech=True)
    world.sample += F
    assert world.frame([-20.0, -20.0, -20.0, ROOM], speech=True) == []


def test_a_frame_from_the_past_is_a_fault(world):
    world.sample -= F
    with pytest.raises(ValueError, match="order"):
        world.quiet(1)


class VadMachine(RuleBasedStateMachine):
    """Anything may come: starts and ends alternate, ids increase, spans lie in what was fed, silence always ends it."""

    def __init__(self):
        super().__init__()
        self.world = World()

    @rule(n=st.integers(1, 30), speech=st.booleans(), level=st.floats(-120, 0))
    def feed(self, n, speech, level):
        self.world.frames(n, speech=speech, level=level)

    @rule(
        levels=st.lists(st.lists(st.floats(-120, 0), min_size=BLOCKS, max_size=BLOCKS), max_size=12),
        speech=st.booleans(),
    )
    def feed_blocks(self, levels, speech):
        for frame in levels:
            assert len(self.world.frame(frame, speech=speech)) <= 1

    @rule(n=st.integers(5, 60))
    def talk(self, n):
        self.world.speech(n)

    @rule(frames=st.integers(-1, 12))
    def raise_trigger(self, frames):
        self.world.vad.set_trigger(frames)

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

    @rule()
    def a_quiet_room_lets_the_next_words_be_heard(self):
        self.world.vad.set_trigger(S.trigger)
        self.world.quiet(200)
        assert isinstance(self.world.speech(3)[0], SpeechStarted)

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


def edges(detector):
    vad = FrameVad(detector)
    pcm = bytes(320 * 2 * 20) + vowel(0.4, level_dbfs=-20) + vowel(0.4, level_dbfs=-25) + bytes(320 * 2 * 20)
    return [n for i in range(len(pcm) // 640) for n in vad.push(i * F, pcm[i * 640 : i * 640 + 640])]


def test_a_voice_in_quiet_is_one_utterance():
    assert edges(LoudDetector()) == [SpeechStarted(1, 20 * F), SpeechEnded(1, 60 * F)]


@pytest.mark.parametrize("size", [160, 480, 512, 640])
def test_a_detector_gets_the_pieces_that_it_wants(size):
    class Wants(LoudDetector):
        frame_samples = size

        def probability(self, pcm):
            assert len(pcm) == 2 * size
            return super().probability(pcm)

    started, ended = edges(Wants())
    assert abs(started.sample - 20 * F) <= 2 * F
    assert ended.sample == 60 * F
