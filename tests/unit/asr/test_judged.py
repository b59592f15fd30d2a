import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from asr.judged import Judged, JudgeSettings
from asr.levels import BLOCKS
from asr.vad import FRAME_SAMPLES, SpeechDismissed, SpeechEnded, SpeechStarted, Vad

pytestmark = pytest.mark.unit

F = FRAME_SAMPLES
S = JudgeSettings()
DOUBT = S.doubt_ms // 20
ROOM = -66.0
SYLLABLES = (-20.0, -24.0, -19.0, -29.0, -22.0)


class World:
    """The quick rules and the judged ones on the same frames."""

    def __init__(self):
        self.vad, self.judged = Vad(), Judged()
        self.sample = 0
        self.news = []

    def frame(self, level, *, sure, speech=True):
        levels = [level] * BLOCKS
        self.vad.push(self.sample, 1.0 if speech else 0.0, levels)
        out = self.judged.push(self.sample, self.vad.span, sure, levels)
        self.sample += F
        self.news += out
        return out

    def sound(self, frames, *, sure=0.0, by=0.0):
        """What the quick rules take for speech."""
        levels = [SYLLABLES[i % len(SYLLABLES)] + by for i in range(frames)]
        return [news for level in levels for news in self.frame(level, sure=sure)]

    def talk(self, frames, *, by=0.0, late=4):
        """Speech: the judge knows a little later."""
        return self.sound(min(late, frames), by=by) + self.sound(max(0, frames - late), sure=0.9, by=by)

    def quiet(self, frames=50):
        return [news for _ in range(frames) for news in self.frame(ROOM, sure=0.0, speech=False)]

    def kinds(self):
        return [type(n).__name__ for n in self.news]


@pytest.fixture
def world():
    made = World()
    made.quiet(20)
    return made


@pytest.fixture
def over(world):
    world.judged.over_reply = True
    return world


# --- nothing plays ---------------------------------------------------------------------------------------------------


def test_speech_starts_when_both_agree_and_where_the_quick_rules_found_it(world):
    assert world.sound(4) == []
    assert world.sound(1, sure=0.5) == [SpeechStarted(1, 20 * F)]


def test_what_the_judge_does_not_believe_starts_nothing(world):
    assert world.sound(400, sure=0.49) == []


def test_what_the_quick_rules_do_not_hear_starts_nothing(world):
    assert [n for _ in range(50) for n in world.frame(ROOM, sure=1.0)] == []


def test_a_word_that_is_over_before_the_judge_is_sure_counts(world):
    world.sound(3)
    assert world.frame(ROOM, sure=0.9, speech=False) == [SpeechStarted(1, 20 * F)]
    assert world.quiet() == [SpeechEnded(1, 23 * F)]


def test_where_it_is_quiet_the_last_voiced_sample_is_that_of_the_quick_rules(world):
    world.talk(15)
    world.sound(3)
    assert world.quiet() == [SpeechEnded(1, 38 * F)], "the judge had given up 60 ms before"


def test_music_after_speech_does_not_keep_it_open(world):
    world.talk(15)
    ended = world.sound(200)[0]
    assert ended == SpeechEnded(1, 35 * F + 1600)
    assert world.news[1:] == [ended]


def test_speech_in_music_begins_a_little_before_the_judge_knew(world):
    world.sound(100)
    (started,) = world.sound(3, sure=0.9)
    assert started.sample == 121 * F - S.lead_ms * 16


def test_a_pause_in_speech_during_which_the_judge_is_late_is_a_pause(world):
    world.talk(15)
    world.quiet(7)
    world.talk(20, late=6)
    world.quiet()
    assert world.kinds() == ["SpeechStarted", "SpeechEnded"]


# --- a reply plays ---------------------------------------------------------------------------------------------------


def test_over_a_reply_the_quick_rules_start_it(over):
    assert over.sound(1) == [SpeechStarted(1, 20 * F)]
    over.sound(3)
    over.sound(10, sure=0.9)
    over.quiet()
    assert over.news == [SpeechStarted(1, 20 * F), SpeechEnded(1, 34 * F)]


def test_without_the_judge_it_is_dismissed_and_not_taken_up_again(over):
    over.sound(DOUBT - 1)
    assert over.kinds() == ["SpeechStarted"]
    assert over.sound(1) == [SpeechDismissed(1, (20 + DOUBT) * F)]
    assert over.sound(300) == []
    over.quiet()
    assert over.sound(1) == [SpeechStarted(2, over.sample - F)]


def test_what_is_over_while_in_doubt_is_dismissed(over):
    over.sound(1)
    over.quiet()
    assert over.kinds() == ["SpeechStarted", "SpeechDismissed"]


def test_a_judge_that_changes_its_mind_is_believed_and_nothing_said_is_lost(over):
    over.sound(DOUBT + 2)
    assert over.sound(1, sure=0.9) == [SpeechStarted(2, (20 + DOUBT + 3) * F - S.lead_ms * 16)]
    over.quiet()
    assert over.kinds()[-1] == "SpeechEnded"


def test_while_it_is_careful_the_judge_comes_first_there_too(over):
    over.judged.careful = True
    assert over.sound(50) == []
    over.quiet()
    assert over.talk(8)[0].utterance == 1


def test_a_sound_that_is_older_than_the_reply_is_left_to_the_judge(world):
    world.sound(10)
    world.judged.over_reply = True
    assert world.sound(30) == []


