"""Opening a page in the user's browser, where there is one. Never a text browser in the terminal we are in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping


def opener(env: Mapping[str, str] | None = None, platform: str = sys.platform) -> list[str] | None:
    """The command that opens an address, or None where there is no browser to open it in."""
    env = os.environ if env is None else env
    if platform == "darwin":
        return ["open"]
    for name in ("wslview", "explorer.exe"):
        if "WSL_DISTRO_NAME" in env and (found := shutil.which(name)):
            return [found]
    if env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"):
        found = shutil.which("xdg-open")
        return [found] if found else None
    return None


def open_page(url: str) -> bool:
    """Starts the browser and does not wait for it; False where that is not possible."""
    command = opener()
    if command is None:
        return False
    try:
        subprocess.Popen(
            [*command, url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    return True
