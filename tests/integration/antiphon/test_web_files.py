"""LiveKit's client for the page: there already, got, or why not. Programs of the tests stand in for npm."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from antiphon.web_files import BUNDLE, PACKAGE, WEB, ensure_livekit_client
from base.errors import Unavailable

pytestmark = pytest.mark.integration


def folder(place: Path, *, locked: str = "2.23.0", installed: str = "") -> Path:
    """A page's folder with its lock, and what was installed before."""
    lock = {"packages": {PACKAGE: {"version": locked}}}
    (place / "package-lock.json").write_text(json.dumps(lock))
    if installed:
        (place / BUNDLE).parent.mkdir(parents=True)
        (place / BUNDLE).write_text("export {};")
        (place / PACKAGE / "package.json").write_text(json.dumps({"version": installed}))
    return place


def npm(place: Path, script: str) -> str:
    """A program in npm's place."""
    program = place / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


async def test_what_is_there_in_the_lock_s_version_is_not_got_again(tmp_path: Path) -> None:
    web = folder(tmp_path, installed="2.23.0")
    assert await ensure_livekit_client(web, npm=npm(tmp_path, "exit 1")) == web / BUNDLE


async def test_another_version_is_got_by_the_lock(tmp_path: Path) -> None:
    web = folder(tmp_path, installed="2.22.0")
    assert await ensure_livekit_client(web, npm=npm(tmp_path, 'echo "$@" > asked')) == web / BUNDLE
    assert (tmp_path / "asked").read_text().startswith("ci --omit=dev")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'npm error code E404' >&2; exit 1", "npm failed: npm error code E404"),
        ("exit 0", "npm failed: no bundle"),
        ("sleep 60", "took more than"),
    ],
)
async def test_why_there_is_none_is_told(tmp_path: Path, script: str, why: str) -> None:
    with pytest.raises(Unavailable, match=why) as told:
        await ensure_livekit_client(folder(tmp_path), npm=npm(tmp_path, script), limit_s=1.0)
    assert "talks over WebSocket" in told.value.message


async def test_without_npm_or_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="no package-lock"):
        await ensure_livekit_client(tmp_path, npm="/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="npm is not installed"):
        await ensure_livekit_client(folder(tmp_path))


async def test_cancelled_it_leaves_nothing_behind(tmp_path: Path) -> None:
    getting = asyncio.create_task(ensure_livekit_client(folder(tmp_path), npm=npm(tmp_path, "echo $$ > pid; sleep 60")))
    async with asyncio.timeout(10):
        while not (tmp_path / "pid").exists() or not (pid := (tmp_path / "pid").read_text().strip()):
            await asyncio.sleep(0.01)
    getting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await getting
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_the_lock_names_no_addresses() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text())
    wanted = json.loads((WEB / "package.json").read_text())["dependencies"]["livekit-client"]
    assert lock["packages"][PACKAGE]["version"] == wanted
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
