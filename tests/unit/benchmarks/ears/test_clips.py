"""Clips are read with their truth, and whoever wrote a file wrongly is told which and how."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from base.errors import BadRequest, NotFound
from benchmarks import speech
from benchmarks.ears.clips import Clip, read_clip, read_folder, spans_by_level, spread_words, write_clip

pytestmark = pytest.mark.unit


def write_wav(path: Path, pcm: bytes, *, rate: int = 16_000, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(pcm)
    return path


def spoken() -> bytes:
    said = speech.synthetic_speech(0.8)
    return speech.room(0.5) + said + speech.room(0.7, 2) + said + speech.room(0.5, 3)


def test_a_clip_is_read_as_it_was_written(tmp_path: Path) -> None:
    clip = Clip(
        "a-1", spoken(), "good morning", ((0.5, 1.3), (2.0, 2.8)), (("good", 1.3), ("morning", 2.8)), "hum", "a"
    )
    write_clip(tmp_path, clip)
    assert read_folder(tmp_path) == [clip]


def test_without_truth_spans_are_found_by_level(tmp_path: Path) -> None:
    write_wav(tmp_path / "x.wav", spoken())
    (tmp_path / "x.txt").write_text(" Good\n morning. ")
    clip = read_clip(tmp_path / "x.wav")
    assert clip.derived
    assert clip.text == "Good morning."
    assert [t for span in clip.speech for t in span] == pytest.approx([0.5, 1.3, 2.0, 2.8], abs=0.03)


def test_any_rate_and_two_channels_become_mono_at_16_khz(tmp_path: Path) -> None:
    pcm = spoken()
    stereo = np.stack([np.frombuffer(pcm, "<i2"), np.zeros(len(pcm) // 2, "<i2")], axis=1).tobytes()
    write_wav(tmp_path / "x.wav", stereo, rate=32_000, channels=2)
    (tmp_path / "x.txt").write_text("hello")
    clip = read_clip(tmp_path / "x.wav")
    assert clip.seconds == pytest.approx(len(pcm) / 2 / 32_000, abs=0.01)
    assert speech.voiced_span(clip.pcm) != (0, 0)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.txt", None, "no transcript"),
        ("x.txt", b"?!", "no words"),
        ("x.txt", b"\xff\xfe", "UTF-8"),
        ("x.wav", b"RIFF", "no WAV"),
        ("x.json", b"{", "no JSON"),
        ("x.json", b"[]", "an object"),
        ("x.json", b'{"speech": 3}', "list of"),
        ("x.json", b'{"speech": []}', "no speech"),
        ("x.json", b'{"speech": [[2, 1]]}', "must rise"),
        ("x.json", b'{"speech": [[0, 99]]}', "must rise"),
        ("x.json", b'{"words": [["a"]]}', "list of"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    write_wav(tmp_path / "x.wav", spoken())
    (tmp_path / "x.txt").write_text("hello")
    (tmp_path / "x.json").write_text(json.dumps({}))
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRequest, match=words) as caught:
        read_clip(tmp_path / "x.wav")
    assert name.partition(".")[0] in caught.value.message


@pytest.mark.parametrize(
    ("wav", "words"), [({"width": 1}, "8 bits"), ({"rate": 4_000}, "4000 samples"), ({"pcm": b""}, "no audio")]
)
def test_a_wav_that_cannot_be_used_says_why(tmp_path: Path, wav: dict[str, object], words: str) -> None:
    write_wav(tmp_path / "x.wav", **{"pcm": spoken(), **wav})  # type: ignore[arg-type]
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(BadRequest, match=words):
        read_clip(tmp_path / "x.wav")


def test_silence_has_no_speech(tmp_path: Path) -> None:
    assert spans_by_level(bytes(32_000)) == ()
    assert spans_by_level(b"") == ()


def test_a_folder_without_clips_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="--make"):
        read_folder(tmp_path)
    with pytest.raises(NotFound, match="is no folder"):
        read_folder(tmp_path / "none")


def test_words_are_spread_over_the_spans_by_their_letters() -> None:
    found = spread_words("a bc, defg", ((1.0, 1.5), (2.0, 2.5)))
    assert [word for word, _ in found] == ["a", "bc", "defg"]
    assert [end for _, end in found] == pytest.approx([1.2, 1.5, 2.5])
