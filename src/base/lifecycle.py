"""A service's life in named steps: start, ready, drain, stop.

A service is an async context manager: entering starts it and yields `Serving`, leaving stops it. `serve` runs it until
a signal. The first SIGTERM or SIGINT drains: what runs may finish, nothing new begins; it is bounded by `drain_s`. The
second stops at once. The third ends the process on the spot, for a stop that hangs.

A process that must not outlive its parent calls `exit_with_parent()` first: it watches the pipe at its standard input
and its parent's id, so that it notices also a parent that was killed with SIGKILL, on Linux and macOS alike.
"""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import stat
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop

from base.errors import AntiphonError, Misconfigured, Unavailable
from base.log import get_logger

EXIT_OK = 0
EXIT_FAULT = 1
"""Our own fault; the log says more."""
EXIT_USAGE = 2
"""The command line was not understood."""
EXIT_UNAVAILABLE = 69
"""Something that is needed is not there (sysexits EX_UNAVAILABLE)."""
EXIT_WEDGED = 75
"""A device or library hangs and only a new process helps: restart me (EX_TEMPFAIL)."""
EXIT_MISCONFIGURED = 78
"""A setting is wrong, and starting again will not help (EX_CONFIG)."""
EXIT_STOPPED = 130
"""Stopped at once, by a second signal."""
EXIT_ORPHANED = 131
"""The parent is gone and stopping took too long."""

log = get_logger("lifecycle")


@dataclass(frozen=True, slots=True)
class Serving:
    """A started service: where it can be reached ("host:port"), and how it finishes what it has begun.

    One that may want to end by itself sets `over`, and is drained and stopped as by a signal; `exit_code` says why.
    `others` are its further addresses, by what is spoken there.
    """

    address: str
    drain: Callable[[], Awaitable[None]]
    over: asyncio.Event | None = None
    exit_code: Callable[[], int] = lambda: EXIT_OK
    others: Mapping[str, str] = field(default_factory=dict)


async def serve(
    name: str,
    service: AbstractAsyncContextManager[Serving],
    *,
    ready: Callable[[str], None] | None = None,
    drain_s: float = 30.0,
) -> int:
    """Runs `service` until a signal; returns the exit code. One a process at a time: signals are the process's.

    A signal that comes while the service starts ends the start. Cancelling `serve` stops the service at once. What the
    service raises, `serve` raises.
    """
    log.info("service.start", service=name)
    try:
        # A timeout that never comes by itself is a scope that a signal can cancel.
        async with asyncio.timeout(None) as scope:
            with stop_signals(scope) as signals:
                async with service as serving:
                    signals.serving = True
                    log.info("service.ready", service=name, address=serving.address, **serving.others)
                    if ready is not None:
                        ready(serving.address)
                    await _first(signals.asked, serving.over)
                    log.info("service.drain", service=name, at_most_s=drain_s)
                    if not await _drain(serving, drain_s):
                        log.warning("service.drain_cut", service=name, after_s=drain_s)
                    signals.stopping = True
                    log.info("service.stop", service=name)
    except TimeoutError:
        if not scope.expired():
            raise
        log.info("service.stopped_at_once", service=name, was_serving=signals.serving)
        return EXIT_STOPPED if signals.serving else EXIT_OK
    log.info("service.stopped", service=name)
    return serving.exit_code()


async def _first(*events: asyncio.Event | None) -> None:
    """Until one of them is set."""
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(event.wait()) for event in events if event is not None]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()


async def _drain(serving: Serving, drain_s: float) -> bool:
    """Whether it finished in time."""
    limit = asyncio.timeout(drain_s)
    try:
        async with limit:
            await serving.drain()
    except TimeoutError:
        if not limit.expired():
            raise
        return False
    return True


class StopSignals:
    """What the signals asked for so far, and where the service is in its life."""

    def __init__(self, scope: asyncio.Timeout) -> None:
        self.asked = asyncio.Event()
        self.serving = False
        self.stopping = False
        self._scope = scope
        self._count = 0

    def request(self) -> None:
        """One SIGTERM or SIGINT."""
        self._count += 1
        self.asked.set()
        if self._count >= 3:
            os._exit(EXIT_STOPPED)
        if (self._count == 2 or not self.serving) and not self.stopping and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())


@contextmanager
def stop_signals(scope: asyncio.Timeout) -> Iterator[StopSignals]:
    """Takes over SIGTERM and SIGINT while it is open. Off the main thread there are no signals to take."""
    signals = StopSignals(scope)
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    for number in numbers:
        loop.add_signal_handler(number, signals.request)
    try:
        yield signals
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


# --- the process -----------------------------------------------------------------------------------------------------


def main(service: Coroutine[Any, Any, int]) -> int:
    """Runs a service's `run(...)` as the whole process, on uvloop; logs what it raises; returns the exit code."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(service)
    except KeyboardInterrupt:
        return EXIT_STOPPED
    except Exception as error:
        code = exit_code(error)
        said = _leaf(error)
        if isinstance(said, AntiphonError) and code != EXIT_FAULT:
            log.error("service.failed", reason=said.reason, message=said.message)
        else:
            log.error("service.failed", exc_info=error)
        return code


def settle() -> None:
    """What a process has made until it serves stays for good: the collector of cycles need not look at it again.

    A full collection stops the event loop, for 60 to 110 ms in an orchestrator with fifty sessions whose modules it
    looks through as well, and for a few without them.
    """
    gc.collect()
    gc.freeze()


def exit_code(error: BaseException) -> int:
    """The exit code that says what `error` means to whoever started the process."""
    leaf = _leaf(error)
    if isinstance(leaf, Misconfigured):
        return EXIT_MISCONFIGURED
    if isinstance(leaf, Unavailable):
        return EXIT_UNAVAILABLE
    return EXIT_STOPPED if isinstance(leaf, KeyboardInterrupt) else EXIT_FAULT


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def exit_with_parent(*, grace_s: float = 5.0, poll_s: float = 0.5) -> None:
    """From now on the process ends when its parent does, however that ends.

    A daemon thread waits for the end of the pipe at standard input (if there is one: the parent holds the other end and
    writes nothing) and looks at the parent's id every `poll_s`. Then it sends SIGTERM, after `grace_s` SIGTERM again,
    and after `grace_s` more it ends the process with EXIT_ORPHANED.
    """
    threading.Thread(target=_watch_parent, args=(os.getppid(), grace_s, poll_s), name="parent", daemon=True).start()


def _watch_parent(parent: int, grace_s: float, poll_s: float) -> None:
    pipe = _stdin_pipe()
    gone = threading.Event()
    while os.getppid() == parent:
        if pipe is None:
            gone.wait(poll_s)
        elif select.select([pipe], [], [], poll_s)[0] and not os.read(pipe, 4096):
            break
    log.warning("process.orphaned", parent=parent)
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        gone.wait(grace_s)
    os._exit(EXIT_ORPHANED)


def _stdin_pipe() -> int | None:
    """Standard input, if it is a pipe or socket: a terminal or /dev/null says nothing about the parent."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    return 0 if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None
