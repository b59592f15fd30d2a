"""One process of ours: its pipes, its log, its end.

It leads a process group of its own, so that what it started goes with it, and so that a Ctrl-C at the terminal reaches
`up` alone, which then stops things in order. The pipe at its standard input is never written to: when `up` is gone,
however it went, the child reads its end there and stops (`--parent-watch`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

LOG_BYTES = 10_000_000
"""Of a log file; then it is set aside as `.1` and begun anew."""
TAIL_LINES = 12
_PIECE = 65_536


class LogFile:
    """Appends lines; keeps one older file. A disk that is full is no reason to stop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._size = 0
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._begin()

    def write(self, line: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._file is not None:
                self._file.write(line + b"\n")
                self._file.flush()
                self._size += len(line) + 1
                if self._size > LOG_BYTES:
                    self._begin()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        self._file = None

    def _begin(self) -> None:
        self.close()
        with contextlib.suppress(FileNotFoundError):
            os.replace(self._path, self._path.with_name(self._path.name + ".1"))
        self._file = self._path.open("ab")
        self._size = 0


class Child:
    """One life of one service. `run` starts it and returns its exit code once it and its group are gone."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: LogFile | None = None,
        on_ready: Callable[[str], None],
        on_line: Callable[[str, str], None] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._argv = argv
        self._log = log
        self._on_ready = on_ready
        self._on_line = on_line
        self._cwd = cwd
        self._process: asyncio.subprocess.Process | None = None
        self._asked: signal.Signals | None = None

    async def run(self) -> int:
        """Cancelled, it kills."""
        process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,
            cwd=self._cwd,
        )
        self._process = process
        if self._asked is not None:
            self._signal(self._asked)
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with asyncio.TaskGroup() as readers:
                readers.create_task(_lines(process.stdout, self._from_stdout))
                readers.create_task(_lines(process.stderr, self._from_stderr))
                code = await _exit_code(process)
                # What it leaves behind holds its pipes open, too.
                self._signal(signal.SIGKILL)
            return code
        finally:
            self._signal(signal.SIGKILL)
            await _exit_code(process)
            if process.stdin is not None:
                process.stdin.close()

    def terminate(self) -> None:
        """Asks it to finish; it looks after its own children. Asked while it starts, it is told once it is there."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """The whole group, at once."""
        self._signal(signal.SIGKILL)

    @property
    def pid(self) -> int | None:
        """While it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            self._asked = number
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if number is signal.SIGKILL:
                os.killpg(self._process.pid, number)
            elif self._process.returncode is None:
                self._process.send_signal(number)

    def _from_stdout(self, line: str) -> None:
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict) and isinstance(said.get("ready"), str):
                self._on_ready(said["ready"])
                return
        self._from_stderr(line)

    def _from_stderr(self, line: str) -> None:
        self.tail.append(line)
        if self._log is not None:
            self._log.write(line.encode())
        if self._on_line is not None:
            self._on_line(self.name, line)


async def _exit_code(process: asyncio.subprocess.Process) -> int:
    """`wait` alone is not enough: in some versions of Python it also waits for the pipes, which a grandchild holds."""
    while process.returncode is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await process.wait()
    return process.returncode


async def _lines(stream: asyncio.StreamReader, take: Callable[[str], None]) -> None:
    """Every line, however long: one beyond 64 KiB comes in pieces."""
    rest = b""
    while piece := await stream.read(_PIECE):
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _PIECE:
            lines.append(rest)
            rest = b""
        for line in lines:
            take(line.decode(errors="replace"))
    if rest:
        take(rest.decode(errors="replace"))
