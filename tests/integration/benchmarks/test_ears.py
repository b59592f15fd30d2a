"""`bench ears` through the real thing: a registry of its own, sessions in real time, ears that know the words."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.cli import antiphon
from benchmarks import speech
from benchmarks.ears.clips import Clip, read_folder, write_clip
from benchmarks.ears.main import Wanted, measure

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def clip(name: str, first: str, then: str) -> Clip:
    """Vowels for half a second, a pause of 0.9 s, and again."""
    said = speech.synthetic_speech(0.6)
    pcm = speech.room(0.5) + said + speech.room(0.9, 2) + said + speech.room(0.4, 3)
    words = [*((word, 1.1) for word in first.split()), *((word, 2.6) for word in then.split())]
    return Clip(name, pcm, f"{first} {then}", ((0.5, 1.1), (2.0, 2.6)), tuple(words), "clean", "ann")


def test_two_clips_are_played_and_scored(tmp_path: Path) -> None:
    write_clip(tmp_path, clip("a-1", "i would like the", "blue one please"))
    write_clip(tmp_path, clip("a-2", "the door is red", "it is big"))
    wanted = Wanted(recognisers=("oracle",), detectors=("webrtc",))
    rows = {row.name.removeprefix("oracle, webrtc"): row for row in measure(read_folder(tmp_path), wanted, print)}
    assert rows[": word error rate"].median == 0
    assert rows[": false starts a minute"].median == 0
    assert rows[": a word's end → the partial that has it"].n == 2 * 14
    assert rows[", adaptive: turns never answered"].median == 0
    assert rows[", fixed: cut-offs"].median == 2
    assert rows[", adaptive: cut-offs"].median == 1, "after 'the' nobody is cut off"
    assert (rows[", fixed: last voiced sample → turn ended"].median or 0) > 400


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--make"),
        (["DIR", "--make", "DIR"], "--make"),
        (["DIR"], "holds no .wav"),
        (["DIR", "--detector", "none"], "holds no .wav"),
    ],
)
def test_what_cannot_be_done_is_told(tmp_path: Path, arguments: list[str], words: str) -> None:
    given = [argument.replace("DIR", str(tmp_path)) for argument in arguments]
    with pytest.raises(Exception, match=words):
        antiphon.main(args=["bench", "ears", *given], prog_name="antiphon", standalone_mode=False)


def test_a_name_that_is_unknown_is_answered_with_those_there_are(tmp_path: Path) -> None:
    write_clip(tmp_path, clip("a-1", "good", "morning"))
    with pytest.raises(Exception, match=r"'nobody' is not installed here; there are oracle"):
        measure(read_folder(tmp_path), Wanted(recognisers=("nobody",)), print)
