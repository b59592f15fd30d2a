import pytest

from asr.near import Near

pytestmark = pytest.mark.unit

S = 16_000


@pytest.fixture
def near():
    made = Near(margin_db=10)
    for second in (2, 5, 9):
        made.learn(second * S, -20)
    return made


def test_everybody_is_heard_until_two_utterances_are_known():
    near = Near(margin_db=10)
    assert near.bar_dbfs(0) == float("-inf")
    near.learn(S, -20)
    assert near.bar_dbfs(S) == float("-inf")
    near.learn(2 * S, -24)
    assert near.bar_dbfs(2 * S) == -34, "the softer of two counts"


def test_one_shout_does_not_make_its_speaker_unheard(near):
    near.learn(12 * S, -5)
    assert near.usual_dbfs(12 * S) == -20


def test_who_speaks_on_below_the_bar_is_heard_in_the_end(near):
    assert near.bar_dbfs(10 * S) == -30
    for _ in range(50 * 8):
        near.refuse(320)
    assert near.bar_dbfs(20 * S) == pytest.approx(-38)


def test_what_got_over_a_lowered_bar_counts_anew(near):
    near.refuse(12 * S)
    near.learn(30 * S, -40)
    assert near.bar_dbfs(30 * S) == float("-inf"), "one utterance tells nothing"
    near.learn(33 * S, -41)
    assert near.bar_dbfs(33 * S) == -51


def test_an_utterance_at_the_usual_level_raises_the_bar_again(near):
    near.refuse(8 * S)
    near.learn(30 * S, -22)
    assert near.bar_dbfs(30 * S) == -30


def test_after_two_minutes_nobody_knows(near):
    assert near.usual_dbfs(125 * S) is not None
    assert near.usual_dbfs(126 * S) is None
    assert near.bar_dbfs(200 * S) == float("-inf")
