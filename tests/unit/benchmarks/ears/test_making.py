"""The made corpus: what is told of a clip is true of its samples."""

from __future__ import annotations

import numpy as np
import pytest

from base.audio import UPLINK_RATE, to_float
from benchmarks.ears import making
from benchmarks.ears.clips import Clip
from benchmarks.ears.making import CONDITIONS, LEAD_S, REST_S, clips_of, parts
from benchmarks.ears.speakers import SPEAKERS, Speaker
from benchmarks.ears.voices import Piece

pytestmark = pytest.mark.unit


def tone(text: str, voice: str) -> Piece:
    """A voice of half a second a word, with soft edges of 0.1 s."""
    count = len(text.split())
    said = 0.2 * np.sin(2 * np.pi * 200 * np.arange(count * 8_000) / UPLINK_RATE)
    ends = tuple((word, 1_600 + 8_000 * number) for number, word in enumerate(text.split(), 1))
    return Piece(np.concatenate([np.zeros(1_600), said, np.zeros(1_600)]), 1_600, 1_600 + len(said), ends)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Clip]:
    monkeypatch.setitem(making.PROGRAMS, "tone", tone)
    return clips_of(Speaker("tess", "tone", "", "clean", ("one and [0.9] two three", "yes")))


def test_a_turn_is_what_is_said_and_the_pauses_between() -> None:
    assert parts("yes") == [("yes", 0.0)]
    assert parts("one and [0.9] two [1.2] three") == [("one and", 0.9), ("two", 1.2), ("three", 0.0)]


def test_spans_and_words_are_where_the_samples_are(made: list[Clip]) -> None:
    clip = made[0]
    assert (clip.name, clip.text, clip.speaker) == ("tess-1-clean", "one and two three", "tess")
    (first, paused), (went_on, last) = clip.speech
    assert went_on - paused == pytest.approx(0.9, abs=1e-3)
    assert first >= LEAD_S
    assert clip.seconds - last >= REST_S - 1e-3
    loud = np.flatnonzero(np.abs(to_float(clip.pcm)) > 0.02) / UPLINK_RATE
    assert loud[0] == pytest.approx(first, abs=0.002)
    assert loud[-1] == pytest.approx(last, abs=0.002)
    assert not ((loud > paused + 0.002) & (loud < went_on - 0.002)).any()
    assert [word for word, _ in clip.words] == clip.text.split()
    assert [end for _, end in clip.words] == pytest.approx([first + 0.5, paused, went_on + 0.5, last])


def test_whatever_is_made_twice_is_the_same_twice(made: list[Clip]) -> None:
    assert made == clips_of(Speaker("tess", "tone", "", "clean", ("one and [0.9] two three", "yes")))


@pytest.mark.parametrize("condition", ["hum", "music", "typing"])
def test_what_else_is_heard_is_there_all_the_time_and_softer(condition: str) -> None:
    sound = CONDITIONS[condition](8.0, np.random.default_rng(1))
    assert len(sound) == 8 * UPLINK_RATE
    for part in np.split(sound, 2):
        assert 0.001 < np.sqrt(np.mean(part * part)) < 0.03


def test_the_speakers_are_told_apart_and_pause() -> None:
    assert len({speaker.name for speaker in SPEAKERS}) == len(SPEAKERS)
    assert {speaker.condition for speaker in SPEAKERS} == set(CONDITIONS)
    turns = [turn for speaker in SPEAKERS for turn in speaker.turns]
    pauses = [pause for turn in turns for _, pause in parts(turn) if pause]
    assert len(turns) >= 24
    assert all(0.6 <= pause <= 1.4 or 0.35 <= pause < 0.5 for pause in pauses)
    assert sum(pause >= 0.6 for pause in pauses) == 28
    assert sum(pause < 0.5 for pause in pauses) == 14
