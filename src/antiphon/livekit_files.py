"""The program livekit-server: where it is, how it is built, and the other ways to get it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from antiphon.places import own_command, var_dir
from base.errors import Misconfigured, Unavailable

VERSION = "1.13.5"
"""The newest that `go install` takes: those after it have `replace` lines in their go.mod."""
PACKAGE = "github.com/livekit/livekit-server/cmd/server"
BUILT = "server"
"""As Go calls it, after its folder; so do other tools, whence a folder of its own."""
PROGRAM = "livekit-server"
OTHER_WAYS = (
    "`brew install livekit` on a Mac, else a release of github.com/livekit/livekit, or its image livekit/livekit-server"
)
NO_GO = (
    f"Go is not installed, which builds livekit-server {VERSION} (Debian: apt install golang, or go.dev/dl for a newer "
    f"one). Without it: {OTHER_WAYS}; put {PROGRAM} on the PATH"
)

_VERSION = re.compile(r"version (\d+\.\d+\.\d+\S*)")

Progress = Callable[[int, str], None]
"""Packages compiled so far, the one that was last."""


@dataclass(frozen=True, slots=True)
class Built:
    path: Path
    version: str
    was_there: bool


def folder(into: Path | None = None) -> Path:
    """Where what we built lies."""
    return (into or var_dir()) / f"livekit-{VERSION}"


def find(named: str = "") -> Path | None:
    """What the setting names, else what is on the PATH, else what we built. Raises Misconfigured for a wrong name."""
    if named:
        found = shutil.which(named)
        if found is None:
            raise Misconfigured(f"livekit_server names {named!r}, which is no program", reason="NO_LIVEKIT_SERVER")
        return Path(found)
    if found := shutil.which(PROGRAM):
        return Path(found)
    built = folder() / BUILT
    return built if os.access(built, os.X_OK) else None


def how_to_get() -> str:
    """In a line."""
    if shutil.which("go"):
        return f"{own_command()} livekit get builds it"
    return f"{own_command()} livekit get builds it where Go is; or {OTHER_WAYS}"


def client_is_here() -> bool:
    """Whether what talks to LiveKit is installed."""
    try:
        return importlib.util.find_spec("livekit.protocol") is not None
    except ModuleNotFoundError:
        return False


def version_of(program: Path) -> str:
    """Raises Unavailable for one that does not run."""
    try:
        said = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{program} does not run: {error}") from error
    found = _VERSION.search(said)
    return found[1] if found else said.strip()[:80]


def build(into: Path | None = None, *, progress: Progress = lambda *_: None) -> Built:
    """Builds it with Go, unless it is there. Raises Unavailable without Go, or with what Go said."""
    target = folder(into)
    program = target / BUILT
    with suppress(Unavailable):
        if program.exists() and version_of(program) == VERSION:
            return Built(program, VERSION, was_there=True)
    go = shutil.which("go")
    if go is None:
        raise Unavailable(NO_GO, reason="NO_GO")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as part:
            _install(go, Path(part), progress)
            target.mkdir(parents=True, exist_ok=True)
            os.replace(Path(part) / BUILT, program)
    except OSError as error:
        raise Unavailable(f"livekit-server cannot be kept in {target}: {error.strerror or error}") from error
    return Built(program, version_of(program), was_there=False)


def _install(go: str, into: Path, progress: Progress) -> None:
    # No C compiler is needed, nor debug symbols; the user's own GOFLAGS and GOPROXY count.
    env = {**os.environ, "GOBIN": str(into), "CGO_ENABLED": "0"}
    env.pop("GOOS", None)
    env.pop("GOARCH", None)
    command = [go, "install", "-v", "-trimpath", "-ldflags=-s -w", f"{PACKAGE}@v{VERSION}"]
    last: deque[str] = deque(maxlen=8)
    count = 0
    with subprocess.Popen(
        command,
        env=env,
        cwd=into,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                said = line.strip()
                if " " in said or not said:
                    # "go: downloading …", or an error; packages are bare names.
                    last.append(said)
                else:
                    count += 1
                progress(count, said)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        why = "; ".join(line for line in last if line) or f"exit code {process.returncode}"
        raise Unavailable(f"go could not build livekit-server {VERSION}: {why}", reason="BUILD_FAILED")
