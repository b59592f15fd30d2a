import pytest

from orchestrator.conversation.commands import Cause
from orchestrator.conversation.history import Item, Role
from orchestrator.ports import Context, Text
from orchestrator.responders.eliza import OPEN_ANSWERS, ElizaResponder, answer, turn_round
from tests.support.responders import StillProgress

pytestmark = pytest.mark.unit


def said(*texts):
    return tuple(Item(Role.USER, t) for t in texts)


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        ("my dog likes me", "your dog likes you"),
        ("I am your friend. Really", "you are my friend"),
        ("my dog likes you", "your dog likes me"),
        ("what you say when you are with me", "what I say when I am with you"),
        ("they are what I was", "they are what you were"),
        ("I dream of you always", "you dream of me always"),
        ("", ""),
    ],
)
def test_persons_are_turned_round(text, turned):
    assert turn_round(text) == turned


def test_the_best_ranked_rule_answers():
    assert answer(said("Well, my mother says I need a new job.")) == "What would change if you had a new job?"


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("I need you to help me", ["Why do you want me to help you?", "And if you never got me to help you?"]),
        ("I want to go", ["What would it mean to you to go?", "When did you first want to go?"]),
        ("I'd like to be with you.", ["What would it mean to you to be with me?"]),
        ("I love you so much", ["What is it about me that you like?"]),
        ("I think you are kind", ["What makes you think that I am kind?"]),
        ("I think about you", ["What comes to mind about me?", "How often do you think about me?"]),
        ("I like to dance", ["What do you like most when you dance?", "When did you last dance?"]),
        ("I hate to wait", ["What if you did not have to wait?", "Who makes you wait?"]),
    ],
)
def test_the_grammar_holds(text, answers):
    assert [answer(said(*[text] * n)) for n in range(1, len(answers) + 1)] == answers


@pytest.mark.parametrize("text", ["I think so", "I guess so.", "I believe not, no", "I think not of that so much"])
def test_so_is_nothing_that_one_thinks(text):
    for n in range(1, 4):
        assert "that so" not in answer(said(*[text] * n))
        assert "that not" not in answer(said(*[text] * n))


@pytest.mark.parametrize(
    ("text", "noun"),
    [
        ("my mother hates me", "your mother."),
        ("I like my old dog Rex", "your old dog."),
        ("I hate my best friend, you know", "your best friend."),
    ],
)
def test_one_noun_is_remembered(text, noun):
    plain = ["The weather turned.", "Blue.", "Hm, well."]
    assert f"Earlier you spoke of {noun}" in answer(said(text, *plain))


def test_my_own_is_nothing_to_come_back_to():
    assert answer(said("I like my own", "The weather turned.", "Blue.", "Hm, well.")) in OPEN_ANSWERS


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


@pytest.mark.parametrize(("language", "tag"), [("", ""), ("en-GB", ""), ("de", "en")])
async def test_its_english_is_told_apart_where_another_language_is_spoken(language: str, tag: str) -> None:
    context = Context(session="s", turn=1, cause=Cause.USER, progress=StillProgress(), language=language)
    deltas = [d async for d in ElizaResponder().reply(said("I need rest"), context)]
    assert [d.language for d in deltas if isinstance(d, Text)] == [tag]
