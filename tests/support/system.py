"""`antiphon up` as a user runs it: one tree of real processes, on free ports, and the proof that nothing of it is left.

Every process of the tree carries a mark in its environment, which it inherits and cannot lose: so one that left its
group, or whose parent is gone, is found as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

SRC = Path(__file__).resolve().parents[2] / "src"
LIMIT_S = 60.0
LOOK_S = 0.05
_MARK = "E2E_TREE"
_REMARK = re.compile(r"I\d{4} ")
"""A line that gRPC's C core writes for its own information."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is there, or still there."""

    processes: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.processes or self.ports)


@dataclass
class System:
    """See the module; made by `running`."""

    process: subprocess.Popen[bytes]
    mark: str
    folder: Path
    events: list[dict[str, Any]] = field(default_factory=list)
    """What it said on stdout, in order."""
    ports: set[int] = field(default_factory=set)
    """Those that it was seen to listen on."""
    _news: threading.Condition = field(default_factory=threading.Condition)

    # --- what it says ------------------------------------------------------------------------------------------------

    def wait_event(
        self, matches: Callable[[dict[str, Any]], bool], what: str, limit_s: float = LIMIT_S
    ) -> dict[str, Any]:
        """The first event that matches, past or to come."""

        def found() -> dict[str, Any] | None:
            return next((e for e in list(self.events) if matches(e)), None)

        with self._news:
            self._news.wait_for(lambda: found() is not None or self.process.poll() is not None, limit_s)
        event = found()
        assert event is not None, f"no {what} in {limit_s:g} s; it said {self.events[-5:]}\n{self.said()}"
        return event

    @property
    def url(self) -> str:
        return str(self.wait_event(lambda e: e["event"] == "up", "address")["url"])

    @property
    def grpc(self) -> str:
        """Address of the gRPC door."""
        return str(self.wait_event(lambda e: e["event"] == "up", "address")["grpc"])

    @property
    def registry(self) -> str:
        ready = self.wait_event(lambda e: e["event"] == "ready" and e["name"] == "registry", "registry")
        return str(ready["address"])

    def pid(self, name: str) -> int:
        """Of a service, as `up` first told it."""
        return int(self.wait_event(lambda e: e["event"] == "up", "address")["pids"][name])

    def said(self) -> str:
        """Its stderr and the ends of the services' logs, for a test that failed."""
        parts = []
        for file in [self.folder / "stderr", *sorted((self.folder / "log").glob("*.log"))]:
            with contextlib.suppress(OSError):
                lines = file.read_text(errors="replace").splitlines()[-12:]
                parts.append("\n".join([f"--- {file.name}", *(line[:500] for line in lines)]))
        return "\n".join(parts)

    def read(self, path: str) -> str:
        """A GET to the orchestrator."""
        with urllib.request.urlopen(self.url + path, timeout=LIMIT_S) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """Of the orchestrator, the sum over all its labels."""
        lines = [x for x in self.read("/metrics").splitlines() if x.startswith((name + " ", name + "{"))]
        assert lines, f"no metric {name}"
        return sum(float(x.rpartition(" ")[2]) for x in lines)

    def workers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.read("/v1/workers"))
        return found

    def logged(self, service: str, event: str, field: str) -> set[Any]:
        """All values of a field in the lines of a kind."""
        lines = (self.folder / "log" / f"{service}.log").read_text(errors="replace").splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return {line.get(field) for line in found if line["event"] == event}

    def complaints(self) -> list[str]:
        """Lines of the logs that nobody should have to read after a run without a fault."""
        found = []
        for file in sorted((self.folder / "log").glob("*.log")):
            for line in file.read_text(errors="replace").splitlines():
                ours = line.startswith("{")
                if '"level": "error"' in line if ours else not _REMARK.match(line):
                    found.append(f"{file.name}: {line}")
        return found

    # --- what it is --------------------------------------------------------------------------------------------------

    def tree(self) -> list[psutil.Process]:
        """All its processes that live, whoever their parents are."""
        return [p for p in psutil.process_iter() if _lives(p) and _environment(p).get(_MARK) == self.mark]

    def look(self) -> Left:
        """All its processes and the ports they listen on, which it is to have given up at its end."""
        tree = self.tree()
        for process in tree:
            with contextlib.suppress(psutil.Error):
                listening = (c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN)
                self.ports.update(c.laddr.port for c in listening)
        return Left(tuple(_words(p) for p in tree), tuple(sorted(self.ports)))

    def left(self) -> Left:
        return Left(tuple(_words(p) for p in self.tree()), tuple(p for p in sorted(self.ports) if _answers(p)))

    # --- its end -----------------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Ctrl-C at its terminal: to the whole of the foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Its exit code."""
        return self.process.wait(limit_s)

    def stop(self) -> int:
        """Ctrl-C; returns its exit code once it has ended, having seen what it had."""
        self.look()
        self.interrupt()
        return self.wait()

    def wait_gone(self, limit_s: float = LIMIT_S) -> Left:
        """What is left when nothing more goes away: nothing, it is hoped."""
        until(lambda: not self.left(), limit_s)
        return self.left()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()
        self.process.wait()
        with self._news:
            self._news.notify_all()


@contextlib.contextmanager
def running(folder: Path, *flags: str, ears: str = "pocketsphinx", **env: str) -> Iterator[System]:
    """`up`, all as it is by default but for free ports and a folder of its own. Kills what is left of it.

    What it hears with by default depends on what is installed: so it is said here, where its own file does not say it;
    `ears=""` leaves it to `up`.
    """
    mark = uuid.uuid4().hex
    file = folder / "antiphon.toml"
    said = file.exists() and "[asr_worker]" in file.read_text()
    engine = {} if said or not ears else {"ANTIPHON_ASR_WORKER_ENGINE": ears}
    command = ["up", "--json", "--open", "no", "--llm", "none"]
    for flag in ("--port", "--grpc-port"):
        if flag not in flags:
            command += [flag, "0"]
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "antiphon", *command, "--registry-port", "0", *flags],
            cwd=folder,
            env=_clean(os.environ) | {"PYTHONPATH": str(SRC), "ANTIPHON_VAR": str(folder), _MARK: mark} | engine | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    system = System(process, mark, folder)
    reader = threading.Thread(target=system._read, daemon=True)
    reader.start()
    try:
        yield system
    finally:
        for left in system.tree():
            with contextlib.suppress(psutil.Error):
                left.kill()
        process.wait()
        reader.join(LIMIT_S)
        assert process.stdout is not None
        process.stdout.close()


def antiphon(*arguments: str, cwd: Path, limit_s: float = LIMIT_S, **env: str) -> subprocess.CompletedProcess[str]:
    """The command line, as another process than the `up` in the same folder, which it finds by itself."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "antiphon", *arguments],
        cwd=cwd,
        env=_clean(os.environ) | {"PYTHONPATH": str(SRC), "ANTIPHON_VAR": str(cwd)} | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit_s,
    )


def until(holds: Callable[[], bool], limit_s: float = LIMIT_S) -> bool:
    """Waits for it; returns whether it came."""
    deadline = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_S)
    return True


def _clean(environment: Any) -> dict[str, str]:
    """Without what a user of this machine may have set."""
    return {k: v for k, v in environment.items() if not k.startswith("ANTIPHON_")}


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _environment(process: psutil.Process) -> dict[str, str]:
    with contextlib.suppress(psutil.Error, OSError):
        found: dict[str, str] = process.environ()
        return found
    return {}


def _words(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[-120:]}"
    return str(process.pid)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
