"""Commands against a running system: its mock voice says a tone, its mock ears hear what a script says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from antiphon.places import Running, RunningFile
from antiphon.wavs import write_wav
from benchmarks.speech import synthetic_speech
from tests.support.system import SRC, System, antiphon, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

CONFIG = """
[orchestrator]
responder = "echo"
[tts_worker]
engine = "sine"
[asr_worker]
engine = "scripted"
script = ["hello there"]
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("system")
    (folder / "antiphon.toml").write_text(CONFIG)
    with running(folder) as up:
        assert up.url
        yield up


def run(system: System, *arguments: str, code: int = 0) -> str:
    done = antiphon(*arguments, cwd=system.folder)
    assert done.returncode == code, done
    return done.stdout


def seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


def loudness(path: Path) -> float:
    with wave.open(str(path)) as file:
        return float(np.abs(np.frombuffer(file.readframes(file.getnframes()), "<i2")).max())


def test_voices_and_workers(system: System) -> None:
    voices = json.loads(run(system, "voices", "--json"))
    assert voices
    assert {"id", "name", "languages", "gender", "model"} == set(voices[0])
    assert voices[0]["id"] in run(system, "voices")
    workers = json.loads(run(system, "workers", "--json"))
    assert {w["kind"] for w in workers} == {"tts", "asr"}
    assert "tts" in run(system, "workers")
    assert run(system, "voices", "--language", "tlh", code=69) == ""


def test_say_asks_the_running_system(system: System) -> None:
    told = json.loads(run(system, "say", "Good evening.", "-o", "say.wav", "--sample-rate", "16000", "--json"))
    workers = json.loads(run(system, "workers", "--json"))
    assert told["worker"] in {w["address"] for w in workers}
    assert told["seconds"] == pytest.approx(seconds(system.folder / "say.wav"), abs=0.001)
    assert loudness(system.folder / "say.wav") > 1_000


def test_a_file_on_stdout_is_a_file_whatever_else_is_told(system: System) -> None:
    command = [sys.executable, "-P", "-m", "antiphon", "say", "Good evening.", "-o", "-", "--json"]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SRC), "ANTIPHON_VAR": str(system.folder)}
    done = subprocess.run(command, cwd=system.folder, env=env, capture_output=True, timeout=60)
    told = json.loads(done.stderr)
    assert len(done.stdout) == 44 + 2 * round(told["seconds"] * told["rate"])


def test_say_with_a_voice_that_is_not_there_names_those_that_are(system: System) -> None:
    done = antiphon("say", "x", "-o", "x.wav", "--voice", "caruso", cwd=system.folder)
    assert done.returncode == 2
    assert "voice 'caruso'" in done.stderr
    assert json.loads(run(system, "voices", "--json"))[0]["id"] in done.stderr


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder from which no system is found, whatever else runs on this machine at the usual ports."""
    RunningFile(tmp_path).write(Running("http://127.0.0.1:1", "127.0.0.1:1", os.getpid()))
    return tmp_path


def test_say_makes_do_without_a_system(alone: Path) -> None:
    done = antiphon("say", "Good evening.", "-o", "say.wav", cwd=alone, ANTIPHON_TTS_WORKER_ENGINE="sine")
    assert done.returncode == 0, done.stderr
    assert loudness(alone / "say.wav") > 1_000


def test_say_finds_the_model_that_has_the_voice(alone: Path) -> None:
    models = [f'[[tts_worker.models]]\nid = "{id}"\nengine = "{id}"\n' for id in ("espeak", "sine")]
    (alone / "my.toml").write_text("".join(models))
    done = antiphon("say", "Good evening.", "--voice", "low", "-o", "say.wav", "--config", "my.toml", cwd=alone)
    assert done.returncode == 0, done.stderr
    assert loudness(alone / "say.wav") > 1_000


def test_bytes_that_are_no_text_are_said_so(alone: Path) -> None:
    for text, given in (("caf\udce9", None), ("-", b"good \xff")):
        command = [sys.executable, "-P", "-m", "antiphon", "say", text, "-o", "x.wav"]
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SRC), "ANTIPHON_VAR": str(alone)}
        done = subprocess.run(command, cwd=alone, env=env, input=given, capture_output=True, timeout=60)
        assert done.returncode == 2
        assert b"not UTF-8 (byte 0x" in done.stderr


def test_say_whose_own_worker_fails_says_why(alone: Path) -> None:
    done = antiphon("say", "x", "-o", "x.wav", cwd=alone, ANTIPHON_TTS_WORKER_ENGINE="trumpet")
    assert done.returncode == 69
    assert "trumpet" in done.stderr


def test_lines_from_a_pipe_are_answered_one_by_one(system: System) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "antiphon", "chat", "--text", "--explain"],
        input="first\n\n/say second\nthird \udcff\n/quit\nnever\n",
        errors="surrogateescape",
        cwd=system.folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SRC), "ANTIPHON_VAR": str(system.folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("antiphon> ")]
    assert [any(word in line for word in ("first", "second", "third")) for line in said] == [True] * 3
    assert "never" not in done.stdout
    assert "first audio after" in done.stdout


def test_a_reader_that_goes_away_ends_a_conversation_without_a_word(system: System) -> None:
    command = f"'{sys.executable}' -P -m antiphon chat --text | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        input="first\nsecond\nthird\n",
        cwd=system.folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SRC), "ANTIPHON_VAR": str(system.folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_a_file_is_spoken_heard_kept_and_on_request_recorded(system: System) -> None:
    write_wav(system.folder / "question.wav", synthetic_speech(1.2), 16_000)
    flags = ["--wav", "question.wav", "--out", "reply.wav", "--record", "tapes", "--json"]
    done = antiphon("chat", *flags, cwd=system.folder)
    assert done.returncode == 0, done
    events = [json.loads(line) for line in done.stdout.splitlines()]
    finals = [e["text"] for e in events if e["type"] == "transcript" and e["final"]]
    assert finals == ["hello there"]
    assert any(e["type"] == "turn_finished" and "hello there" in e["heard"] for e in events)
    assert loudness(system.folder / "reply.wav") > 1_000
    (tape,) = (system.folder / "tapes").iterdir()
    assert str(tape.relative_to(system.folder)) in done.stderr, "recording is announced"
    assert seconds(tape / "in.wav") > 1.2
    assert seconds(tape / "out.wav") >= seconds(system.folder / "reply.wav")
    recorded = [json.loads(line) for line in (tape / "events.jsonl").read_text().splitlines()]
    assert [e["type"] for e in recorded] == [e["type"] for e in events]
    assert "resume" not in recorded[0]


def test_a_file_that_is_none_is_a_usage_error(system: System) -> None:
    done = antiphon("chat", "--wav", "antiphon.toml", cwd=system.folder)
    assert done.returncode == 2
    assert "as a WAV file" in done.stderr


def test_the_doctor_finds_the_system(system: System) -> None:
    checks = {c["name"]: c for c in json.loads(run(system, "doctor", "--json"))}
    assert checks["Python"]["ok"]
    assert checks["system"]["ok"], checks["system"]
    assert system.url in checks["system"]["detail"]
    assert "asr" in checks["registry"]["detail"]
