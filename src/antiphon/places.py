"""Where things of ours lie: logs and small state go beside `src` in a clone, else where the user's state goes.

`ANTIPHON_VAR` names another place, for one who runs two systems and wants them apart.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from base.rpc_token import Token, read_token

ROOT = Path(__file__).resolve().parents[2]
"""The clone, when this runs from one."""


def var_dir(env: Mapping[str, str] | None = None) -> Path:
    """ANTIPHON_VAR names another place."""
    env = os.environ if env is None else env
    if env.get("ANTIPHON_VAR"):
        return Path(env["ANTIPHON_VAR"])
    if (ROOT / "antiphon").is_file() and os.access(ROOT, os.W_OK):
        return ROOT / "var"
    state = env.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "antiphon"


def own_command(here: Path | None = None) -> str:
    """What a user types, who is in the folder `here`, to run this program."""
    launcher = ROOT / "antiphon"
    if not launcher.is_file():
        return "antiphon"
    with contextlib.suppress(FileNotFoundError):  # the folder that the user is in has been deleted
        here = here or Path.cwd()
    return "./antiphon" if here == ROOT else shlex.quote(str(launcher))


def keys_file() -> Path:
    """The keys of the system that `up` runs."""
    return var_dir() / "keys.json"


@dataclass(frozen=True, slots=True)
class Running:
    """The system that `up` runs here; how other commands find it when it had to move to other ports.

    `lan` is the address for other devices, where there is one.
    """

    url: str
    registry: str
    pid: int
    lan: str = ""


class RunningFile:
    """Small files beside the logs, `running-PID.json`, one an `up`: the newest whose writer lives counts.

    One that cannot be read counts as none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or var_dir()

    def read(self) -> Running | None:
        newest_first = sorted(self._files(), key=_written, reverse=True)
        return next((running for path in newest_first if (running := _read(path))), None)

    def write(self, running: Running) -> None:
        """Raises OSError. Files of those who were killed go."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(running.pid)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(running)))
        os.replace(new, path)
        for old in self._files():
            if _read(old) is None:
                with contextlib.suppress(OSError):
                    old.unlink()

    def remove(self, pid: int) -> None:
        with contextlib.suppress(OSError):
            self._path(pid).unlink()

    def _path(self, pid: int) -> Path:
        return self._folder / f"running-{pid}.json"

    def _files(self) -> list[Path]:
        return list(self._folder.glob("running-*.json"))


def _read(path: Path) -> Running | None:
    """None also when the process that wrote it is gone."""
    try:
        kept = json.loads(path.read_text())
        running = Running(str(kept["url"]), str(kept["registry"]), int(kept["pid"]), str(kept.get("lan", "")))
        os.kill(running.pid, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return running


def _written(path: Path) -> float:
    """When; 0 for one that has gone meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


PAGE = "http://127.0.0.1:8765"
REGISTRY = "127.0.0.1:50050"


def page_of(given: str) -> str:
    """The system to talk to: the one that was named, else the one that `up` runs here, else the usual place."""
    if given:
        return given
    running = RunningFile().read()
    return running.url if running else PAGE


def registry_of(given: str) -> str:
    """Likewise for the registry."""
    if given:
        return given
    running = RunningFile().read()
    return running.registry if running else REGISTRY


WORKER_TOKEN = "ANTIPHON_WORKER_TOKEN_FILE"


def worker_token(env: Mapping[str, str] | None = None) -> Token:
    """What commands show to registry and workers: the token in the file that ANTIPHON_WORKER_TOKEN_FILE names.

    Without that variable none, which is right where `up` runs them. Raises Misconfigured.
    """
    env = os.environ if env is None else env
    return read_token(env.get(WORKER_TOKEN, ""), source=WORKER_TOKEN)
