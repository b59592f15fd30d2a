"""What every voice-activity detector keeps to, the fake and the real one alike."""

import numpy as np
import pytest

from asr.detectors.webrtc import WebRtcDetector
from asr.vad import FrameVad, SpeechEnded, SpeechStarted
from tests.support.detectors import LoudDetector
from tests.support.vowels import vowel

pytestmark = pytest.mark.contract

DETECTORS = {"loud": LoudDetector, "webrtc": WebRtcDetector, "webrtc-0": lambda: WebRtcDetector(0)}


@pytest.fixture(params=DETECTORS)
def detector(request):
    return DETECTORS[request.param]()


def frames(pcm):
    return [pcm[i : i + 640] for i in range(0, len(pcm) - 639, 640)]


def test_it_wants_frames_of_20_ms(detector):
    assert detector.frame_samples == 320


@pytest.mark.parametrize("pcm", [bytes(640), b"\xff\x7f" * 320, b"\x00\x80" * 320, b"\x01\x00" * 320])
def test_an_answer_is_a_probability_whatever_the_frame(detector, pcm):
    assert 0.0 <= detector.probability(pcm) <= 1.0


def test_digital_silence_is_no_speech(detector):
    assert all(detector.probability(bytes(640)) < 0.5 for _ in range(50))


def test_a_voice_is_speech(detector):
    pcm = frames(vowel(1.0, level_dbfs=-20))
    assert sum(detector.probability(f) >= 0.5 for f in pcm[5:]) > 0.8 * len(pcm[5:])


def test_two_streams_do_not_hear_each_other():
    one, other = WebRtcDetector(), WebRtcDetector()
    voice, alone = frames(vowel(0.6, level_dbfs=-20)), WebRtcDetector()
    expected = [alone.probability(f) for f in voice]
    assert [(one.probability(f), other.probability(bytes(640)))[0] for f in voice] == expected


def test_an_utterance_is_found_where_it_is(detector):
    silence = np.random.default_rng(1).normal(0, 8, 16_000).astype("<i2").tobytes()
    pcm = silence + vowel(0.8, level_dbfs=-20) + silence
    vad = FrameVad(detector)
    found = [news for i, f in enumerate(frames(pcm)) for news in vad.push(i * 320, f)]
    assert [type(n) for n in found] == [SpeechStarted, SpeechEnded]
    started, ended = found
    assert abs(started.sample - 16_000) <= 800
    assert abs(ended.sample - 28_800) <= 3200
