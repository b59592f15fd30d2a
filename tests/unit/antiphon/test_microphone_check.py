"""The verdicts, on signals made for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from antiphon.microphone_check import Finding, Verdict, advice, judge

pytestmark = pytest.mark.unit

RATE = 16_000
RNG = np.random.default_rng(7)


def voice(level: float, seconds: float = 3.0) -> NDArray[np.float64]:
    """Something with the shape of speech: harmonics in syllables, with pauses. Peak at `level` of full scale."""
    t = np.arange(int(seconds * RATE)) / RATE
    syllables = np.clip(np.sin(2 * np.pi * 2 * t), 0, 1)
    tone = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 8))
    x = syllables * tone
    return level * 32_767 * x / np.max(np.abs(x))


def pcm(x: NDArray[np.float64]) -> bytes:
    return np.clip(np.rint(x), -32_768, 32_767).astype("<i2").tobytes()


def finding(x: NDArray[np.float64], *, speech: bool = True, words: str | None = "hello there") -> Finding:
    data = pcm(x)
    return judge(data, RATE, [speech] * (len(data) // 640), words)


def test_a_good_microphone() -> None:
    found = finding(voice(0.3) + RNG.normal(0, 10, 3 * RATE))
    assert found.verdict is Verdict.GOOD
    assert -30 < found.voice_dbfs < -5
    assert found.noise_dbfs < -60
    assert "works" in advice(found, "linux")


@pytest.mark.parametrize(
    "x", [np.zeros(RATE), np.full(RATE, -3.0), np.tile([0.0, 1.0], RATE // 2), np.zeros(0)], ids=str
)
def test_digital_silence_names_the_permission_to_grant(x: NDArray[np.float64]) -> None:
    found = finding(x, speech=False, words="")
    assert found.verdict is Verdict.DIGITAL_SILENCE
    assert "Privacy & Security" in advice(found, "darwin")
    assert "Let desktop apps" in advice(found, "linux", wsl=True)
    assert "sound settings" in advice(found, "linux")


def test_too_quiet() -> None:
    assert finding(voice(0.005) + RNG.normal(0, 3, 3 * RATE)).verdict is Verdict.TOO_QUIET


def test_clipping() -> None:
    assert finding(voice(3.0)).verdict is Verdict.CLIPPING
    assert finding(voice(0.9)).verdict is Verdict.GOOD


def test_sound_without_speech() -> None:
    hum = 3_000 * np.sin(2 * np.pi * 50 * np.arange(3 * RATE) / RATE)
    assert finding(hum, speech=False, words="").verdict is Verdict.NO_SPEECH


def test_speech_without_words() -> None:
    assert finding(voice(0.3), words=" ").verdict is Verdict.NO_WORDS


def test_without_a_recogniser_speech_is_enough() -> None:
    assert finding(voice(0.3), words=None).verdict is Verdict.GOOD


@given(st.binary(max_size=4_000), st.lists(st.booleans(), max_size=50), st.none() | st.text(max_size=20))
def test_every_recording_gets_a_verdict_and_advice(data: bytes, speech: list[bool], words: str | None) -> None:
    found = judge(data, RATE, speech, words)
    assert advice(found, "linux")
    assert -121 < found.voice_dbfs < 1


def test_every_verdict_has_advice_of_its_own() -> None:
    said = {advice(Finding(v, -20, -60, -3, 0.01, 1.0, ""), "linux") for v in Verdict}
    assert len(said) == len(Verdict)
