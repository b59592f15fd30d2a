import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.responders.tour.phrases import PHRASES, SAID, Intent
from orchestrator.responders.tour.understand import distance, understand

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("intent", "phrase"), [(i, p) for i, said in SAID.items() for p in said])
def test_each_phrase_means_what_it_says(intent: Intent, phrase: str):
    assert understand(phrase).intent is intent
    assert understand(f"  {phrase.upper()}!? ").intent is intent


def test_each_intent_has_phrases_and_the_grammar_has_one_for_what_is_offered():
    assert set(SAID) == set(Intent)
    meant = {understand(phrase).intent for phrase in PHRASES}
    assert None not in meant
    assert {Intent.TIME, Intent.DATE, Intent.STORY, Intent.AGAIN, Intent.FASTER, Intent.SLOWER, Intent.VOICE} <= meant
    assert {Intent.COUNT, Intent.GO_ON, Intent.ABILITIES, Intent.HELP, Intent.BYE, Intent.JOKE} <= meant
    assert len(set(PHRASES)) == len(PHRASES)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("what thyme is it", Intent.TIME),
        ("wat tiem is it", Intent.TIME),
        ("could you tell me what time it is please", Intent.TIME),
        ("what tine is that", Intent.TIME),
        ("waht's the daet", Intent.DATE),
        ("what dates is it", Intent.DATE),
        ("tell me the storey", Intent.STORY),
        ("tell me a stroy", Intent.STORY),
        ("could I have a story", Intent.STORY),
        ("see that again", Intent.AGAIN),
        ("say that agen", Intent.AGAIN),
        ("can you say that again please", Intent.AGAIN),
        ("fastr", Intent.FASTER),
        ("pastor", Intent.FASTER),
        ("a bit faster please", Intent.FASTER),
        ("speak a little slower", Intent.SLOWER),
        ("lower", Intent.SLOWER),
        ("you are too fast", Intent.SLOWER),
        ("another boys", Intent.VOICE),
        ("anothr voise", Intent.VOICE),
        ("voice please", Intent.VOICE),
        ("time please", Intent.TIME),
        ("ok please", Intent.YES),
        ("no choice", Intent.NO),
        ("use an other voice", Intent.VOICE),
        ("canned again", Intent.COUNT),
        ("cuont again", Intent.COUNT),
        ("what can u do", Intent.ABILITIES),
        ("waht cna you do", Intent.ABILITIES),
        ("hepl", Intent.HELP),
        ("good by", Intent.BYE),
        ("buy buy", Intent.BYE),
        ("ok bye then", Intent.BYE),
        ("who r u", Intent.WHO),
        ("thx", Intent.THANKS),
        ("go an", None),
        ("go on then", Intent.GO_ON),
        ("contineu", Intent.GO_ON),
        ("know", Intent.NO),
    ],
)
def test_misspelt_and_misheard(text: str, intent: Intent | None):
    assert understand(text).intent is intent


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "…",
        "🙂🙂",
        "\x00\x07",
        "I have no idea",
        "my voice hurts",
        "I lost my voice",
        "asdf qwer",
        "the cat sat upon my mat",
        "seven",
        "qu'est-ce que c'est",
    ],
)
def test_what_is_no_wish(text: str):
    assert understand(text).intent is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("count", None),
        ("count to ten", 10),
        ("count to 12 please", 12),
        ("count to twenty one", 21),
        ("count to thirty-five", 35),
        ("count to 99999999999999999999", 999999999),
    ],
)
def test_how_far_to_count(text: str, number: int | None):
    wish = understand(text)
    assert (wish.intent, wish.number) == (Intent.COUNT, number)


@pytest.mark.parametrize(
    ("a", "b", "away"),
    [("time", "time", 0), ("time", "tiem", 1), ("time", "times", 1), ("story", "stry", 1), ("voice", "vioec", 2)],
)
def test_distance(a: str, b: str, away: int):
    assert distance(a, b, 2) == distance(b, a, 2) == away


def test_distance_gives_up_beyond_its_limit():
    assert distance("kitten", "xxxxxxxxxxxx", 2) == 3


@given(st.text(max_size=200))
def test_anything_can_be_said(text: str):
    understand(text)


@given(st.lists(st.sampled_from(PHRASES), min_size=1, max_size=2, unique=True), st.text("abcdefg ", max_size=30))
def test_a_phrase_among_others_is_found(phrases: list[str], noise: str):
    assert understand(" ".join(phrases), fuzzy=False).intent is not None
    understand(f"{noise} {' '.join(phrases)}")


def test_long_texts_are_read_only_so_far():
    assert understand("blah " * 50_000 + "what time is it").intent is None
