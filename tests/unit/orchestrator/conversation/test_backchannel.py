"""Backchannels and words: what is one, what may become one, in which languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.conversation.backchannel import all_backchannel, is_backchannel, may_become_backchannel
from orchestrator.conversation.words import primary, whole_words, words

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "mhm"),
        ("en", "Uh-huh."),
        ("en", "Yeah, yeah, I see!"),
        ("en-GB", "Right. Okay."),
        ("de", "Ach so, ja, genau"),
        ("de", "na klar"),
        ("fr", "d'accord"),
        ("fr", "Ah bon? D’accord."),
        ("es", "claro que sí"),
        ("it", "ho capito"),
        ("pt", "pois é"),
        ("nl", "ik snap het"),
        ("zh", "嗯嗯，对对对"),
        ("cmn", "好的"),
        ("ja", "はい、そうですね"),
        ("ja", "なるほど。"),
        ("en", "Mm-hmm."),
        ("en", "YEAH yeah, yeah!"),
        ("en", "yeahhh"),
        ("en", "hmmmm, okaaay"),
        ("en", "Aha! Uh huh."),
        ("de", "mm-hm, na klar"),
        ("fr", "Voila, c est ca"),
        ("es", "Si, si, claro"),
        ("it", "gia, certo"),
        ("pt", "Aham, tá bom"),
        ("nl", "Oke, oké, klopt"),
        ("zh", "嗯 嗯 嗯"),
        ("zh", "對對對"),
        ("zh", "ＯＫ，没问题"),
        ("ja", "ウンウン"),
        ("ja", "へぇー、はーい"),
        ("ja", "えっ、そっか"),
    ],
)
def test_a_listeners_word_is_a_backchannel(language: str, text: str) -> None:
    assert is_backchannel(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "no"),
        ("en", "stop"),
        ("en", "wait"),
        ("en", "what"),
        ("en", "okay but"),
        ("en", "i"),
        ("en", ""),
        ("en", "…"),
        ("de", "nein"),
        ("de", "halt"),
        ("fr", "non"),
        ("es", "para"),
        ("it", "basta"),
        ("pt", "não"),
        ("nl", "wacht"),
        ("zh", "不"),
        ("zh", "停"),
        ("ja", "いいえ"),
        ("ja", "待って"),
        ("zh", "对不起"),
        ("zh", "不对"),
        ("zh", "等一下"),
        ("ja", "まって"),
        ("ja", "ちょっと待って"),
        ("en", "oh no"),
        ("en", "yeah no"),
        ("en", "a"),
        ("de", "ja aber"),
        ("fr", "oui mais non"),
        ("es", "espera"),
        ("it", "e"),
        ("pt", "o"),
        ("", "mhm"),
        ("tlh", "okay"),
    ],
)
def test_a_wish_is_none_nor_is_anything_in_an_unknown_language(language: str, text: str) -> None:
    assert not is_backchannel(text, language)


@pytest.mark.parametrize(
    ("text", "may"), [("i", True), ("okay i", True), ("got", True), ("i want", False), ("stop", False), ("", False)]
)
def test_the_beginning_of_a_backchannel_may_become_one(text: str, may: bool) -> None:
    assert may_become_backchannel(words(text), "en") is may


def test_nothing_may_become_a_backchannel_in_an_unknown_language() -> None:
    assert not may_become_backchannel(("i",), "")


@given(st.lists(st.sampled_from(["mhm", "i", "see", "got", "it", "of", "course", "no"]), max_size=8))
def test_what_is_all_backchannel_may_become_so_at_every_step(found: list[str]) -> None:
    if all_backchannel(found, "en"):
        assert all(may_become_backchannel(found[:end], "en") for end in range(1, len(found) + 1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", ("hello", "world")),
        ("don’t  stop", ("don't", "stop")),
        ("uh-huh", ("uh", "huh")),
        ("今何時", ("今", "何", "時")),
        ("room 101", ("room", "101")),
        ("… ! 🙂 _", ()),
        ("Cafe\u0301", ("café",)),
    ],
)
def test_words(text: str, expected: tuple[str, ...]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "end", "expected"),
    [
        ("stop that", 4, ("stop",)),
        ("stop that", 6, ("stop",)),
        ("stop that", 9, ("stop", "that")),
        ("stop that", 99, ("stop", "that")),
        ("stop that", -1, ()),
        ("yes, no", 3, ("yes",)),
        ("你好", 1, ("你",)),
    ],
)
def test_whole_words_end_within_the_limit(text: str, end: int, expected: tuple[str, ...]) -> None:
    assert whole_words(text, end) == expected


@given(st.text(max_size=60), st.integers(-2, 70))
def test_any_text_has_words_that_a_longer_limit_only_adds_to(text: str, end: int) -> None:
    found = whole_words(text, end)
    assert len(found) <= len(words(text))
    assert words(" ".join(words(text))) == words(text)


@pytest.mark.parametrize(("tag", "language"), [("en-US", "en"), ("pt_BR", "pt"), ("cmn-Hans", "zh"), ("", "")])
def test_the_data_of_a_language_goes_by_its_primary_tag(tag: str, language: str) -> None:
    assert primary(tag) == language


@pytest.mark.parametrize(
    ("text", "language"), [("Aha.", "de"), ("aha okay", "de"), ("Ah.", "fr"), ("ah bon", "fr"), ("ah", "en")]
)
def test_a_hum_that_a_phrase_begins_with_is_one_by_itself(text: str, language: str) -> None:
    assert is_backchannel(text, language)
