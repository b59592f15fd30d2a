"""Antiphon's services as processes of their own, on free ports, for as long as a benchmark needs them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

START_S = 60.0
STOP_S = 10.0
SRC = Path(__file__).resolve().parent.parent / "src"


class Failed(Exception):
    """A process did not do what the benchmark needs. The message says which, and what it said last."""


@dataclass(slots=True)
class Process:
    """One started process that announced itself with a JSON line."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    address: str = ""
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait_ready(self) -> Process:
        self.said = self.read_line(START_S)
        self.address = str(self.said.get("ready", ""))
        return self

    def read_line(self, timeout_s: float) -> dict[str, Any]:
        """Its next line on stdout, JSON. Raises Failed when it ends or says nothing in time."""
        out = self.popen.stdout
        assert out is not None
        deadline = time.monotonic() + timeout_s
        line = bytearray()
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                raise Failed(f"{self.name} said nothing for {timeout_s:g} s; it logged last:\n{self.tail()}")
            piece = os.read(out.fileno(), 1)
            if not piece:
                code = self.popen.wait()
                raise Failed(f"{self.name} ended with {code}; it logged last:\n{self.tail()}")
            if piece == b"\n":
                found: dict[str, Any] = json.loads(line)
                return found
            line += piece

    def tail(self, lines: int = 12) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream is not None:
                stream.close()


class Stack:
    """Starts processes and stops them all at its end, the last one first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[Process] = []
        self._numbers = itertools.count()
        self.orchestrator: Process
        self.registry: Process
        self.voice: Process
        self.ear: Process
        self.voice_metrics = 0

    def service(self, name: str, *flags: str) -> Process:
        """`python -m antiphon NAME flags`, once it serves."""
        return self.launch(name, *flags).wait_ready()

    def launch(self, name: str, *flags: str) -> Process:
        """The same, while it starts."""
        return self._run(name, "-m", "antiphon", name, "--announce-ready", "--parent-watch", "--port", "0", *flags)

    def start(self, name: str, *arguments: str) -> Process:
        """A Python of ours, once its first line on stdout, JSON, said that it is ready."""
        return self._run(name, *arguments).wait_ready()

    def _run(self, name: str, *arguments: str) -> Process:
        log = self._folder / f"{next(self._numbers)}-{name}.log"
        process = Process(name, _popen(arguments, log.open("wb")), log)
        self._running.append(process)
        return process

    def stop(self, process: Process) -> None:
        self._running.remove(process)
        process.stop()

    def stop_all(self) -> None:
        while self._running:
            self._running.pop().stop()

    def running(self) -> list[Process]:
        return list(self._running)

    def logged(self, process: Process) -> list[dict[str, object]]:
        """Its log, where a line is JSON."""
        lines = []
        for line in process.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict):
                    lines.append(found)
        return lines


def _popen(arguments: tuple[str, ...], log: IO[bytes]) -> subprocess.Popen[bytes]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("ANTIPHON_")}
    with log:
        return subprocess.Popen(
            [sys.executable, "-P", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**env, "PYTHONPATH": os.pathsep.join((str(SRC), str(SRC.parent)))},
            cwd=log_folder(log),
            start_new_session=True,
        )


def log_folder(log: IO[bytes]) -> str:
    """Away from any antiphon.toml: settings are the benchmark's own."""
    return os.path.dirname(log.name)


@contextlib.contextmanager
def processes() -> Iterator[Stack]:
    """An empty stack, for processes that are none of Antiphon's."""
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as folder:
        made = Stack(Path(folder))
        try:
            yield made
        finally:
            made.stop_all()


@contextlib.contextmanager
def stack(
    *, engine: str = "sine", ear: str = "scripted", detector: str = "webrtc", orchestrator: tuple[str, ...] = ()
) -> Iterator[Stack]:
    """Registry, one worker of each kind and an orchestrator that knows them; `detector` as a plain install has it."""
    with processes() as made:
        made.registry = made.service("registry")
        where = ("--registry", made.registry.address)
        made.voice_metrics = free_port()
        measured = ("--metrics-port", str(made.voice_metrics))
        many = ("--decoders", "128") if ear == "scripted" else ()
        flags = (
            "--responder",
            "client",
            "--max-sessions",
            "200",
            "--grace-s",
            "0",
            "--detector",
            detector,
            *orchestrator,
        )
        made.voice = made.launch("tts-worker", "--engine", engine, "--slots", "128", *measured, *where)
        made.ear = made.launch("asr-worker", "--engine", ear, *many, *where)
        made.orchestrator = made.launch("orchestrator", "--grpc-port", "-1", *where, *flags)
        for process in (made.voice, made.ear, made.orchestrator):
            process.wait_ready()
        _wait_for_workers(made)
        yield made


def _wait_for_workers(made: Stack) -> None:
    """An orchestrator can be there before the news of its workers is."""
    deadline = time.monotonic() + START_S
    while True:
        kinds = {worker["kind"] for worker in get_json(made.orchestrator.address, "/v1/workers")}
        if {"tts", "asr"} <= kinds:
            return
        if time.monotonic() > deadline:
            raise Failed(f"the orchestrator knows only {sorted(kinds) or 'no'} workers; they started, though")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(address: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return str(answer.read().decode())


def get_json(address: str, path: str) -> list[dict[str, str]]:
    found = json.loads(get(address, path))
    return found if isinstance(found, list) else next(iter(found.values()))


def metrics(address: str) -> dict[str, float]:
    """A service's /metrics: "name{labels}" to value."""
    found = {}
    for line in get(address, "/metrics").splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found
