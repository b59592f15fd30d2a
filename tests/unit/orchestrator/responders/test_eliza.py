import pytest

from orchestrator.conversation.history import Item, Role
from orchestrator.responders.eliza import OPEN_ANSWERS, answer, turn_round

pytestmark = pytest.mark.unit


def said(*texts):
    return tuple(Item(Role.USER, t) for t in texts)


@pytest.mark.parametrize(
    ("text", "turned"),
    [("my dog likes me", "your dog likes you"), ("I am your friend. Really", "you are my friend"), ("", "")],
)
def test_persons_are_turned_round(text, turned):
    assert turn_round(text) == turned


def test_the_best_ranked_rule_answers():
    assert answer(said("Well, my mother says I need a new job.")) == "What would change if you had a new job?"


def test_the_same_thing_said_again_gets_another_answer():
    answers = [answer(said(*["I need rest"] * n)) for n in range(1, 4)]
    assert len(set(answers)) == 3


def test_without_a_keyword_it_keeps_the_talk_going_and_remembers():
    plain = ["The weather turned.", "Blue.", "Hm, well."]
    assert answer(said(plain[0])) in OPEN_ANSWERS
    assert "your garden" in answer(said("I like my garden", *plain))


def test_nothing_heard_is_said_so():
    assert "?" in answer(said("")) or "." in answer(said(""))
    assert answer(()) != ""
