"""Who speaks in a model of Piper voices."""

from __future__ import annotations

import pytest

from base.errors import NotFound
from tts_workers.engine import ModelSpec
from tts_workers.engines.piper.config import VoiceConfig
from tts_workers.engines.piper.speakers import Speakers

pytestmark = pytest.mark.unit


def config(language: str, *speakers: str, default: int = 0) -> VoiceConfig:
    return VoiceConfig(22_050, language, speakers, default, 256, 1.0, 0.667, 0.8, {}, "", {})


SPEAKERS = Speakers(
    ModelSpec("ours", "piper"),
    [("de_DE-solo-low", config("de-DE")), ("en_US-c+rowd-low", config("en-US", "ann", "1", "Zoë", default=2))],
)


def test_each_speaker_is_a_voice() -> None:
    assert [v.id for v in SPEAKERS.infos] == [
        "de_DE-solo-low",
        "en_US-c-rowd-low#ann",
        "en_US-c-rowd-low#1",
        "en_US-c-rowd-low#Zoë",
    ]
    assert SPEAKERS.languages == ("de-DE", "en-US")


@pytest.mark.parametrize(
    ("id", "voice", "number"),
    [
        ("", 0, 0),
        ("DE_de-SOLO-low", 0, 0),
        ("en_US-c-rowd-low", 1, 2),
        ("en_US-c-rowd-low#Ann", 1, 0),
        ("en_US-c-rowd-low#0", 1, 0),
        ("en_US-c-rowd-low#ZOË", 1, 2),
    ],
)
def test_they_are_found_by_id_name_and_number(id: str, voice: int, number: int) -> None:
    found = SPEAKERS.find(id)
    assert (found.voice, found.number) == (voice, number)


@pytest.mark.parametrize(
    ("id", "says"),
    [
        ("fr", "model 'ours' has no voice 'fr'; it has de_DE-solo-low, en_US-c-rowd-low;"),
        ("#1", "no voice '#1'"),
        ("de_DE-solo-low#0", "has one speaker, and no number; there is no '0'"),
        ("en_US-c-rowd-low#3", "has speakers 0 to 2; there is no '3'"),
        ("en_US-c-rowd-low#-1", "there is no '-1'"),
        ("en_US-c-rowd-low#²", "there is no '²'"),
    ],
)
def test_who_is_not_there_is_told_with_who_is(id: str, says: str) -> None:
    with pytest.raises(NotFound, match=says):
        SPEAKERS.find(id)
