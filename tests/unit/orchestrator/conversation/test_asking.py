"""Asking: when what a listener says is an answer."""

from __future__ import annotations

import pytest

from orchestrator.conversation.asking import asks

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("heard", "rest"),
    [
        ("It is four. Shall I wake", " you at six?"),
        ("It is four. Shall I wake you at six?", ""),
        ("It is four. Shall I wake you at six? ", ""),
        ("Shall I go on", '?"'),
        ("¿Quieres que", " siga?"),
        ("要不要继续", "吗。"),
        ("続けても", "いいですか。"),
        ("続けますか", "？"),
    ],
)
def test_a_question_that_is_being_heard_asks(heard: str, rest: str) -> None:
    assert asks(heard + rest, len(heard), max(0, len(heard) - 15))


@pytest.mark.parametrize(
    ("heard", "rest"),
    [
        ("It is four", ". Shall I wake you at six?"),
        ("It is four. Shall", " I wake you at six tomorrow morning? Or do you want to sleep on?"),
        ("Shall I go on? I could tell you about the moon and", " the stars."),
        ("It is four o'clock", "."),
        ("そうです", "。"),
        ("", ""),
        ("", "Why?"),
    ],
)
def test_no_question_or_not_yet_or_long_past(heard: str, rest: str) -> None:
    assert asks(heard + rest, len(heard), max(0, len(heard) - 15)) is (heard == "" and rest != "")


def test_a_question_that_was_heard_a_moment_ago_still_asks() -> None:
    text = "Shall I go on? I have more."
    assert asks(text, 19, 5)
    assert not asks(text, 25, 16)
