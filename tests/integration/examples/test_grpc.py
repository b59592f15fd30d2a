"""The examples in Python, Go and Node, as their users run them: against a whole system, through its gRPC port."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import wave
from pathlib import Path

import pytest

from antiphon.wavs import write_wav
from base.audio import UPLINK_RATE
from benchmarks.speech import synthetic_speech
from tests.support.house import house

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "grpc"
QUESTION = "one two three four five six seven eight nine ten"
BUILD_S = 400.0
"""Go compiles gRPC the first time; from then on it is in its cache."""
RUN_S = 60.0


def needs(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI runs every example, and {tool} is not here")
        pytest.skip(f"{tool} is not here")
    return found


async def run(*command: str, cwd: Path, limit_s: float, **env: str) -> tuple[int, str, str]:
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | env
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=clean, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(limit_s):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(), err.decode()


async def built(*command: str, cwd: Path, **env: str) -> None:
    code, out, err = await run(*command, cwd=cwd, limit_s=BUILD_S, **env)
    assert code == 0, out + err


async def python(tmp_path: Path) -> list[str]:
    return [sys.executable, str(EXAMPLES / "python" / "talk.py")]


async def go(tmp_path: Path) -> list[str]:
    compiler = needs("go")
    here = EXAMPLES / "go"
    await built("./generate.sh", cwd=here, PROTOC=f"{sys.executable} -m grpc_tools.protoc")
    await built(compiler, "build", "-o", str(tmp_path / "talk"), ".", cwd=here)
    return [str(tmp_path / "talk")]


async def node(tmp_path: Path) -> list[str]:
    runtime, npm = needs("node"), needs("npm")
    here = EXAMPLES / "node"
    installed = here / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (here / "package-lock.json").stat().st_mtime:
        await built(npm, "ci", "--ignore-scripts", cwd=here)
    return [runtime, str(here / "talk.mjs")]


@pytest.mark.parametrize("language", [python, go, node], ids=lambda f: f.__name__)
async def test_it_asks_and_keeps_the_answer_and_can_interrupt(tmp_path: Path, language: object) -> None:
    assert callable(language)
    command = await language(tmp_path)
    write_wav(tmp_path / "question.wav", synthetic_speech(0.8), UPLINK_RATE)
    async with house() as here:

        async def talk(*flags: str, address: str = here.grpc) -> tuple[int, str, str]:
            return await run(
                *command, "--phrase", QUESTION, *flags, address, "question.wav", "reply.wav",
                cwd=tmp_path, limit_s=RUN_S,
            )  # fmt: skip

        code, out, err = await talk()
        assert code == 0, out + err
        assert f"you> {QUESTION}" in out
        assert "".join(re.findall(r"antiphon> (.*)", out)).split() == QUESTION.split()
        assert re.search(rf"heard: ['\"]{QUESTION}['\"], unheard: ['\"]{{2}} \(complete\)", out), out
        whole = frames(tmp_path / "reply.wav")

        code, out, err = await talk("--interrupt")
        assert code == 0, out + err
        assert "(interrupt)" in out
        assert 0 < frames(tmp_path / "reply.wav") < whole

        await here.wait_free()
        code, out, err = await talk(address="127.0.0.1:1")
        assert code == 1
        assert "unavailable" in err.lower()


def frames(path: Path) -> int:
    with wave.open(str(path)) as reply:
        assert (reply.getnchannels(), reply.getsampwidth(), reply.getframerate()) == (1, 2, 24_000)
        assert any(reply.readframes(reply.getnframes()))
        return reply.getnframes()


def test_the_locks_name_no_registry() -> None:
    assert "://" not in (EXAMPLES / "go" / "go.sum").read_text(encoding="utf-8")
    assert '"resolved"' not in (EXAMPLES / "node" / "package-lock.json").read_text(encoding="utf-8")