def test_a_word_begun_just_before_the_reply_holds_it(world):
    world.sound(2)
    world.judged.over_reply = True
    assert world.sound(1) == [SpeechStarted(1, 20 * F)]


# --- who is far off --------------------------------------------------------------------------------------------------


def converse(world, times=3):
    for _ in range(times):
        world.talk(25)
        world.quiet()
    world.news.clear()


def test_a_second_talker_who_is_much_quieter_starts_nothing(world):
    converse(world)
    assert world.talk(50, by=-20.0) == []
    assert world.talk(50, by=0.0) != []


def test_a_user_who_speaks_more_softly_is_heard(world):
    converse(world)
    assert world.talk(25, by=-9.0) != []


def test_a_user_who_leans_back_and_goes_on_is_heard_within_a_minute(world):
    converse(world)
    begun = world.sample
    news = [n for _ in range(45) for n in (*world.talk(50, by=-16.0), *world.quiet(15))]
    assert isinstance(news[0], SpeechStarted)
    assert begun + 20 * 16_000 < news[0].sample < begun + 50 * 16_000


def reply(world, frames=150):
    world.judged.over_reply = True
    news = world.quiet(frames)
    world.judged.over_reply = False
    return news


@pytest.mark.parametrize(("down", "unheard"), [(9, 0), (12, 0), (15, 0), (20, 1)])
def test_a_user_who_turned_soft_is_heard_when_they_answer(world, down, unheard):
    converse(world)
    for turn in range(4):
        reply(world)
        world.quiet(40)
        tries = 0
        while not world.talk(35, by=-down):
            tries += 1
            world.quiet(115)
        world.quiet()
        assert tries == (unheard if turn == 0 else 0)


@pytest.mark.parametrize("down", [15, 18, 20, 25])
def test_remarks_of_somebody_else_start_next_to_nothing(world, down):
    converse(world)
    for _ in range(20):
        world.talk(115, by=-down)
        world.quiet(35)
    assert world.kinds().count("SpeechStarted") <= {15: 3, 18: 1, 20: 0, 25: 0}[down]


def test_remarks_over_a_reply_get_no_room_after_it(world):
    converse(world)
    world.judged.over_reply = True
    world.talk(50, by=-20.0)
    world.quiet()
    world.judged.over_reply = False
    world.quiet(5)
    world.news.clear()
    assert world.talk(50, by=-13.0) == []


def test_over_a_reply_there_is_more_room(world):
    converse(world)
    world.judged.over_reply = True
    world.talk(25, by=-13.0)
    assert "SpeechDismissed" not in world.kinds()


def test_what_was_said_over_a_reply_is_not_learnt_from(world):
    world.judged.over_reply = True
    converse(world)
    world.judged.over_reply = False
    assert world.talk(25, by=-30.0) != []


# --- anything --------------------------------------------------------------------------------------------------------


class JudgedMachine(RuleBasedStateMachine):
    """Anything may come: starts and ends alternate, ids increase, spans lie in what was fed, silence ends it."""

    def __init__(self):
        super().__init__()
        self.world = World()

    @rule(n=st.integers(1, 30), speech=st.booleans(), level=st.floats(-120, 0), sure=st.floats(0, 1))
    def feed(self, n, speech, level, sure):
        for _ in range(n):
            assert len(self.world.frame(level, sure=sure, speech=speech)) <= 1

    @rule(n=st.integers(1, 60), sure=st.sampled_from([0.0, 0.4, 0.9]), by=st.floats(-30, 10))
    def sound(self, n, sure, by):
        here = len(self.world.news)
        self.world.sound(n, sure=sure, by=by)
        started = any(isinstance(x, SpeechStarted) for x in self.world.news[here:])
        if started and (self.world.judged.careful or not self.world.judged.over_reply):
            assert sure >= S.sure

    @rule(n=st.integers(5, 60), by=st.floats(-30, 10))
    def talk(self, n, by):
        self.world.talk(n, by=by)

    @rule(over=st.booleans(), careful=st.booleans())
    def change(self, over, careful):
        self.world.judged.over_reply, self.world.judged.careful = over, careful

    @rule()
    def skip(self):
        self.world.sample += 7 * F

    @rule()
    def silence_ends_it(self):
        for _ in range(DOUBT + S.hangover):
            self.world.frame(-120.0, sure=0.0, speech=False)
        assert not self.world.judged.speaking

    @rule()
    def nobody_is_unheard_for_ever(self):
        self.world.judged.over_reply = False  # while one sounds, somebody far below the user's level may stay unheard
        self.world.quiet(300)
        for _ in range(30):
            if self.world.talk(75):
                return
        raise AssertionError("45 s of speech, and nobody heard it")

    @invariant()
    def news_make_sense(self):
        open_, last_end = None, 0
        for news in self.world.news:
            if isinstance(news, SpeechStarted):
                assert open_ is None
                assert last_end <= news.sample < self.world.sample
                open_ = news
            else:
                assert open_ is not None
                assert news.utterance == open_.utterance
                assert open_.sample < news.sample <= self.world.sample
                last_end = news.sample if isinstance(news, SpeechEnded) else last_end
                open_ = None
        assert self.world.judged.speaking == (open_ is not None)
        ids = [x.utterance for x in self.world.news if isinstance(x, SpeechStarted)]
        assert ids == list(range(1, len(ids) + 1))


TestJudgedMachine = JudgedMachine.TestCase
