"""Where things of ours lie: logs and small state go beside `src` in a clone, else where the user's state goes.

`ANTIPHON_VAR` names another place, for one who runs two systems and wants them apart.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

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
    return "./antiphon" if (here or Path.cwd()) == ROOT else str(launcher)


@dataclass(frozen=True, slots=True)
class Running:
    """The system that `up` runs here; how other commands find it when it had to move to other ports."""

    url: str
    registry: str
    pid: int


class RunningFile:
    """A small file beside the logs. One that cannot be read or written counts as none."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or var_dir() / "running.json"

    def read(self) -> Running | None:
        """None also when the process that wrote it is gone."""
        try:
            kept = json.loads(self._path.read_text())
            running = Running(str(kept["url"]), str(kept["registry"]), int(kept["pid"]))
            os.kill(running.pid, 0)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return running

    def write(self, running: Running) -> None:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = self._path.with_suffix(f".{os.getpid()}")
            new.write_text(json.dumps(asdict(running)))
            os.replace(new, self._path)

    def remove(self, pid: int) -> None:
        """If it is still that process's: another `up` may have written its own since."""
        running = self.read()
        if running is not None and running.pid == pid:
            with contextlib.suppress(OSError):
                self._path.unlink()


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
