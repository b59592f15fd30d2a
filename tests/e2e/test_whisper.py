"""A spoken question heard by Whisper: a file in, the words told, an answer out; through the real processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from antiphon.wavs import read_wav, write_wav
from base.audio import UPLINK_RATE, rms_dbfs
from tests.support import whisper_models
from tests.support.system import antiphon, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUESTION = "what time is it"


def test_a_question_that_whisper_hears_is_answered(tmp_path: Path) -> None:
    model = whisper_models.build(tmp_path / "tiny.en", lead=1)
    # The model's made-up speech is no speech to Silero VAD, which knows better; and the tour's phrases would go into
    # its prompt, which it cannot read.
    settings = ("[orchestrator]", 'detector = "webrtc"', 'responder = "echo"')
    settings += ("[asr_worker]", 'engine = "whisper"', f"model = {json.dumps(str(model))}")
    (tmp_path / "antiphon.toml").write_text("\n".join(settings))
    write_wav(tmp_path / "q.wav", whisper_models.in_a_room(QUESTION), UPLINK_RATE)
    with running(tmp_path) as system:
        assert system.url
        done = antiphon("chat", "--json", "--wav", "q.wav", "--out", "reply.wav", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr + system.said()
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert [each["text"] for each in said if each["type"] == "transcript" and each["final"]] == [QUESTION]
        assert [each["heard"] for each in said if each["type"] == "turn_finished"] == [QUESTION]
        assert system.stop() == 0
        assert not system.wait_gone()
        assert not system.complaints()
    assert -35.0 < rms_dbfs(read_wav(tmp_path / "reply.wav", UPLINK_RATE)) < -10.0
