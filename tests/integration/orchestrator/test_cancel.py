"""The driver is cancelled at many moments, and nothing is left: no task, no stream, no slot."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from asr.detectors.webrtc import WebRtcDetector
from asr.vad import FrameVad
from benchmarks.speech import synthetic_speech
from orchestrator.app import orchestrator
from orchestrator.clients.workers import Workers
from orchestrator.hub import SessionHub
from orchestrator.messages import SessionStart, TextInput
from orchestrator.ports import Peer, VoiceChoice
from orchestrator.responders.echo import EchoResponder
from orchestrator.session import Services
from orchestrator.settings import OrchestratorSettings
from orchestrator.ticker import Ticker
from orchestrator.transports.memory import MemoryTransport
from registry.directory import directory
from registry.stores.remote import remote_store
from tests.support.grpc_client import call_of
from tests.support.house import House, free_port, house, until
from tests.support.user import raw

pytestmark = pytest.mark.integration

FRAME = 320
SPEECH = bytes(2 * FRAME * 3) + synthetic_speech(1.5) + bytes(2 * FRAME * 20)


@asynccontextmanager
async def services(here: House) -> AsyncIterator[Services]:
    ticker = Ticker(0.005)
    async with remote_store(here.registry) as store, directory(store) as known, asyncio.TaskGroup() as tasks:
        workers = Workers(known)
        await known.wait_for(lambda found: len(found) == 2, 10.0)
        ticking = tasks.create_task(ticker.run())
        yield Services(
            workers=workers,
            ticker=ticker,
            responder=lambda name: EchoResponder(),
            detector=lambda: FrameVad(WebRtcDetector(2)),
            observe=lambda line: None,
            usual=VoiceChoice(language="en"),
        )
        ticking.cancel()
        await workers.close()


async def converse(hub: SessionHub) -> None:
    """A greeting, a barge-in, an answer, a question, a lost connection; in a third of a second."""
    transport = MemoryTransport()
    side = hub.open_nowait(SessionStart(hold=True, phrases=["stop and listen to me"]), transport, Peer("memory"))
    transport.attach(side)
    for number in range(10_000):
        if number * 2 * FRAME < len(SPEECH):
            side.audio_nowait(number * FRAME, SPEECH[number * 2 * FRAME :][: 2 * FRAME], time.monotonic())
        if number == 120:
            side.message_nowait(TextInput(text="one two three four"))
        if number == 160:
            transport.leave()
        transport.advance(960)
        await asyncio.sleep(0.002)


async def cancelled_at(
    moment: Callable[[], Awaitable[None]], running: asyncio.Task[None], beside: asyncio.Task[None] | None = None
) -> None:
    await moment()
    running.cancel()
    if beside is not None:
        beside.cancel()
    await asyncio.wait([t for t in (running, beside) if t is not None])
    with contextlib.suppress(asyncio.CancelledError):
        await running


def moments() -> list[Callable[[], Awaitable[None]]]:
    """First every turn of the loop, then every few milliseconds."""

    async def turns(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    steps = [lambda n=n: turns(n) for n in range(0, 40, 2)]
    return steps + [lambda ms=ms: asyncio.sleep(ms / 1000) for ms in range(5, 420, 18)]


async def test_a_hub_cancelled_at_any_moment_leaves_nothing() -> None:
    port = free_port()
    async with house(tts=0) as here:
        await here.tts("tts0", metrics_port=port)
        await here.wait_workers("tts0", "asr0")
        async with services(here) as shared:
            baseline: int | None = None
            for moment in moments():
                hub = SessionHub(OrchestratorSettings(), shared, time.monotonic)
                running = asyncio.create_task(hub.run())
                await asyncio.sleep(0)
                await cancelled_at(moment, running, asyncio.create_task(converse(hub)))
                assert not hub.statistics().sessions
                assert not len(shared.ticker)
                if baseline is None:
                    await here.wait_worker_sessions(port, 0)
                    baseline = len(asyncio.all_tasks())
                most = baseline
                await until(lambda most=most: len(asyncio.all_tasks()) <= most, f"tasks to end: {asyncio.all_tasks()}")
            await here.wait_worker_sessions(port, 0)
            await here.wait_free()


async def test_a_session_cancelled_at_any_moment_leaves_the_others_alone() -> None:
    async with house() as here, services(here) as shared, asyncio.TaskGroup() as tasks:
        hub = SessionHub(OrchestratorSettings(), shared, time.monotonic)
        running = tasks.create_task(hub.run())
        await asyncio.sleep(0)
        quiet = MemoryTransport()
        hub.open_nowait(SessionStart(greeting=False), quiet, Peer("memory"))
        await asyncio.sleep(0.05)
        baseline = len(asyncio.all_tasks())
        for moment in moments()[::3]:
            before = asyncio.all_tasks()
            beside = tasks.create_task(converse(hub))
            await asyncio.sleep(0)
            session = next(t for t in asyncio.all_tasks() - before if "Session.run" in repr(t.get_coro()))
            await cancelled_at(moment, session, beside)
            assert hub.statistics().sessions == 1
            await until(lambda: len(asyncio.all_tasks()) <= baseline, "its tasks to end")
        assert quiet.closed is None
        hub.close()
        await running
        assert quiet.closed is not None
    # Nothing is said about what nobody can hear any more.


async def test_an_orchestrator_cancelled_at_any_moment_leaves_nothing() -> None:
    async with house() as here:
        settings = OrchestratorSettings(port=0, grpc_port=0, registry=here.registry, responder="echo")
        baseline: int | None = None

        async def serve(up: asyncio.Event) -> None:
            async with (
                orchestrator(settings) as serving,
                raw(f"http://{serving.address}") as client,
                call_of(serving.others["grpc"], start=False) as caller,
            ):
                up.set()
                await caller.send(SessionStart(greeting="one two three four five six"))
                await client.start(greeting="one two three four five six")
                await asyncio.Event().wait()

        for moment in [*moments()[:20:4], *moments()[20:40:3]]:
            running = asyncio.create_task(serve(asyncio.Event()))
            await cancelled_at(moment, running)
            baseline = baseline or len(asyncio.all_tasks())
            most = baseline
            await until(lambda most=most: len(asyncio.all_tasks()) <= most, "its tasks to end")
        await here.wait_free()
