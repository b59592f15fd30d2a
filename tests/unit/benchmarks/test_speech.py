"""What the simulated users say: made sounds have the edges that they claim, and pass for what they are."""

from __future__ import annotations

import pytest

from asr.detectors.webrtc import WebRtcDetector
from asr.vad import FrameVad, SpeechStarted
from base.audio import rms_dbfs
from benchmarks import speech

pytestmark = pytest.mark.unit


def utterances(pcm: bytes) -> list[int]:
    vad = FrameVad(WebRtcDetector())
    news = [event for at in range(0, len(pcm) - 639, 640) for event in vad.push(at // 2, pcm[at : at + 640])]
    return [event.sample for event in news if isinstance(event, SpeechStarted)]


def test_synthetic_speech_is_voiced_to_its_edges_and_taken_for_speech() -> None:
    pcm = speech.synthetic_speech(1.0)
    start, end = speech.voiced_span(pcm)
    assert start < 160
    assert end > 16_000 - 320
    assert utterances(speech.silence(0.5) + pcm + speech.silence(0.5))
    assert rms_dbfs(pcm) == pytest.approx(-20, abs=1)


def test_a_quiet_room_is_no_speech() -> None:
    assert utterances(speech.room(5.0)) == []
    assert speech.voiced_span(speech.room(1.0)) == (0, 0)


def test_trimming_leaves_what_is_voiced() -> None:
    pcm = speech.silence(0.1) + speech.synthetic_speech(0.3) + speech.silence(0.2)
    trimmed = speech.trimmed(pcm)
    assert trimmed in pcm
    assert speech.voiced_span(trimmed) == (0, len(trimmed) // 2)


@pytest.mark.parametrize("make", [speech.knock, speech.cough, speech.noise_burst, speech.key_click])
def test_noises_are_loud_and_short(make: object) -> None:
    pcm = make()  # type: ignore[operator]
    assert len(pcm) / 32_000 <= 0.3
    assert rms_dbfs(pcm) > -30
