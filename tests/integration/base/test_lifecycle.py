"""base.lifecycle in real processes: signals, steps, exit codes, and a parent that is gone."""

from __future__ import annotations

import asyncio
import gc
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from base import lifecycle
from base.errors import Misconfigured, Unavailable

pytestmark = pytest.mark.integration

SRC = Path(__file__).resolve().parents[3] / "src"

SERVICE = """
import asyncio, sys
from contextlib import asynccontextmanager
from base import lifecycle

def say(word):
    print(word, flush=True)

@asynccontextmanager
async def service(how):
    say("starting")
    if how == "slow start":
        await asyncio.sleep(600)
    async def drain():
        say("draining")
        if how in ("long drain", "short drain"):
            await asyncio.sleep(600)
    try:
        yield lifecycle.Serving("127.0.0.1:7", drain)
        say("stopping")
    finally:
        if how == "stuck":
            say("stuck")
            await asyncio.sleep(600)
        say("gone")

how = sys.argv[1]
if "orphan" in sys.argv:
    lifecycle.exit_with_parent(grace_s=0.2, poll_s=0.05)
run = lifecycle.serve("x", service(how), ready=say, drain_s=0.05 if how == "short drain" else 600)
sys.exit(lifecycle.main(run))
"""


def lines(process: subprocess.Popen[str]) -> queue.Queue[str | None]:
    """What the process says, line by line; None is the end of it."""
    said: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.put(line.strip())
        said.put(None)
        process.stdout.close()

    threading.Thread(target=read, daemon=True).start()
    return said


class Process:
    """The service above as a process; what it says is awaited word by word."""

    def __init__(self, *arguments: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", SERVICE, *arguments],
            env={**os.environ, "PYTHONPATH": str(SRC)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._said = lines(self.popen)

    def expect(self, *words: str) -> None:
        assert [self._said.get(timeout=30) for _ in words] == list(words)

    def send(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def code(self) -> int:
        return self.popen.wait(30)


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def make(*arguments: str) -> Process:
        started.append(Process(*arguments))
        return started[-1]

    yield make
    for process in started:
        process.popen.kill()
        process.popen.wait()
        assert process.popen.stdin is not None
        process.popen.stdin.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_drains_then_stops(start: Callable[..., Process], number: signal.Signals) -> None:
    process = start("good")
    process.expect("starting", "127.0.0.1:7")
    process.send(number)
    process.expect("draining", "stopping", "gone")
    assert process.code() == lifecycle.EXIT_OK


def test_the_second_signal_stops_at_once(start: Callable[..., Process]) -> None:
    process = start("long drain")
    process.expect("starting", "127.0.0.1:7")
    process.send(signal.SIGTERM)
    process.expect("draining")
    process.send(signal.SIGINT)
    process.expect("gone")
    assert process.code() == lifecycle.EXIT_STOPPED


def test_a_drain_is_bounded(start: Callable[..., Process]) -> None:
    process = start("short drain")
    process.expect("starting", "127.0.0.1:7")
    process.send(signal.SIGTERM)
    process.expect("draining", "stopping", "gone")
    assert process.code() == lifecycle.EXIT_OK


def test_the_third_signal_ends_a_stop_that_hangs(start: Callable[..., Process]) -> None:
    process = start("stuck")
    process.expect("starting", "127.0.0.1:7")
    process.send(signal.SIGTERM)
    process.expect("draining", "stopping", "stuck")
    process.send(signal.SIGTERM)
    process.send(signal.SIGINT)
    assert process.code() == lifecycle.EXIT_STOPPED


def test_a_signal_ends_a_start(start: Callable[..., Process]) -> None:
    process = start("slow start")
    process.expect("starting")
    process.send(signal.SIGTERM)
    assert process.code() == lifecycle.EXIT_OK


def test_the_end_of_the_parents_pipe_ends_the_process(start: Callable[..., Process]) -> None:
    process = start("good", "orphan")
    process.expect("starting", "127.0.0.1:7")
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    process.expect("draining", "stopping", "gone")
    assert process.code() == lifecycle.EXIT_OK


def test_an_orphan_that_hangs_is_ended(start: Callable[..., Process]) -> None:
    process = start("stuck", "orphan")
    process.expect("starting", "127.0.0.1:7")
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    assert process.code() == lifecycle.EXIT_ORPHANED


@pytest.mark.parametrize("stdin", ["subprocess.PIPE", "subprocess.DEVNULL"])
def test_a_parent_killed_outright_takes_its_child_along(stdin: str) -> None:
    """Noticed by the pipe, and by the parent's id where there is none."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess, sys\n"
            f"child = subprocess.Popen([sys.executable, '-c', {SERVICE!r}, 'good', 'orphan'], stdin={stdin})\n"
            f"child.wait()",
        ],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        stdout=subprocess.PIPE,
        text=True,
    )
    said = lines(parent)
    assert [said.get(timeout=30) for _ in range(2)] == ["starting", "127.0.0.1:7"]
    parent.kill()
    parent.wait(30)
    # The child holds the other end of our pipe too: the end of the output is the end of the child.
    assert list(iter(lambda: said.get(timeout=30), None)) == ["draining", "stopping", "gone"]


@asynccontextmanager
async def failing(error: BaseException) -> AsyncIterator[lifecycle.Serving]:
    async def drain() -> None: ...

    async def background() -> None:
        raise error

    async with asyncio.TaskGroup() as group:
        group.create_task(background())
        yield lifecycle.Serving("127.0.0.1:7", drain)


def test_what_a_service_dies_of_decides_the_exit_code() -> None:
    for error, code in (
        (Misconfigured("no such model"), lifecycle.EXIT_MISCONFIGURED),
        (Unavailable("no device"), lifecycle.EXIT_UNAVAILABLE),
        (TimeoutError("slow"), lifecycle.EXIT_FAULT),
        (RuntimeError("ours"), lifecycle.EXIT_FAULT),
    ):
        assert lifecycle.main(lifecycle.serve("x", failing(error))) == code


async def test_cancelling_stops_the_service() -> None:
    ready, gone = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def service() -> AsyncIterator[lifecycle.Serving]:
        async def drain() -> None: ...

        try:
            yield lifecycle.Serving("127.0.0.1:7", drain)
        finally:
            gone.set()

    task = asyncio.create_task(lifecycle.serve("x", service(), ready=lambda _: ready.set()))
    await asyncio.wait_for(ready.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone.is_set()


def test_what_a_settled_process_was_made_of_is_not_collected_again() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    lifecycle.settle()
    try:
        assert not any(x is cycle for x in gc.get_objects())
        later: list[object] = []
        later.append(later)
        assert any(x is later for x in gc.get_objects())
    finally:
        gc.unfreeze()
