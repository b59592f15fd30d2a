"""`up --livekit`: a livekit-server beside the others, the orchestrator registered with it, and nothing left of it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.support import livekit
from tests.support.system import System, running, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def registered(system: System) -> bool:
    return json.loads(system.read("/readyz")).get("livekit") == "registered"


def folders(where: Path) -> list[Path]:
    return list(where.glob("antiphon-livekit-*"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_it_is_registered_and_nothing_is_left(tmp_path: Path, how: signal.Signals) -> None:
    livekit.require()
    binary = livekit.binary()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    flags = ["--livekit", "--livekit-port", "0", "--livekit-server", str(binary)]
    with running(tmp_path, *flags, TMPDIR=str(temporary)) as system:
        up = system.wait_event(lambda e: e["event"] == "up", "address")
        assert up["livekit"].startswith("ws://127.0.0.1:")
        assert until(lambda: registered(system)), system.said()
        (folder,) = folders(temporary)
        secret = (folder / "livekit-keys.yaml").read_text().partition(": ")[2].strip()
        assert len(secret) >= 32
        assert len([p for p in system.look().processes if str(binary)[-60:] in p]) >= 1
        os.killpg(system.process.pid, how)
        assert system.wait() == (0 if how is signal.SIGINT else -signal.SIGKILL), system.said()
        assert not system.wait_gone(), system.said()
        assert folders(temporary) == []
        logs = "".join(file.read_text(errors="replace") for file in (tmp_path / "log").glob("*.log"))
        assert secret not in logs
        assert how is signal.SIGKILL or not system.complaints()


def test_without_the_program_it_says_what_helps_and_serves(tmp_path: Path) -> None:
    path = f"{tmp_path}:/usr/bin:/bin"
    with running(tmp_path, "--livekit", PATH=path) as system:
        up = system.wait_event(lambda e: e["event"] == "up", "address")
        assert "livekit" not in up
        assert "livekit get" in (tmp_path / "stderr").read_text()
        assert json.loads(system.read("/readyz"))["livekit"] == "off"
