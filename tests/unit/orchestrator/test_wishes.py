from dataclasses import replace

import pytest

from orchestrator.conversation.policy import Policy
from orchestrator.messages import Endpointing, SessionStart, SessionUpdate
from orchestrator.ports import Adjust, VoiceChoice
from orchestrator.wishes import (
    changed_choice,
    changed_policy,
    clean_text,
    detected_choice,
    settled_choice,
    usual_choice,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  hello \r\n\t there ", "hello there"),
        ("a\x00b\x1b[2Jc", "ab[2Jc"),
        ("\u202eright to left\u2066", "right to left"),
        ("\ufeff\u200b\x7f", ""),
        ("👩\u200d👧 می\u200cخواهم", "👩\u200d👧 می\u200cخواهم"),
        ("\ud800x", "x"),
        ("", ""),
    ],
)
def test_text_is_one_line_without_control_characters(text, clean):
    assert clean_text(text) == clean


def test_what_is_left_out_of_a_choice_stays():
    choice = VoiceChoice(model="m", voice="a", language="en", rate=1.5, pitch=2.0)
    assert changed_choice(choice, SessionUpdate()) == choice
    assert changed_choice(choice, Adjust(rate=1.0)) == VoiceChoice(
        model="m", voice="a", language="en", rate=1.0, pitch=2.0
    )
    wish = SessionUpdate(voice="", language="de", rate=0.5, pitch=0.0)
    assert changed_choice(choice, wish) == VoiceChoice(model="m", voice="", language="de", rate=0.5, pitch=0.0)


@pytest.mark.parametrize(
    ("voice", "language", "settled"),
    [
        ("", "", ("alto", "en")),
        ("", "en", ("alto", "en")),
        ("", "fi", ("", "fi")),
        ("thorsten", "", ("thorsten", "de")),
        ("low", "", ("low", "en")),
        ("thorsten", "en", ("thorsten", "en")),
    ],
)
def test_what_is_named_empty_is_the_operator_s(voice, language, settled):
    usual = VoiceChoice(model="m", voice="alto", language="en")
    before = VoiceChoice(voice="thorsten", language="de", rate=1.5)
    wish = changed_choice(before, SessionUpdate(voice=voice, language=language))
    choice = settled_choice(wish, usual, lambda voice, language: {"thorsten": "de"}.get(voice, language))
    assert choice == VoiceChoice(model="m", voice=settled[0], language=settled[1], rate=1.5)
    assert settled_choice(choice, usual, lambda voice, language: "never asked") == choice


def test_what_is_left_out_of_a_policy_stays():
    policy = Policy(endpoint_ms=300, confirm_ms=400, resume_ms=500, manual=True, interruptible=False)
    assert changed_policy(policy, SessionUpdate()) == policy
    changed = changed_policy(policy, SessionUpdate(endpointing=Endpointing(confirm_ms=900), interruptible=True))
    assert (changed.endpoint_ms, changed.confirm_ms, changed.interruptible, changed.manual) == (300, 900, True, True)
    assert not changed_policy(policy, SessionUpdate(turn_detection="auto")).manual
    assert changed_policy(Policy(), SessionStart(turn_detection="manual", interruptible=False)) == Policy(
        manual=True, interruptible=False
    )


def test_any_language_is_one_to_hear_and_leaves_what_is_spoken() -> None:
    usual = usual_choice("", "", "de")

    def settled(choice: VoiceChoice) -> VoiceChoice:
        return settled_choice(choice, usual, lambda voice, language: {"ann": "en"}.get(voice, language))

    start = settled(changed_choice(VoiceChoice(), SessionStart(language="*", voice="ann")))
    assert (start.language, start.heard) == ("en", "*")
    assert settled(changed_choice(start, SessionUpdate(rate=1.5))).heard == "*"
    french = settled(changed_choice(start, SessionUpdate(language="fr", voice="")))
    assert (french.language, french.heard) == ("fr", "fr")
    again = settled(changed_choice(french, SessionUpdate(language="*")))
    assert (again.language, again.heard) == ("fr", "*")
    assert settled(changed_choice(again, SessionUpdate(language=""))).heard == "de"
    for wish in (SessionUpdate(voice="ann"), SessionUpdate(voice="ann", language="*"), Adjust(voice="ann")):
        ann = settled(changed_choice(again, wish))
        assert (ann.language, ann.heard) == ("en", "*"), "a voice brings its language, as at the start"
    named = settled(changed_choice(again, SessionUpdate(voice="ann", language="fr")))
    assert (named.language, named.heard) == ("fr", "fr")


def test_who_turns_out_to_speak_german_is_answered_in_it() -> None:
    own = {"ann": "en", "jo": "de-CH"}

    def language_of(voice: str, language: str) -> str:
        return language if own.get(voice, language).startswith(language) else own[voice]

    usual = VoiceChoice(voice="ann", language="en")
    heard = VoiceChoice(voice="ann", language="en", hears="*", rate=1.2)
    assert detected_choice(heard, usual, "de", language_of) == replace(heard, voice="", language="de")
    assert detected_choice(heard, usual, "en", language_of) == heard
    for_all = replace(usual, voice="many")
    assert detected_choice(replace(heard, voice="many"), for_all, "de", language_of).voice == "many", "it speaks both"
    asked = replace(heard, voice="jo")
    assert detected_choice(asked, usual, "de", language_of) == replace(asked, language="de")
    assert detected_choice(asked, usual, "fr", language_of) == replace(asked, language="de-CH"), (
        "a voice asked for stays"
    )
    assert detected_choice(VoiceChoice(hears="*"), VoiceChoice(), "de", language_of).language == "de"


def test_what_is_spoken_stays_of_its_region_where_that_language_was_detected() -> None:
    def any_voice(voice: str, language: str) -> str:
        return language

    usual = VoiceChoice(voice="ann", language="en-GB")
    british = VoiceChoice(voice="ann", language="en-GB", hears="*")
    assert detected_choice(british, usual, "en", any_voice) == british
    asked = VoiceChoice(voice="rui", language="pt-BR", hears="*")
    assert detected_choice(asked, usual, "pt", any_voice) == asked
    german = detected_choice(british, replace(usual, voice=""), "de", any_voice)
    assert detected_choice(german, usual, "en", any_voice) == british, "and is so again"


def test_an_operator_may_leave_the_language_open() -> None:
    usual = usual_choice("", "v", "*")
    none = settled_choice(VoiceChoice(), usual, lambda voice, language: language)
    assert (none.language, none.heard, none.voice) == ("en", "*", "v")
    named = settled_choice(VoiceChoice(language="de"), usual, lambda voice, language: language)
    assert (named.language, named.heard) == ("de", "de")
