"""A whole system for one test: registry, workers and orchestrator on free ports, in this process or in others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from asr.app import serving as asr_serving
from asr.settings import AsrWorkerSettings
from base.lifecycle import Serving
from orchestrator.app import orchestrator
from orchestrator.settings import OrchestratorSettings
from registry.app import serving as registry_serving
from registry.settings import RegistrySettings
from tts_workers.app import serving as tts_serving
from tts_workers.settings import ModelSettings, TtsWorkerSettings

SRC = Path(__file__).resolve().parents[2] / "src"
IMPORTS = os.pathsep.join((str(SRC), str(SRC.parent)))
"""Of a service: ours, and what a test has for it."""
LIMIT_S = 20.0


async def until(condition: Callable[[], Any], what: str = "the condition", limit_s: float = LIMIT_S) -> Any:
    """Waits for it, generously; returns what it gave."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.005)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def plainly() -> AsyncIterator[None]:
    """One error, whatever groups it came in: for a test that failed."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None


@dataclass
class House:
    """See the module; made by `house`."""

    registry: str
    url: str
    grpc: str
    """Address of the gRPC door."""
    http: aiohttp.ClientSession
    _stack: AsyncExitStack = field(repr=False)
    _front: AsyncExitStack = field(repr=False)
    """The orchestrator's."""
    _serving: Serving = field(repr=False)

    async def drain(self) -> None:
        """The orchestrator takes nobody new; returns when no reply is under way."""
        await self._serving.drain()

    async def close(self) -> None:
        """The orchestrator stops."""
        await self._front.aclose()

    # --- who is there -------------------------------------------------------------------------------------------------

    async def workers(self) -> dict[str, dict[str, Any]]:
        """By id, as the orchestrator knows them."""
        async with self.http.get(f"{self.url}/v1/workers") as answer:
            return {worker["id"]: worker for worker in await answer.json()}

    async def happened(self) -> dict[str, float]:
        """How often what did, of sessions (`antiphon_session_events_total`), once none is left."""
        await self.wait_free()
        async with self.http.get(f"{self.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        prefix = 'antiphon_session_events_total{what="'
        found = (line.removeprefix(prefix).split('"} ') for line in lines if line.startswith(prefix))
        return {what: float(count) for what, count in found}

    async def metric(self, name: str) -> float:
        """Of the orchestrator; the sum over labels."""
        async with self.http.get(f"{self.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        found = [float(x.rpartition(" ")[2]) for x in lines if x.startswith((name + " ", name + "{"))]
        assert found, name
        return sum(found)

    async def wait_metric(self, name: str, value: float) -> None:
        deadline = time.monotonic() + LIMIT_S
        while (found := await self.metric(name)) != value:
            assert time.monotonic() < deadline, f"{name} is {found:g}, not {value:g}"
            await asyncio.sleep(0.01)

    async def wait_workers(self, *ids: str) -> None:
        """Until the orchestrator knows exactly these."""
        deadline = time.monotonic() + LIMIT_S
        while set(await self.workers()) != set(ids):
            assert time.monotonic() < deadline, f"{set(await self.workers())}, not {set(ids)}"
            await asyncio.sleep(0.02)

    async def wait_worker(self, id: str) -> None:
        """Until the orchestrator knows this one, whoever else there is."""
        deadline = time.monotonic() + LIMIT_S
        while id not in await self.workers():
            assert time.monotonic() < deadline, f"no {id}"
            await asyncio.sleep(0.01)

    async def wait_slots(self, id: str, used: int) -> None:
        """Until so many of the worker's slots are in use."""
        deadline = time.monotonic() + LIMIT_S
        while (found := (await self.workers())[id]["slots_used"]) != used:
            assert time.monotonic() < deadline, f"{found} slots of {id} are used, not {used}"
            await asyncio.sleep(0.01)

    async def wait_free(self) -> None:
        """Until no session is left, and no worker does anything for one."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            sessions = await self.metric("antiphon_sessions")
            used = {id: worker["slots_used"] for id, worker in (await self.workers()).items() if worker["slots_used"]}
            if not sessions and not used:
                return
            assert time.monotonic() < deadline, f"{sessions:g} sessions, slots used: {used}"
            await asyncio.sleep(0.02)

    async def wait_worker_sessions(self, port: int, count: int) -> None:
        """Until the TTS worker that serves its metrics on this port has so many sessions."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            async with self.http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            found = [x for x in lines if x.startswith("antiphon_tts_sessions ")]
            assert found, lines
            if float(found[0].split()[1]) == count:
                return
            assert time.monotonic() < deadline, found[0]
            await asyncio.sleep(0.02)

    # --- workers in this process --------------------------------------------------------------------------------------

    async def tts(self, id: str = "tts", **settings: Any) -> None:
        """A worker with the sine engine, unless told otherwise; `options` are that engine's."""
        options = settings.pop("options", None)
        if options is not None:
            settings["models"] = (ModelSettings("sine", "sine", options),)
        settings = {"engine": "sine", "registry": self.registry, "id": id} | settings
        await self._stack.enter_async_context(tts_serving(TtsWorkerSettings(**settings)))

    async def asr(self, id: str = "asr", **settings: Any) -> None:
        """A worker with the scripted engine: a session's `phrases` are what it will say, in order."""
        settings = {"engine": "scripted", "registry": self.registry, "id": id} | settings
        await self._stack.enter_async_context(asr_serving(AsrWorkerSettings(**settings)))

    # --- services in processes of their own ---------------------------------------------------------------------------

    async def process(self, command: str, *flags: str) -> Service:
        return await self._stack.enter_async_context(service(command, "--registry", self.registry, *flags))


@dataclass
class Service:
    """A process; `log` is all that it wrote to stderr."""

    process: asyncio.subprocess.Process
    address: str
    log: list[str]

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)

    def suspend(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@asynccontextmanager
async def service(command: str, *flags: str) -> AsyncIterator[Service]:
    """`antiphon COMMAND` as a process, once it is ready; killed at the end."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("ANTIPHON_")} | {"PYTHONPATH": IMPORTS}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "antiphon", command, "--announce-ready", *flags),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    log: list[str] = []

    async def read(stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            log.append(line.decode(errors="replace"))

    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(process.stderr))
        try:
            async with asyncio.timeout(LIMIT_S):
                line = await process.stdout.readline()
            assert line, "".join(log)
            yield Service(process, json.loads(line)["ready"], log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            await process.wait()
            await reading


@asynccontextmanager
async def house(
    *,
    tts: int = 1,
    asr: int = 1,
    tts_settings: dict[str, Any] | None = None,
    registry_at: str = "",
    key: str = "",
    **settings: Any,
) -> AsyncIterator[House]:
    """Everything in this process, known to the orchestrator. `settings` are the orchestrator's; responder: echo.

    `registry_at`: there is a registry already. `key`: what the house itself asks with, where keys are asked for.
    """
    async with plainly(), AsyncExitStack() as stack:
        if not registry_at:
            registry = await stack.enter_async_context(registry_serving(RegistrySettings(port=0)))
            registry_at = registry.address
        settings = {"port": 0, "grpc_port": 0, "responder": "echo", "registry": registry_at} | settings
        # Workers leave before the orchestrator does, and come after it, as they do in life.
        front = await stack.enter_async_context(AsyncExitStack())
        serving = await front.enter_async_context(orchestrator(OrchestratorSettings(**settings)))
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        http = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        grpc = serving.others.get("grpc", "")
        made = House(registry_at, f"http://{serving.address}", grpc, http, stack, front, serving)
        for number in range(tts):
            await made.tts(f"tts{number}", **(tts_settings or {}))
        for number in range(asr):
            await made.asr(f"asr{number}")
        await made.wait_workers(*(f"tts{n}" for n in range(tts)), *(f"asr{n}" for n in range(asr)))
        yield made
