"""Where words stand in a text."""

from __future__ import annotations

import pytest

from orchestrator.conversation.words import is_cjk, spans

pytestmark = pytest.mark.unit


def test_spans_tell_where_words_stand() -> None:
    text = "“One”, don’t 今日!"
    assert [(word, text[begin:end]) for word, begin, end in spans(text)] == [
        ("one", "One"),
        ("don't", "don’t"),
        ("今", "今"),
        ("日", "日"),
    ]


def test_what_is_written_without_spaces() -> None:
    assert is_cjk("今")
    assert not is_cjk("o")
