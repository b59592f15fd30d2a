"""Endpointing: how a text reads, and how long to wait for that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.conversation.endpointing import COMPLETE, SILENCE, UNFINISHED, adjust, read

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I would like a coffee and"),
        ("en", "um"),
        ("en", "because"),
        ("en", "because."),
        ("en", "could you"),
        ("en", "wait..."),
        ("en", "first,"),
        ("en", "twenty"),
        ("en", "two hundred"),
        ("en", "three point"),
        ("en", "five five"),
        ("en", "my number is 0 1 7"),
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
        ("de", "noch einen Kaffee bitte"),
        ("fr", "un café s'il vous plaît"),
        ("es", "un café por favor"),
        ("it", "grazie mille"),
        ("pt", "muito obrigada"),
        ("nl", "nog een koffie alsjeblieft"),
        ("zh", "今天会下雨吗"),
        ("ja", "今何時ですか"),
        ("", "Qapla'!"),
        ("", "Das war alles."),
    ],
)
def test_these_read_as_complete(language: str, text: str) -> None:
    assert read(text, language) == COMPLETE


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "what time is it"),
        ("en", "set an alarm for six forty"),
        ("en", "at five"),
        ("en", "turn the light on"),
        ("en", "tell me what time it is"),
        ("en", "stop that"),
        ("de", "mach das Licht aus"),
        ("fr", "quelle heure il est"),
        ("nl", "doe het licht uit"),
        ("zh", "我要这个"),
        ("ja", "電気消して"),
        ("en", "zero one seven five five five one two"),
        ("en", "call 01755512"),
        ("", "and"),
        ("tlh", "because"),
        ("en", ""),
        ("en", "…!"),
    ],
)
def test_these_do_not_show(language: str, text: str) -> None:
    assert read(text, language) == SILENCE


@pytest.mark.parametrize(
    ("text", "expected"),
    [("and", (1250, UNFINISHED)), ("thank you", (250, COMPLETE)), ("what time is it", (500, SILENCE))],
)
def test_the_wait_is_the_base_times_a_factor(text: str, expected: tuple[float, str]) -> None:
    assert adjust(text, "en", 500) == expected


def test_the_factors_are_the_callers() -> None:
    assert adjust("and", "en", 500, floor=0.1, ceiling=2) == (1000, UNFINISHED)
    assert adjust("thanks", "en", 500, floor=0.1, ceiling=2) == (50, COMPLETE)


@given(st.text(max_size=80), st.sampled_from(["", "en", "de", "fr", "es", "it", "pt", "nl", "zh", "ja"]))
def test_any_text_gets_a_wait_between_floor_and_ceiling(text: str, language: str) -> None:
    ms, reason = adjust(text, language, 500)
    assert 250 <= ms <= 1250
    assert reason in (COMPLETE, UNFINISHED, SILENCE)
