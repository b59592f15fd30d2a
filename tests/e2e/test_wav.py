"""The thin line through everything: a spoken question in a file, a spoken answer in a file."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from antiphon.wavs import read_wav, write_wav
from asr.detectors.webrtc import WebRtcDetector
from base.audio import UPLINK_RATE, rms_dbfs
from tests.support.speech import speaking, white_noise
from tests.support.system import antiphon, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUESTION = "what time is it"


def test_a_question_in_a_file_is_answered_in_a_file(tmp_path: Path, report: Callable[[str], None]) -> None:
    with speaking() as speech:
        write_wav(tmp_path / "q.wav", speech(QUESTION), UPLINK_RATE)
    write_wav(tmp_path / "noise.wav", white_noise(0.1), UPLINK_RATE)
    with running(tmp_path) as system:
        assert system.url
        # No address is named: it finds the system that runs here.
        chat = ("chat", "--explain", "--phrases", f"{QUESTION},thank you")
        done = antiphon(*chat, "--wav", "q.wav", "--out", "reply.wav", cwd=tmp_path)
        assert done.returncode == 0, done.stderr + system.said()
        report(f"{QUESTION!r} was heard as:\n{done.stdout}{done.stderr}")
        over_grpc = antiphon(*chat, "--url", f"grpc://{system.grpc}", "--wav", "q.wav", "--out", "g.wav", cwd=tmp_path)
        assert over_grpc.returncode == 0, over_grpc.stderr + system.said()
        rest = antiphon(*chat, "--wav", "noise.wav", "--out", "nothing.wav", cwd=tmp_path)
        assert rest.returncode == 1, "nothing was understood"
        assert system.stop() == 0
        assert not system.wait_gone()
        assert not system.complaints()
    with wave.open(str(tmp_path / "reply.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 48_000)
    reply = read_wav(tmp_path / "reply.wav", UPLINK_RATE)
    assert len(read_wav(tmp_path / "g.wav", UPLINK_RATE)) > len(reply) / 2
    seconds = len(reply) / 2 / UPLINK_RATE
    assert 1.0 < seconds < 20.0
    assert -35.0 < rms_dbfs(reply) < -10.0
    detector = WebRtcDetector()
    size = 2 * detector.frame_samples
    frames = [reply[at : at + size] for at in range(0, len(reply) - size + 1, size)]
    assert sum(detector.probability(frame) for frame in frames) > len(frames) / 2, "most of it is speech"
