import pytest

from asr.near import Near

pytestmark = pytest.mark.unit

S = 16_000
F = 320


class World:
    """A user at -20 dBFS, who said three things; and whoever speaks below that."""

    def __init__(self):
        self.near = Near(margin_db=10, over_reply_db=5)
        self.now = 0
        for _ in range(3):
            self.near.learn(self.wait(3), -20)

    def wait(self, seconds):
        self.now += round(seconds * S)
        return self.now

    def reply(self, seconds=3.0, *, talk=0.0, level=-60.0):
        """`talk`: for so long somebody speaks meanwhile."""
        self.near.reply(self.now, True)
        self.say(level, talk)
        self.near.reply(self.wait(seconds - talk), False)

    def say(self, level, seconds):
        """Whether it is heard before it is over; what is heard is learnt."""
        for _ in range(round(seconds * 50)):
            self.wait(F / S)
            if self.near.hears(self.now, level, F):
                self.near.learn(self.now, level)
                return True
        return False

    def bar(self):
        return self.near.bar_dbfs(self.now)


@pytest.fixture
def world():
    return World()


# --- the usual level -------------------------------------------------------------------------------------------------


def test_everybody_is_heard_until_two_utterances_are_known():
    near = Near(margin_db=10)
    assert near.bar_dbfs(0) == float("-inf")
    near.learn(S, -20)
    assert near.bar_dbfs(S) == float("-inf")
    near.learn(2 * S, -24)
    assert near.bar_dbfs(2 * S) == -34, "the softer of two counts"


def test_one_shout_does_not_make_its_speaker_unheard(world):
    world.near.learn(world.wait(3), -5)
    assert world.near.usual_dbfs(world.now) == -20


def test_after_two_minutes_nobody_knows(world):
    assert world.near.usual_dbfs(world.wait(116)) is not None
    world.wait(5)
    assert world.near.usual_dbfs(world.now) is None
    assert world.bar() == float("-inf")


# --- room ------------------------------------------------------------------------------------------------------------


def test_a_reply_that_ended_gives_room_for_ten_seconds(world):
    assert world.bar() == -30
    world.near.reply(world.now, True)
    assert world.bar() == -35, "what an echo canceller may take away"
    world.near.reply(world.wait(3), False)
    assert world.bar() == -36
    world.wait(10.1)
    assert world.bar() == -30


def test_who_talks_over_a_reply_gets_no_room_after_it(world):
    world.reply(talk=1.0)
    assert world.bar() == -30
    world.reply()
    assert world.bar() == -36


def test_nor_does_who_got_in_over_it_as_there_is_more_room(world):
    world.near.reply(world.now, True)
    assert world.near.hears(world.wait(1), -34, F)
    world.near.reply(world.wait(1), False)
    assert world.bar() == -30


def test_a_try_that_ends_after_the_ten_seconds_is_one(world):
    world.reply()
    world.wait(9.8)
    assert not world.say(-40, 0.7)
    world.wait(2)
    assert world.say(-40, 0.7)


def test_each_try_gives_room_up_to_a_limit(world):
    world.reply()
    for bar in (-42, -42, -42):
        world.wait(1.5)
        assert not world.say(-50, 0.7)
        world.wait(1.5)
        assert world.bar() == bar
    world.wait(5)
    assert world.bar() == -30, "who has given up has no room any more"


@pytest.mark.parametrize("seconds", [0.06, 3.2])
def test_a_click_or_a_speech_is_no_try(world, seconds):
    world.reply()
    world.wait(1)
    world.say(-50, seconds)
    world.wait(2)
    assert world.bar() == -36


def test_what_comes_without_quiet_between_is_no_try(world):
    world.reply()
    for _ in range(3):
        world.say(-50, 2.3)
        world.wait(0.7)
    world.wait(1)
    assert world.bar() >= -36


def test_without_a_reply_there_are_no_tries(world):
    for _ in range(5):
        assert not world.say(-38, 0.7)
        world.wait(2.3)
    assert world.bar() == pytest.approx(-30, abs=0.3)


