"""Endpointing: how a text reads, and how long to wait for that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.conversation.endpointing import (
    COMPLETE,
    QUESTION,
    SENTENCE,
    SILENCE,
    UNFINISHED,
    adjust,
    read,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I would like a coffee and"),
        ("en", "um"),
        ("en", "because"),
        ("en", "because."),
        ("en", "I am looking for thee,"),
        ("en", "it was late so"),
        ("en", "I went home and then"),
        ("en", "I wonder whether"),
        ("de", "ich ging heim und dann"),
        ("fr", "je suis parti et puis"),
        ("it", "sono andato e poi"),
        ("en", "could you"),
        ("en", "could you please"),
        ("en", "Could you please."),
        ("en", "hey can you just please"),
        ("en", "can i please"),
        ("en", "could you tell me please"),
        ("en", "i want you to please"),
        ("en", "turn it off and please"),
        ("de", "kannst du mir bitte"),
        ("de", "Könnten Sie mir bitte."),
        ("de", "ich hätte gern bitte"),
        ("de", "sag mir bitte"),
        ("fr", "peux-tu me s'il te plaît"),
        ("fr", "pourriez-vous s'il vous plaît"),
        ("es", "puedes por favor"),
        ("es", "me podrías por favor"),
        ("it", "mi puoi per favore"),
        ("it", "vorrei per favore"),
        ("pt", "você pode por favor"),
        ("pt", "pode me por favor"),
        ("nl", "kun je alsjeblieft"),
        ("nl", "kunt u mij alstublieft"),
        ("en", "wait..."),
        ("en", "first,"),
        ("en", "twenty"),
        ("en", "two hundred"),
        ("en", "three point"),
        ("en", "five five"),
        ("en", "my number is 0 1 7"),
        ("en", "my number is four one five"),
        ("en", "My number is 415."),
        ("en", "the code is four"),
        ("en", "I live at"),
        ("en", "my address is nine"),
        ("en", "my address is 12"),
        ("de", "meine Nummer ist null eins sieben"),
        ("fr", "mon code postal est sept"),
        ("es", "mi número es cuatro uno"),
        ("it", "il mio indirizzo è"),
        ("pt", "o meu número é nove um"),
        ("nl", "mijn postcode is 35"),
        ("zh", "我的号码是一三"),
        ("ja", "電話番号は〇三"),
        ("de", "ich hätte gern eine"),
        ("de", "weil"),
        ("fr", "je voudrais"),
        ("es", "porque"),
        ("it", "vorrei un caffè e"),
        ("pt", "eu quero um"),
        ("nl", "omdat ik"),
        ("zh", "我想"),
        ("ja", "東京は"),
        ("", "well…"),
    ],
)
def test_these_read_as_unfinished(language: str, text: str) -> None:
    assert read(text, language) == UNFINISHED


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "what time is it please"),
        ("en", "Thank you."),
        ("en", "no"),
        ("en", "What is that?"),
        ("en", "never mind"),
        ("en", "I think so"),
        ("en", "is that so"),
        ("en", "milk and so on"),
        ("en", "go ahead"),
        ("en", "Yes."),
        ("en", "could you turn it off please"),
        ("en", "can you help me please"),
        ("en", "two of them and thank you"),
        ("de", "kannst du mir helfen bitte"),
        ("en", "give it to her please"),
        ("de", "noch ein bitte"),
        ("pt", "mais um por favor"),
        ("nl", "nog een alsjeblieft"),
        ("fr", "aide-moi si tu peux s'il te plaît"),
        ("es", "puedes ayudarme por favor"),
        ("de", "noch einen Kaffee bitte"),
        ("fr", "un café s'il vous plaît"),
        ("es", "un café por favor"),
        ("it", "grazie mille"),
        ("pt", "muito obrigada"),
        ("nl", "nog een koffie alsjeblieft"),
        ("zh", "今天会下雨吗"),
        ("ja", "今何時ですか"),
        ("", "Qapla'!"),
        ("en", "Are you there?"),
    ],
)
def test_these_read_as_complete(language: str, text: str) -> None:
    assert read(text, language) == COMPLETE


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "what is that"),
        ("en", "set an alarm for six forty"),
        ("en", "at five"),
        ("en", "turn the light on"),
        ("en", "stop that"),
        ("de", "mach das Licht aus"),
        ("nl", "doe het licht uit"),
        ("zh", "我要这个"),
        ("ja", "電気消して"),
        ("en", "zero one seven five five five one two"),
        ("en", "call 01755512"),
        ("en", "I wanted to thank you"),
        ("en", "I just came to say goodbye"),
        ("fr", "je veux dire merci"),
        ("es", "quiero dar las gracias"),
        ("it", "volevo dire grazie"),
        ("pt", "queria dizer obrigado"),
        ("en", "set a timer for 20."),
        ("en", "set an alarm for half past six."),
        ("en", "tell me about."),
        ("en", "I was thinking we might."),
        ("en", "I went to the shop."),
        ("de", "ich denke."),
        ("", "Das war alles."),
        ("en", "I want to book a flight on"),
        ("en", "I talked to my mother about"),
        ("en", "we walked all the way around"),
        ("de", "wir könnten ja morgen mal wieder"),
        ("de", "mach bitte das Licht in der Küche aus"),
        ("fr", "nous avons beaucoup parlé hier pendant"),
        ("es", "ayer estuvimos hablando mucho rato sobre todo"),
        ("it", "ieri siamo andati tutti insieme verso"),
        ("pt", "ontem nós conversamos bastante tempo sobre"),
        ("nl", "ik wil morgen graag een vlucht naar"),
        ("", "and"),
        ("tlh", "because"),
        ("en", ""),
        ("en", "…!"),
    ],
)
def test_these_do_not_show(language: str, text: str) -> None:
    assert read(text, language) == SILENCE


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "what time is it"),
        ("en", "could you tell me more about it"),
        ("de", "wie spät ist es"),
        ("fr", "quelle heure il est"),
        ("es", "qué hora es ahora"),
        ("it", "quanto costa il biglietto"),
        ("pt", "quanto custa isso hoje"),
        ("nl", "hoe laat is het"),
    ],
)
def test_these_read_as_questions(language: str, text: str) -> None:
    assert read(text, language) == QUESTION
    assert adjust(text, language, 500) == (500, SILENCE)
    assert 500 <= adjust(text, language, 500, usual_ms=1200)[0] < 700, (
        "who pauses for long is answered sooner all the same"
    )
    assert 250 < adjust(text, language, 500, heard=0.5)[0] < 500


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "tell me what time it is"),
        ("en", "we had to walk home in the rain"),
        ("de", "mach bitte das Licht in der Küche heller"),
    ],
)
def test_a_long_text_without_an_open_end_is_likely_a_whole_sentence(language: str, text: str) -> None:
    assert read(text, language) == SENTENCE
    assert adjust(text, language, 500)[1] == SILENCE
    assert 440 < adjust(text, language, 500)[0] < 480
    assert adjust(text, language, 500, usual_ms=700) == (700, SILENCE), "not for who pauses after such words"
    assert read(text, "tlh") == SILENCE, "where nothing is known of open ends"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ja", "電気消して。"),
        ("", "Das war alles, was ich wollte."),
    ],
)
def test_a_full_stop_counts_where_words_cannot(language: str, text: str) -> None:
    """Whisper puts one after fragments too."""
    assert read(text, language) == SENTENCE
    assert read(text.rstrip(".。"), language) == SILENCE
    assert 440 < adjust(text, language, 500)[0] < 480
    assert adjust(text, language, 500)[1] == SILENCE
    assert adjust(text, language, 500, usual_ms=1200) == (1200, SILENCE), "not for who pauses after such words"
    assert adjust(text, language, 500, heard=0.95) == (250, COMPLETE), "an ear confirms it"


def test_a_full_stop_does_not_hide_how_the_words_read() -> None:
    assert read("What time is it.", "en") == QUESTION
    assert read("how do I get to the.", "en") == UNFINISHED
    assert read("My number is 415.", "en") == UNFINISHED
    assert read("I would like one please.", "en") == COMPLETE


def test_a_question_that_is_not_over_is_unfinished() -> None:
    assert read("how do i get to the", "en") == UNFINISHED


def test_what_is_usual_for_the_user_counts_where_the_words_do_not_show() -> None:
    assert adjust("tell me the time", "en", 500, usual_ms=800) == (800, SILENCE)
    assert adjust("tell me the time", "en", 500, usual_ms=9000) == (1500, SILENCE)
    assert adjust("tell me the time", "en", 500, usual_ms=1) == (250, SILENCE)
    assert adjust("thank you", "en", 500, usual_ms=800) == (250, COMPLETE)
    assert adjust("and", "en", 500, usual_ms=400) == (1500, UNFINISHED)


def test_an_ear_and_the_words_are_weighed_together() -> None:
    def wait(text: str, heard: float | None) -> float:
        return adjust(text, "en", 500, heard=heard)[0]

    assert wait("tell me the time", 0.5) == wait("tell me the time", None) == 500
    assert wait("tell me the time", 0.97) == 250
    assert wait("tell me the time", 0.03) == 1500
    assert 250 < wait("tell me the time", 0.7) < 500
    assert 250 < wait("i would like the", 0.98) < 1500
    assert adjust("tell me the time", "en", 500, heard=0.95)[1] == COMPLETE
    assert adjust("tell me the time", "en", 500, heard=0.05)[1] == UNFINISHED


@pytest.mark.parametrize(
    ("text", "expected"),
    [("and", (1500, UNFINISHED)), ("thank you", (250, COMPLETE)), ("tell me the time", (500, SILENCE))],
)
def test_the_wait_is_the_base_times_a_factor(text: str, expected: tuple[float, str]) -> None:
    assert adjust(text, "en", 500) == expected


def test_the_factors_are_the_callers() -> None:
    assert adjust("and", "en", 500, floor=0.1, ceiling=2) == (1000, UNFINISHED)
    assert adjust("thanks", "en", 500, floor=0.1, ceiling=2) == (50, COMPLETE)


@given(st.text(max_size=80), st.sampled_from(["", "en", "de", "fr", "es", "it", "pt", "nl", "zh", "ja"]))
def test_any_text_gets_a_wait_between_floor_and_ceiling(text: str, language: str) -> None:
    ms, reason = adjust(text, language, 500)
    assert 250 <= ms <= 1500
    assert reason in (COMPLETE, UNFINISHED, SILENCE)
