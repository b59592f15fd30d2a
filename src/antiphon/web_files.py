"""What the page needs of others: LiveKit's browser client, which npm puts into `web/node_modules` by the lock there.

Without it the page talks over WebSocket, so who calls this tells the user why it is missing and goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from pathlib import Path

from antiphon.places import ROOT
from base.errors import Unavailable

WEB = ROOT / "web"
PACKAGE = "node_modules/livekit-client"
BUNDLE = f"{PACKAGE}/dist/livekit-client.esm.mjs"
LIMIT_S = 300.0


async def ensure_livekit_client(web_dir: Path = WEB, *, npm: str | None = None, limit_s: float = LIMIT_S) -> Path:
    """The bundle, got through npm if it is not there in the lock's version: seconds, then.

    Raises Unavailable, whose message says why there is none and that the page goes on without it. Cancelled, it leaves
    no npm behind.
    """
    bundle = web_dir / BUNDLE
    if _installed(web_dir) == _locked(web_dir) is not None and bundle.is_file():
        return bundle
    program = npm or shutil.which("npm")
    if program is None:
        raise _without("npm is not installed", "install Node.js with npm")
    if _locked(web_dir) is None:
        raise _without(f"{web_dir} has no package-lock.json", "use a clone")
    try:
        code, said = await _run(program, web_dir, limit_s)
    except TimeoutError:
        raise _without(f"npm took more than {limit_s:g} s", "try `npm ci` in web/") from None
    except OSError as error:
        raise _without(f"npm cannot be run: {error.strerror or error}", "try `npm ci` in web/") from None
    if code != 0 or not bundle.is_file():
        last = [line for line in said.splitlines() if line.strip()][-1:] or ["no bundle"]
        raise _without(f"npm failed: {last[0][:200]}", "try `npm ci` in web/")
    return bundle


async def _run(program: str, web_dir: Path, limit_s: float) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(program, "ci", "--omit=dev", "--no-progress", "--loglevel=error", "--fetch-retries=1"),
        cwd=web_dir,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limit_s):
            said, _ = await process.communicate()
        return process.returncode or 0, said.decode(errors="replace")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _without(why: str, remedy: str) -> Unavailable:
    return Unavailable(
        f"the page has no LiveKit client: {why}. It talks over WebSocket; for WebRTC, {remedy} and start again.",
        reason="NO_LIVEKIT_CLIENT",
    )


def _installed(web_dir: Path) -> str | None:
    return _version(web_dir / PACKAGE / "package.json", ())


def _locked(web_dir: Path) -> str | None:
    return _version(web_dir / "package-lock.json", ("packages", PACKAGE))


def _version(file: Path, keys: tuple[str, ...]) -> str | None:
    try:
        found = json.loads(file.read_text())
        for key in keys:
            found = found[key]
        return str(found["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
