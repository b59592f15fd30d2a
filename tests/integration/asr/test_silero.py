"""Silero VAD's files, good and bad, and what the real model makes of real sounds.

It comes with faster-whisper, which the development lock installs: where it is missing these tests fail.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asr.detectors.silero import SileroDetector, SileroModel, find_model
from asr.detectors.webrtc import WebRtcDetector
from asr.vad import FRAME_SAMPLES, FrameVad, SpeechDismissed, SpeechStarted
from base.audio import to_float
from base.errors import Misconfigured
from benchmarks import noises
from benchmarks.noises import Floats
from benchmarks.speech import say
from tests.support.silero_models import other_model, own_model

pytestmark = pytest.mark.integration

LOUD = b"\x00\x40\x00\xc0" * 256
QUIET = bytes(1024)
PHRASES = ("wait a moment", "no", "what time is it", "please tell me a story", "five", "thank you very much")


@pytest.fixture(scope="module")
def model() -> SileroModel:
    return SileroModel()


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_bundled_model_is_found_without_importing_what_bundles_it() -> None:
    lines = (
        "import sys; from asr.detectors.silero import find_model",
        "print(find_model()); assert 'faster_whisper' not in sys.modules and 'onnxruntime' not in sys.modules",
    )
    src = str(Path(__file__).resolve().parents[3] / "src")
    found = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=src, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(find_model())
    assert found.stdout.strip().endswith(".onnx")


def test_the_packages_own_signature_is_known_too_and_every_stream_has_its_own_state(tmp_path: Path) -> None:
    model = SileroModel(own_model(tmp_path / "own.onnx"))
    one, other = SileroDetector(model), SileroDetector(model)
    assert one.probability(QUIET) < 0.5 < one.probability(LOUD)
    assert other.probability(QUIET) < 0.5
    assert float(one._state[0].max()) == 2
    assert float(other._state[0].max()) == 1
    one.reset()
    assert float(one._state[0].max()) == 0
    assert float(model.begin[0].max()) == 0


def test_a_window_is_heard_with_the_four_milliseconds_before_it(model: SileroModel) -> None:
    heard: list[np.ndarray] = []

    class Listening(SileroModel):
        def __init__(self) -> None:
            self.begin = model.begin
            self.run = lambda window, state: (heard.append(window.copy()), 0.5, state)[1:]  # type: ignore[assignment]

    detector = SileroDetector(Listening())
    pcm = np.arange(1024, dtype="<i2")
    for at in (0, 512):
        detector.probability(pcm[at : at + 512].tobytes())
    assert (heard[0][0, :64] == 0).all()
    assert (heard[1][0] * 32768 == pcm[512 - 64 :]).all()


@pytest.mark.parametrize("kind", ["bundled", "own"])
def test_windows_in_a_row_are_heard_as_one_by_one_and_the_highest_counts(
    tmp_path: Path, model: SileroModel, kind: str
) -> None:
    tried = model if kind == "bundled" else SileroModel(own_model(tmp_path / "own.onnx"))
    pcm = say(PHRASES[0])[: 24 * 1024]
    single, several = SileroDetector(tried), SileroDetector(tried)
    one_by_one = [single.probability(pcm[at : at + 1024]) for at in range(0, len(pcm), 1024)]
    at = 0
    for windows in (1, 2, 3, 1, 4, 2, 2, 1, 3, 5):
        found = several.probability(pcm[at * 1024 : (at + windows) * 1024])
        assert found == pytest.approx(max(one_by_one[at : at + windows]), abs=1e-4)
        at += windows
    assert max(one_by_one) > 0.5


@pytest.mark.parametrize("size", [0, 640, 1022])
def test_another_size_of_window_is_refused(model: SileroModel, size: int) -> None:
    with pytest.raises(ValueError, match="1024"):
        SileroDetector(model).probability(bytes(size))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none\.onnx.*install whisper") as caught:
        SileroModel(tmp_path / "none.onnx")
    assert caught.value.reason == "MODEL_MISSING"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_told(tmp_path: Path, share: float) -> None:
    found = find_model()
    assert found is not None
    whole = found.read_bytes()
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(whole[: round(len(whole) * share)])
    with pytest.raises(Misconfigured, match=r"cut\.onnx") as caught:
        SileroModel(cut)
    assert caught.value.reason == "BAD_MODEL"


@pytest.mark.parametrize("kind", ["text", "other", "windows of another size", "another state", "two answers"])
def test_a_wrong_file_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "wrong.onnx"
    match kind:
        case "text":
            path.write_text("not a model")
        case "other":
            other_model(path)
        case "windows of another size":
            own_model(path, takes=512)
        case "another state":
            own_model(path, units=64)
        case _:
            own_model(path, outputs=2)
    with pytest.raises(Misconfigured, match=r"wrong\.onnx") as caught:
        SileroModel(path)
    assert caught.value.reason == "BAD_MODEL"


# --- sounds ----------------------------------------------------------------------------------------------------------


def hear(x: Floats, *, judge: SileroModel | None, over: bool = False) -> list[object]:
    vad = FrameVad(WebRtcDetector(), judge=SileroDetector(judge) if judge else None)
    vad.set_over_reply(over)
    pcm = noises.pcm(x + noises.pink(len(x) / 16_000, -68.0)[: len(x)])
    frames = range(0, len(pcm) // 2 - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    return [news for at in frames for news in vad.push(at, pcm[2 * at : 2 * (at + FRAME_SAMPLES)])]


def starts(x: Floats, **how: object) -> list[int]:
    return [news.sample for news in hear(x, **how) if isinstance(news, SpeechStarted)]  # type: ignore[arg-type]


def words(text: str, voice: str = "en-us", db: float = 0.0) -> Floats:
    return to_float(say(text, voice)).astype(np.float64) * noises.gain(db)


def after(seconds: float, *sounds: Floats, every_s: float = 1.5) -> Floats:
    pieces = [(seconds + every_s * n, sound) for n, sound in enumerate(sounds)]
    return noises.placed(seconds + every_s * len(sounds) + len(sounds[-1]) / 16_000, *pieces)


@pytest.mark.parametrize("db", [5.0, 0.0, -15.0, -25.0])
@pytest.mark.parametrize("voice", ["en-us", "en-us+f3", "de"])
def test_speech_is_heard_loud_and_soft(model: SileroModel, voice: str, db: float) -> None:
    said = [words(text, voice, db) for text in PHRASES]
    found = starts(after(1.0, *said, every_s=2.5), judge=model)
    for number, piece in enumerate(said):
        begin = round((1.0 + 2.5 * number) * 16_000)
        assert any(begin - 1600 <= at < begin + len(piece) for at in found), PHRASES[number]


@pytest.mark.parametrize("kind", ["white", "pink", "hum", "music"])
def test_speech_is_heard_in_noise(model: SileroModel, kind: str) -> None:
    said = [words(text) for text in PHRASES]
    stream = after(3.0, *said, every_s=2.5)
    seconds = len(stream) / 16_000
    noise = {
        "white": lambda: noises.white(seconds, -35.0),
        "pink": lambda: noises.pink(seconds, -30.0),
        "hum": lambda: noises.hum(seconds, -25.0),
        "music": lambda: noises.chords(seconds, -30.0),
    }[kind]()
    found = starts(stream + noise[: len(stream)], judge=model)
    heard = [
        any((3.0 + 2.5 * n) * 16_000 - 4800 <= at < (3.0 + 2.5 * n) * 16_000 + len(piece) for at in found)
        for n, piece in enumerate(said)
    ]
    assert all(heard)
    assert len(found) <= len(said) + 1, "and nothing else is"


SOUNDS = {
    "hum": lambda: noises.placed(12.0, (2.0, noises.hum(10.0, -25.0, 100.0))),
    "hiss": lambda: noises.placed(12.0, (2.0, noises.white(10.0, -30.0))),
    "chords": lambda: noises.placed(12.0, (2.0, noises.chords(10.0, -30.0))),
    "melody": lambda: noises.placed(12.0, (2.0, noises.melody(10.0, -30.0))),
    "knocks": lambda: after(1.0, *(noises.knock(n, ms=80.0) for n in range(10))),
    "bursts": lambda: after(1.0, *(noises.white(0.1, -20.0, n) for n in range(10))),
    "doors": lambda: after(1.0, *(noises.slam(n) for n in range(6))),
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_what_webrtc_alone_takes_for_speech_starts_nothing(model: SileroModel, kind: str) -> None:
    sound = SOUNDS[kind]()
    assert starts(sound, judge=None), "it proves nothing"
    assert starts(sound, judge=model) == []


@pytest.mark.parametrize("ms", [5.0, 10.0, 30.0])
def test_typing_starts_nothing(model: SileroModel, ms: float) -> None:
    typing = after(1.0, *(noises.echoing(np.pad(noises.click(n, ms=ms), (0, 4000))) for n in range(40)), every_s=0.25)
    assert starts(typing, judge=model) == []


@pytest.mark.parametrize("kind", SOUNDS)
def test_over_a_reply_it_is_dismissed_at_once_and_for_good(model: SileroModel, kind: str) -> None:
    sound = SOUNDS[kind]()
    news = hear(sound, judge=model, over=True)
    begun = [x for x in news if isinstance(x, SpeechStarted)]
    gone = [x for x in news if isinstance(x, SpeechDismissed)]
    assert len(begun) == len(gone) == len(news) / 2
    assert len(begun) <= len(starts(sound, judge=None)), "no more often than without it"


@pytest.mark.parametrize("down", [18.0, 25.0])
def test_a_second_quiet_talker_starts_nothing_that_webrtc_would_start(model: SileroModel, down: float) -> None:
    mine = [words(text) for text in PHRASES[:4]]
    others = [words(text, "en-us+f3", -down) for text in PHRASES[2:]]
    stream = after(1.0, *mine, *others, *mine, every_s=2.5)
    theirs = range(round(11.0 * 16_000) - 3200, round(21.0 * 16_000) - 3200)
    assert sum(at in theirs for at in starts(stream, judge=None)) == len(others)
    found = starts(stream, judge=model)
    assert not any(at in theirs for at in found)
    assert len(found) == 2 * len(mine)
