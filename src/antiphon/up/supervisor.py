"""The driver of `up`: carries out the plan's commands on real processes and tells it what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from antiphon.up.child import Child, LogFile
from antiphon.up.plan import Command, Crashed, Finish, Kill, Phase, Plan, Policy, Service, Start, Terminate

CANNOT_START = 127


@dataclass(frozen=True, slots=True)
class Program:
    """A service and the command that runs it, given where the others are. `argv` is asked at every start.

    `excuse(code)`: whether an exit with this code is worth another try although its code says that it is not.
    """

    service: Service
    argv: Callable[[Mapping[str, str]], Sequence[str]]
    excuse: Callable[[int], bool] = lambda _code: False


class Watcher(Protocol):
    """Who is told; all at once, none may wait."""

    def ready(self, name: str, address: str, *, again: bool) -> None: ...

    def crashed(self, crash: Crashed, tail: Sequence[str]) -> None: ...

    def stopping(self, *, hurried: bool) -> None: ...

    def line(self, name: str, line: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Ready:
    name: str
    life: int
    address: str


@dataclass(frozen=True, slots=True)
class _Exited:
    name: str
    life: int
    code: int


class Supervisor:
    """`run` returns the exit code once no process is left; `stop_nowait` asks for that, and said twice, insists.

    `log_dir` None: no logs are kept.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        watcher: Watcher,
        *,
        log_dir: Path | None,
        policy: Policy | None = None,
        jitter: Callable[[], float] = random.random,
        cwd: Path | None = None,
    ) -> None:
        self._programs = {p.service.name: p for p in programs}
        self._watcher = watcher
        self._log_dir = log_dir
        self._cwd = cwd
        self._plan = Plan(tuple(p.service for p in programs), policy or Policy(), jitter)
        # Bounded by what can happen: two pieces of news a life, few stops.
        self._inbox: asyncio.Queue[_Ready | _Exited | int] = asyncio.Queue(1024)
        self._children: dict[str, tuple[int, Child]] = {}
        self._logs: dict[str, LogFile] = {}
        self._seen: set[str] = set()
        self._stops = 0
        self._code: int | None = None

    def stop_nowait(self, code: int = 0) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._inbox.put_nowait(code)

    def phases(self) -> dict[str, Phase]:
        return {name: self._plan.phase(name) for name in self._programs}

    def pids(self) -> dict[str, int]:
        """Of the processes that run now."""
        return {n: c.pid for n, (_, c) in self._children.items() if c.pid is not None}

    async def run(self) -> int:
        folder = self._log_dir
        self._logs = {name: LogFile(folder / f"{name}.log") for name in self._programs} if folder is not None else {}
        try:
            # Cancelled or failed, the group cancels each child's task, and that kills the child.
            async with asyncio.TaskGroup() as tasks:
                self._carry_out(self._plan.start(time.monotonic()), tasks)
                while self._code is None:
                    event = await self._next()
                    self._carry_out(self._handle(event, time.monotonic()), tasks)
        finally:
            for log in self._logs.values():
                log.close()
        return self._code

    async def _next(self) -> _Ready | _Exited | int | None:
        """None: a deadline came first."""
        deadline = self._plan.next_deadline()
        wait_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            async with asyncio.timeout(wait_s):
                return await self._inbox.get()
        except TimeoutError:
            return None

    def _handle(self, event: _Ready | _Exited | int | None, now: float) -> list[Command]:
        match event:
            case None:
                return self._plan.handle_timer(now)
            case _Ready(name, life, address):
                before = self._plan.phase(name)
                commands = self._plan.ready(name, life, address, now)
                if before is not Phase.READY and self._plan.phase(name) is Phase.READY:
                    self._watcher.ready(name, address, again=name in self._seen)
                    self._seen.add(name)
                return commands
            case _Exited(name, life, code):
                excused = code if not self._programs[name].excuse(code) else 1
                return self._plan.exited(name, life, excused, now)
            case int(code):
                self._stops += 1
                self._watcher.stopping(hurried=self._stops > 1)
                return self._plan.stop(now, code=code)

    def _carry_out(self, commands: list[Command], tasks: asyncio.TaskGroup) -> None:
        for command in commands:
            match command:
                case Start(name, life):
                    tasks.create_task(self._live(name, life))
                case Terminate(name, life):
                    if child := self._child(name, life):
                        child.terminate()
                case Kill(name, life):
                    if child := self._child(name, life):
                        child.kill()
                case Crashed(name):
                    _, child = self._children[name]
                    self._watcher.crashed(command, list(child.tail))
                case Finish(code):
                    self._code = code

    def _child(self, name: str, life: int) -> Child | None:
        known = self._children.get(name)
        return known[1] if known is not None and known[0] == life else None

    async def _live(self, name: str, life: int) -> None:
        addresses = {n: self._plan.address(n) for n in self._programs}
        child = Child(
            name,
            self._programs[name].argv(addresses),
            log=self._logs.get(name),
            on_ready=lambda address: self._tell(_Ready(name, life, address)),
            on_line=self._watcher.line,
            cwd=self._cwd,
        )
        self._children[name] = (life, child)
        try:
            code = await child.run()
        except OSError as error:
            child.tail.append(f"cannot start {name}: {error}")
            code = CANNOT_START
        self._tell(_Exited(name, life, code))

    def _tell(self, event: _Ready | _Exited) -> None:
        self._inbox.put_nowait(event)