# --- talk ------------------------------------------------------------------------------------------------------------


def test_talk_without_end_lowers_the_bar_slowly_and_quiet_raises_it(world):
    world.say(-60, 24)
    assert world.bar() == pytest.approx(-38)
    world.wait(9)
    assert world.bar() == pytest.approx(-35)
    world.wait(60)
    assert world.bar() == -30


def test_what_got_in_by_talking_on_alters_nothing(world):
    for _ in range(4):
        assert world.say(-34, 20)
        assert world.bar() == -30
    assert world.near.usual_dbfs(world.now) == -20


def test_talk_over_a_reply_lowers_nothing(world):
    world.say(-60, 24)
    world.reply(talk=1)
    assert world.bar() == -30


# --- who got over a lowered bar --------------------------------------------------------------------------------------


def test_it_leaves_the_usual_level_as_it_was(world):
    world.reply()
    assert world.say(-35, 1)
    assert world.near.usual_dbfs(world.now) == -20


def test_it_keeps_its_room_from_reply_to_reply(world):
    world.reply()
    world.say(-40, 0.7)
    world.wait(2)
    assert world.say(-40, 0.7)
    world.reply()
    assert world.say(-40, 0.7)


def test_its_next_words_may_be_softer(world):
    world.reply()
    world.say(-35, 1)
    assert world.bar() == -42


def test_words_that_a_reply_cuts_off_are_no_try_and_cost_no_room(world):
    world.reply()
    assert world.say(-35, 1)
    world.say(-45, 0.4)
    world.reply()
    world.wait(0.8)
    assert world.say(-36, 1)


def test_three_in_a_row_are_the_user_who_is_softer_now(world):
    for _ in range(3):
        world.reply()
        assert world.say(-35, 1)
    assert world.near.usual_dbfs(world.now) == -35
    world.wait(30)
    assert world.bar() == -45


def test_three_in_one_turn_are_one(world):
    world.reply()
    for _ in range(4):
        assert world.say(-35, 1)
        world.wait(0.4)
    assert world.near.usual_dbfs(world.now) == -20


def test_one_at_the_usual_level_begins_the_count_anew(world):
    for level in (-35, -35, -20, -35, -35):
        world.reply()
        assert world.say(level, 1)
    assert world.near.usual_dbfs(world.now) == -20
    assert world.say(-20, 1)
    assert world.bar() == -30, "and takes the room away"


def test_over_a_reply_it_has_no_more_room_than_anybody(world):
    world.reply()
    world.say(-35, 1)
    world.near.reply(world.now, True)
    assert world.bar() == -30


# --- the patterns that this is made for ------------------------------------------------------------------------------


@pytest.mark.parametrize("down", [15, 18, 20, 25])
def test_remarks_of_somebody_else_are_not_heard(world, down):
    heard = 0
    for _ in range(20):
        heard += world.say(-20 - down, 2.3)
        world.wait(0.7)
    assert heard <= {15: 2, 18: 1, 20: 1, 25: 0}[down]


@pytest.mark.parametrize("remarks", [1, 2])
@pytest.mark.parametrize("down", [15, 18, 25])
def test_nor_between_the_users_own_utterances(world, remarks, down):
    for _ in range(8):
        assert world.say(-20, 1)
        world.wait(2)
        for _ in range(remarks):
            assert not world.say(-20 - down, 2.3)
            world.wait(0.7)


@pytest.mark.parametrize(("down", "unheard"), [(9, 0), (12, 0), (15, 0), (20, 1)])
def test_a_user_who_turns_soft_and_answers_briefly_is_heard(world, down, unheard):
    for turn in range(5):
        world.reply()
        world.wait(0.8)
        tries = 0
        while not world.say(-20 - down, 0.7):
            tries += 1
            world.wait(2.3)
        assert tries == (unheard if turn == 0 else 0)
