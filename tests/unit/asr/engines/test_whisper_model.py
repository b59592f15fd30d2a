"""What of a session's phrases goes into Whisper's prompt."""

from __future__ import annotations

import pytest

from asr.engines.whisper.model import plain

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("Antiphon", "Antiphon"),
        ("<|startoftranscript|>", ""),
        ("the <|0.00|>cat<|endoftext|> sat", "the cat sat"),
        ("<|<|endoftext|>endoftext|>", "endoftext"),
        ("a < b | c > d", "a < b | c > d"),
    ],
)
def test_control_tokens_stay_out_of_the_prompt(phrase: str, said: str) -> None:
    assert plain(phrase) == said
