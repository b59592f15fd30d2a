"""A livekit-server as a service of `up`: started with a configuration of ours, ready when it answers, ended with us.

livekit-server knows nothing of whoever started it, so this process stands between: it watches its parent, as every
service here does (`base.lifecycle`), and takes LiveKit along, whichever way it goes itself. On Linux the kernel does so
too, should this process be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from antiphon.livekit_config import Ports, config
from antiphon.up import ports
from base import lifecycle
from base.errors import Misconfigured, Unavailable
from base.log import get_logger

READY_S = 30.0
LOOK_S = 0.1
LEAVE_S = 1.0
"""How long participants may take to leave after the first SIGTERM; at the second LiveKit goes."""
KILL_S = 3.0
PR_SET_PDEATHSIG = 1
KEYS = "livekit-keys.yaml"
CONFIG = "livekit.yaml"

log = get_logger("livekit-server")


@dataclass(frozen=True, slots=True)
class Server:
    """`folder` is private, holds KEYS (LiveKit's own form: `KEY: SECRET`), and gets the configuration; both go when
    whoever made it cannot take them away any more. The media port is the next free one.
    """

    program: Path
    folder: Path
    host: str = "127.0.0.1"
    port: int = 7880


async def run(server: Server, *, ready: Callable[[str], None] | None = None) -> int:
    """Until a signal, or LiveKit's own end; returns the exit code."""
    parent = os.getppid()
    try:
        return await lifecycle.serve("livekit-server", livekit_server(server), ready=ready, drain_s=1.0)
    finally:
        if os.getppid() != parent:
            with suppress(OSError):
                (server.folder / KEYS).unlink(missing_ok=True)
                server.folder.rmdir()


@asynccontextmanager
async def livekit_server(server: Server) -> AsyncIterator[lifecycle.Serving]:
    """One that answers; leaving ends it."""
    key, secret = _pair(server.folder / KEYS)
    chosen = Ports(
        signal=server.port or ports.any_free(server.host),
        udp=ports.next_free(server.host, 7882, udp=True),
    )
    path = server.folder / CONFIG
    _write_private(path, config(chosen, key, secret, host=server.host))
    process = await asyncio.create_subprocess_exec(
        str(server.program),
        "--config",
        str(path),
        stdin=subprocess.DEVNULL,
        # Our standard output has the line that says that we are ready, and nothing else.
        stdout=sys.stderr,
        stderr=sys.stderr,
        preexec_fn=_end_with_us(),
    )
    over = asyncio.Event()
    itself = False
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(_watch(process, over))
        try:
            await _wait_answers(server.host, chosen.signal, process)
            log.info("livekit.answers", host=server.host, port=chosen.signal, udp=chosen.udp)
            address = f"{server.host}:{chosen.signal}"
            # One that ended by itself is a fault, whatever it says.
            code = lambda: lifecycle.EXIT_FAULT if itself else lifecycle.EXIT_OK  # noqa: E731
            yield lifecycle.Serving(address, _nothing, over, code)
        finally:
            itself = over.is_set()
            await _end(process)
            watching.cancel()
            with suppress(OSError):
                path.unlink()


def _pair(key_file: Path) -> tuple[str, str]:
    try:
        key, _, secret = key_file.read_text().strip().partition(": ")
    except OSError as error:
        raise Misconfigured(f"the key file {key_file} cannot be read: {error.strerror}") from error
    if not key or not secret:
        raise Misconfigured(f"the key file {key_file} is not of the form `KEY: SECRET`")
    return key, secret


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _end_with_us() -> Callable[[], None] | None:
    """What the child does before it becomes livekit-server; all that can be is done beforehand."""
    if sys.platform != "linux":
        return None
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None

    def end_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return end_with_parent


async def _watch(process: asyncio.subprocess.Process, over: asyncio.Event) -> None:
    await process.wait()
    over.set()


async def _wait_answers(host: str, port: int, process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_S):
            while process.returncode is None:
                if await _answers(host, port):
                    return
                await asyncio.sleep(LOOK_S)
    if process.returncode is not None:
        raise Unavailable(f"livekit-server ended with code {process.returncode}; its own words are above")
    raise Unavailable(f"livekit-server does not answer on {host}:{port} after {READY_S:g} s")


async def _answers(host: str, port: int) -> bool:
    """Its health check says OK."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            return b" 200 " in await reader.readline()
        finally:
            writer.close()
    except OSError:
        return False


async def _end(process: asyncio.subprocess.Process) -> None:
    for number, patience_s in ((signal.SIGTERM, LEAVE_S), (signal.SIGTERM, KILL_S), (signal.SIGKILL, None)):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await process.wait()


async def _nothing() -> None:
    """Sessions are the orchestrator's to finish; it stops before we do."""
