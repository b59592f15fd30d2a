"""What every voice-activity detector keeps to, the fake and the real ones alike, alone and judged."""

import numpy as np
import pytest

from asr.detectors.silero import SileroDetector, SileroModel
from asr.detectors.webrtc import WebRtcDetector
from asr.vad import FrameVad, SpeechEnded, SpeechStarted
from benchmarks.speech import say
from tests.support.detectors import LoudDetector
from tests.support.vowels import vowel

pytestmark = pytest.mark.contract

SILERO = SileroModel()
"""The one that the extra `whisper` brings."""
DETECTORS = {
    "loud": LoudDetector,
    "webrtc": WebRtcDetector,
    "webrtc-0": lambda: WebRtcDetector(0),
    "silero": lambda: SileroDetector(SILERO),
}
VADS = {
    "loud": lambda: FrameVad(LoudDetector()),
    "webrtc": lambda: FrameVad(WebRtcDetector()),
    "webrtc-0": lambda: FrameVad(WebRtcDetector(0)),
    "webrtc, judged by silero": lambda: FrameVad(WebRtcDetector(), judge=SileroDetector(SILERO)),
}


@pytest.fixture(params=DETECTORS)
def detector(request):
    return DETECTORS[request.param]()


@pytest.fixture(params=VADS)
def vad(request):
    return VADS[request.param]()


def pieces(pcm, size):
    return [pcm[i : i + 2 * size] for i in range(0, len(pcm) - 2 * size + 1, 2 * size)]


def test_its_frames_are_of_20_or_32_ms(detector):
    assert detector.frame_samples in (320, 512)


@pytest.mark.parametrize("sample", [b"\x00\x00", b"\xff\x7f", b"\x00\x80", b"\x01\x00"])
def test_an_answer_is_a_probability_whatever_the_frame(detector, sample):
    assert 0.0 <= detector.probability(sample * detector.frame_samples) <= 1.0


def test_digital_silence_is_no_speech(detector):
    assert all(detector.probability(bytes(2 * detector.frame_samples)) < 0.5 for _ in range(50))


def test_speech_is_speech(detector):
    words = pieces(say("please tell me a story about the sea"), detector.frame_samples)
    assert sum(detector.probability(f) >= 0.5 for f in words[5:]) > 0.8 * len(words[5:])


@pytest.mark.parametrize("kind", ["webrtc", "silero"])
def test_two_streams_do_not_hear_each_other(kind):
    one, other, alone = (DETECTORS[kind]() for _ in range(3))
    voice = pieces(vowel(0.6, level_dbfs=-20), one.frame_samples)
    silence = bytes(2 * one.frame_samples)
    expected = [alone.probability(f) for f in voice]
    assert [(one.probability(f), other.probability(silence))[0] for f in voice] == expected


def test_an_utterance_is_found_where_it_is(vad):
    silence = np.random.default_rng(1).normal(0, 8, 16_000).astype("<i2").tobytes()
    words = say("tell me a story")
    found = [news for i, f in enumerate(pieces(silence + words + silence, 320)) for news in vad.push(i * 320, f)]
    assert [type(n) for n in found] == [SpeechStarted, SpeechEnded]
    started, ended = found
    assert abs(started.sample - 16_000) <= 800
    assert abs(ended.sample - 16_000 - len(words) // 2) <= 3200


def test_speech_over_a_reply_is_told_within_60_ms(vad):
    vad.set_over_reply(True)
    silence = np.random.default_rng(1).normal(0, 8, 16_000).astype("<i2").tobytes()
    told = [
        (i + 1) * 320
        for i, f in enumerate(pieces(silence + say("stop"), 320))
        for news in vad.push(i * 320, f)
        if isinstance(news, SpeechStarted)
    ]
    assert len(told) == 1
    assert told[0] - 16_000 <= 960
