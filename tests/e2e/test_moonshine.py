"""A spoken question heard by Moonshine, which `up` chooses by itself: a file in, its words told, an answer out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from antiphon.wavs import write_wav
from asr.engines.moonshine.files import bundled
from asr.engines.moonshine.model import MoonshineTranscriber
from asr.transcriber import Clip
from base.audio import UPLINK_RATE
from benchmarks import speech
from benchmarks.words import edits, words
from tests.support.moonshine import needs_moonshine
from tests.support.speech import speaking
from tests.support.system import antiphon, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), needs_moonshine]

QUESTION = "please remind me to call my mother tonight"


def test_a_question_that_moonshine_hears_is_answered(tmp_path: Path) -> None:
    (tmp_path / "antiphon.toml").write_text('[orchestrator]\nresponder = "echo"\n')
    with speaking() as say:
        pcm = speech.room(1.0) + say(QUESTION) + speech.room(1.0, seed=2)
    write_wav(tmp_path / "q.wav", pcm, UPLINK_RATE)
    folder = bundled()
    assert folder is not None
    alone = MoonshineTranscriber(str(folder), 1).transcribe(Clip(pcm, last=True))
    with running(tmp_path, ears="") as system:
        assert system.url
        hearing = [m["engine"] for w in system.workers() if w["kind"] == "asr" for m in w["models"]]
        assert hearing == ["moonshine"]
        done = antiphon("chat", "--json", "--wav", "q.wav", "--out", "reply.wav", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr + system.said()
        said = [json.loads(line) for line in done.stdout.splitlines()]
        (text,) = [each["text"] for each in said if each["type"] == "transcript" and each["final"]]
        assert [words(each["heard"]) for each in said if each["type"] == "turn_finished"] == [words(text)]
        assert system.stop() == 0
        assert not system.wait_gone()
        assert not system.complaints()
    whole = words("".join(w.text for w in alone.words))
    assert edits(whole, words(text)) <= len(whole) // 4
