"""Self-echo: what the loudspeaker says is told from what a user says, above all from one who interrupts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.conversation.commonplace import COMMON, WISHES
from orchestrator.conversation.echo import distance, is_echo
from orchestrator.conversation.words import words

pytestmark = pytest.mark.unit

WEATHER = "Well, the weather in Paris is sunny tomorrow, with a light breeze."
TEXTS = {
    "en": WEATHER,
    "de": "Das Wetter in Hamburg wird morgen sonnig und ziemlich warm.",
    "fr": "Le temps à Paris sera ensoleillé demain avec une brise légère.",
    "es": "El tiempo en Madrid será soleado mañana con brisa ligera.",
    "it": "Il tempo a Roma sarà soleggiato domani con una brezza leggera.",
    "pt": "O tempo em Lisboa será ensolarado amanhã com brisa leve.",
    "nl": "Het weer in Utrecht wordt morgen zonnig met een lichte bries.",
    "zh": "明天巴黎的天气晴朗，有微风，气温二十度。",
    "ja": "明日のパリの天気は晴れで、そよ風が吹くでしょう。",
}


def echo(said: str, text: str = WEATHER, near: str | None = None, language: str = "en") -> bool:
    return is_echo(words(said), text, text if near is None else near, language, asked=said.endswith(("?", "？")))


@pytest.mark.parametrize(
    "said",
    [
        "the weather in Paris",
        "The weather in Paris is sunny.",
        "whether in Paris is sunny",
        "weather and Paris is sunny to morrow",
        "weather in pa",
        "in Paris is sunny tomorrow with the light breeze",
        "paris is sunny",
        "tomorrow",
        "is sunny",
        "light breeze",
    ],
)
def test_what_the_reply_says_just_now_is_its_echo(said: str) -> None:
    assert echo(said)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "the",
        "is",
        "in the",
        "with a",
        "the is",
        "stop",
        "wait",
        "no",
        "what",
        "paris stop",
        "the weather in stop",
        "the weather in Paris no",
        "stop the weather in Paris",
        "the weather in London",
        "what is the weather in Paris",
        "weather in Paris what about London",
        "the weather in Paris please speak up",
        "tomorrow?",
        "sunny in Paris?",
        "tomorrow tomorrow",
        "breeze light",
        "tomorrow sunny is Paris in weather",
        "tell me more",
        "I have another question",
    ],
)
def test_who_says_something_else_or_little_is_the_user(said: str) -> None:
    assert not echo(said)


def test_one_word_is_an_echo_only_at_the_moment_when_it_sounds() -> None:
    assert echo("tomorrow", near="is sunny tomorrow, with")
    assert not echo("tomorrow", near="Well, the weather")
    assert not echo("Paris", near=""), "nothing sounds"


def test_a_wish_that_the_reply_says_itself_may_be_an_echo_in_its_place() -> None:
    text = "You can always say stop to make me silent."
    assert echo("you can always say stop", text)
    assert not echo("stop", text)
    assert not echo("say stop", text)


@pytest.mark.parametrize("language", TEXTS)
def test_a_reply_is_its_own_echo_in_every_language(language: str) -> None:
    text = TEXTS[language]
    found = words(text)
    middle = found[2:10] if language in ("zh", "ja") else found[1:6]
    assert is_echo(middle, text, text, language)
    assert is_echo(found, text, text, language)


@pytest.mark.parametrize("language", TEXTS)
def test_no_wish_is_an_echo_in_any_language(language: str) -> None:
    for wish in WISHES[language]:
        assert not is_echo(words(wish), TEXTS[language], TEXTS[language], language), wish
        lost = (*words(TEXTS[language])[1:5], *words(wish))
        assert wish in TEXTS[language] or not is_echo(lost, TEXTS[language], TEXTS[language], language), wish


@pytest.mark.parametrize("language", TEXTS)
def test_no_common_word_is_an_echo_in_any_language(language: str) -> None:
    for word in COMMON[language]:
        assert not is_echo(words(word), TEXTS[language], TEXTS[language], language), word


@pytest.mark.parametrize(
    ("language", "said"), [("zh", "天气"), ("zh", "停一下"), ("ja", "天気"), ("ja", "ちょっと待って")]
)
def test_a_word_of_two_characters_is_no_echo(language: str, said: str) -> None:
    assert not is_echo(words(said), TEXTS[language], TEXTS[language], language)


def test_in_a_language_without_data_what_is_long_and_the_same_is_an_echo() -> None:
    assert is_echo(words("qapla batlh je"), "Qapla' batlh je!", "", "tlh")
    assert not is_echo(words("nuq neh"), "Qapla' batlh je!", "", "tlh")


@pytest.mark.parametrize(
    ("pattern", "text", "edits"),
    [("", "abc", 0), ("abc", "", 3), ("bc", "abcd", 0), ("bxc", "abcd", 1), ("abcd", "xxacdxx", 1), ("ab", "ba", 1)],
)
def test_distance_is_to_the_closest_part(pattern: str, text: str, edits: int) -> None:
    assert distance(pattern, text) == edits


@given(st.text("abc", max_size=12), st.text("abc", max_size=20))
def test_distance_is_what_the_slow_way_finds(pattern: str, text: str) -> None:
    row = list(range(len(pattern) + 1))
    best = row[-1]
    for c in text:
        new = [0]
        for n, p in enumerate(pattern, 1):
            new.append(min(row[n] + 1, new[n - 1] + 1, row[n - 1] + (p != c)))
        row, best = new, min(best, new[-1])
    assert distance(pattern, text) == best


@given(st.lists(st.sampled_from([*words(WEATHER), "london", "please", "stop", "question", "about"]), max_size=9))
def test_who_says_a_wish_or_two_strange_words_is_heard(found: list[str]) -> None:
    strange = sum(word in ("london", "please", "question", "about") for word in found)
    if "stop" in found or strange > max(1, len(found) // 5):
        assert not is_echo(found, WEATHER, WEATHER, "en")
