"""What the page needs of others: LiveKit's browser client, which npm puts into `web/node_modules` by the lock there.

Without it the page talks over WebSocket, so who calls this tells the user why it is missing and goes on.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from antiphon.places import ROOT
from base.errors import Unavailable

WEB = ROOT / "web"
PACKAGE = "node_modules/livekit-client"
BUNDLE = f"{PACKAGE}/dist/livekit-client.esm.mjs"
LIMIT_S = 300.0


def ensure_livekit_client(web_dir: Path = WEB, *, npm: str | None = None, limit_s: float = LIMIT_S) -> Path:
    """The bundle, got through npm if it is not there in the lock's version. Blocks; seconds, when it has to be got.

    Raises Unavailable, whose message says why there is none and that the page goes on without it.
    """
    bundle = web_dir / BUNDLE
    if bundle.is_file() and _installed(web_dir) == _locked(web_dir):
        return bundle
    program = npm or shutil.which("npm")
    if program is None:
        raise _without("npm is not installed", "install Node.js with npm")
    if not (web_dir / "package-lock.json").is_file():
        raise _without(f"{web_dir} has no package-lock.json", "use a clone")
    try:
        done = subprocess.run(
            [program, "ci", "--omit=dev", "--no-progress", "--loglevel=error"],
            cwd=web_dir,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _without(f"npm took more than {limit_s:g} s", "try `npm ci` in web/") from None
    except OSError as error:
        raise _without(f"npm cannot be run: {error.strerror or error}", "try `npm ci` in web/") from None
    if done.returncode != 0 or not bundle.is_file():
        last = (done.stderr.strip() or done.stdout.strip() or "no bundle").splitlines()[-1][:200]
        raise _without(f"npm failed: {last}", "try `npm ci` in web/")
    return bundle


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
