"""The orchestrator as a service: the only place that picks adapters."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry

from base import lifecycle, log, metrics, rpc
from base.errors import Misconfigured
from orchestrator.catalogue import Catalogue
from orchestrator.checks import access_keys
from orchestrator.clients.workers import Workers
from orchestrator.detection import Detection, detection
from orchestrator.downlink import Ticker
from orchestrator.http import Guard, Health, make_app
from orchestrator.hub import SessionHub
from orchestrator.livekit_keys import livekit_keys
from orchestrator.measures import Measures
from orchestrator.messages import VoiceDescription
from orchestrator.ports import Hub
from orchestrator.session import Services
from orchestrator.settings import OrchestratorSettings
from orchestrator.turn_detectors.smart_turn import SmartTurn
from orchestrator.turn_ear import TurnEar
from orchestrator.wishes import usual_choice
from registry.directory import Directory, directory
from registry.records import WorkerKind, WorkerRecord
from registry.stores.remote import remote_store

if TYPE_CHECKING:
    from orchestrator.dispatch.worker import Dispatch

WEB_DIR = Path(__file__).resolve().parent.parent.parent / "web"


async def run(settings: OrchestratorSettings, *, ready: Callable[[str], None] | None = None) -> int:
    """Serves until a signal; returns the exit code. `ready` is given "host:port" once sessions can be opened."""
    log.configure(level=settings.log_level, pii=settings.log_pii)
    return await lifecycle.serve("orchestrator", orchestrator(settings), ready=ready, drain_s=settings.drain_s)


@asynccontextmanager
async def orchestrator(settings: OrchestratorSettings) -> AsyncIterator[lifecycle.Serving]:
    """A started orchestrator; leaving ends every session."""
    rpc.split_address(settings.registry)
    catalogue = Catalogue(settings)
    keys = access_keys(settings.access_key_file)
    detector = await asyncio.to_thread(detection, settings)
    registry = metrics.new_registry()
    async with (
        _turn_ear(settings.turn_model) as ear,
        remote_store(settings.registry) as store,
        directory(store) as known,
        asyncio.TaskGroup() as tasks,
    ):
        workers = Workers(known)
        ticker = Ticker()
        measures = Measures(registry)
        services = _services(settings, catalogue, detector, workers, ticker, measures, ear)
        hub = SessionHub(settings, services, time.monotonic, keys=keys)
        measures.watch(hub=hub.statistics, ticker=ticker.statistics, directory=known.statistics)
        livekit = await asyncio.to_thread(_livekit, settings, hub)
        ticking = tasks.create_task(ticker.run())
        sessions = tasks.create_task(hub.run())
        runner, address = await _listen(settings, hub, workers, known, registry, detector, livekit)
        rooms = None
        if livekit is not None:
            measures.watch_livekit(livekit.statistics)
            rooms = tasks.create_task(livekit.run())

        async def drain() -> None:
            if livekit is not None:
                livekit.drain()
            await hub.drain()

        try:
            yield lifecycle.Serving(address, drain)
        finally:
            hub.close()
            await sessions
            if livekit is not None and rooms is not None:
                livekit.close()
                await rooms
            await runner.cleanup()
            ticking.cancel()
            await workers.close()
            await catalogue.close()


def _livekit(settings: OrchestratorSettings, hub: SessionHub) -> Dispatch | None:
    """None without LiveKit: then nothing of it is imported. Raises Misconfigured."""
    pair = livekit_keys(settings)
    if pair is None:
        return None
    try:
        from orchestrator.dispatch.registration import Server
        from orchestrator.dispatch.worker import Dispatch
        from orchestrator.transports.livekit.room import serve_room, warm_up
        from orchestrator.transports.livekit.settings import RoomSettings
    except ImportError as error:
        raise Misconfigured(
            f"there is a key for LiveKit at {settings.livekit_url}, but what talks to it is not installed "
            f"({error.name} is missing): ./antiphon install livekit; or set livekit_url to nothing",
            reason="LIVEKIT_MISSING",
        ) from error
    warm_up()
    room = RoomSettings(lead_s=settings.lead_ms / 1000, grace_s=settings.grace_s)

    async def serve(url: str, token: str, hub: Hub, *, participant: str, stop: asyncio.Event) -> str:
        return await serve_room(url, token, hub, settings=dataclasses.replace(room, participant=participant), stop=stop)

    server = Server(
        url=settings.livekit_url,
        key=pair[0],
        secret=pair[1],
        agent=settings.livekit_agent,
        per_participant=settings.livekit_per_participant,
    )
    return Dispatch(server, hub, serve, places=settings.max_sessions, sessions=lambda: hub.statistics().sessions)


@asynccontextmanager
async def _turn_ear(path: str) -> AsyncIterator[TurnEar | None]:
    """The detector that a file names, if one does. Raises Misconfigured."""
    if not path:
        yield None
        return
    ear = TurnEar(await asyncio.to_thread(SmartTurn, path))
    try:
        yield ear
    finally:
        ear.close()


def _services(
    settings: OrchestratorSettings,
    catalogue: Catalogue,
    detector: Detection,
    workers: Workers,
    ticker: Ticker,
    measures: Measures,
    ear: TurnEar | None,
) -> Services:
    return Services(
        workers=workers,
        ticker=ticker,
        responder=catalogue.get,
        detector=detector.make,
        observe=measures.turn,
        usual=usual_choice(settings.model, settings.voice, settings.language),
        turn_ear=ear,
        observe_session=measures.session,
        start_timeout_s=settings.start_timeout_s,
        log_pii=settings.log_pii,
    )


async def _listen(
    settings: OrchestratorSettings,
    hub: SessionHub,
    workers: Workers,
    known: Directory,
    registry: CollectorRegistry,
    detector: Detection,
    livekit: Dispatch | None,
) -> tuple[web.AppRunner, str]:
    app = make_app(
        hub,
        web_dir=Path(settings.web_dir) if settings.web_dir else WEB_DIR,
        metrics=lambda: metrics.exposition(registry),
        health=lambda: _health(workers, known, detector, livekit),
        resources={
            "voices": lambda: voices(workers),
            "workers": lambda: [_worker(w) for w in known.snapshot()],
        },
        guard=Guard(hosts=settings.allowed_hosts, origins=settings.allowed_origins),
        lead_s=settings.lead_ms / 1000,
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, reuse_address=True, backlog=512)
        await site.start()
    except OSError as error:
        await runner.cleanup()
        taken = error.errno == errno.EADDRINUSE
        raise Misconfigured(
            f"cannot serve on {settings.host} port {settings.port}: "
            + ("something else listens there; choose another port, or 0 for a free one" if taken else str(error)),
            reason="PORT_TAKEN" if taken else "BAD_ADDRESS",
        ) from error
    host, port = runner.addresses[0][:2]
    return runner, rpc.join_address(host, port)


def _health(workers: Workers, known: Directory, detector: Detection, livekit: Dispatch | None) -> Health:
    return Health(
        ready=bool(workers.of(WorkerKind.TTS)),
        facts={
            "tts_workers": len(workers.of(WorkerKind.TTS)),
            "asr_workers": len(workers.of(WorkerKind.ASR)),
            "registry": "stale" if known.stale else "live",
            "detector": detector.name,
            "livekit": "off" if livekit is None else "registered" if livekit.is_registered else "connecting",
        },
    )


def voices(workers: Workers) -> list[VoiceDescription]:
    """Every voice of every worker, once."""
    found: dict[tuple[str, str], VoiceDescription] = {}
    for worker in workers.of(WorkerKind.TTS):
        for model in worker.models:
            for voice in model.voices:
                found.setdefault(
                    (model.id, voice.id),
                    VoiceDescription(id=voice.id, name=voice.name, languages=list(voice.languages), model=model.id),
                )
    return list(found.values())


def _worker(worker: WorkerRecord) -> dict[str, object]:
    return {
        "id": worker.id,
        "kind": worker.kind.value,
        "models": [{"id": m.id, "engine": m.engine, "state": m.state.value} for m in worker.models],
        "slots": worker.slots,
        "slots_used": worker.slots_used,
        "first_audio_s": worker.first_audio_s,
        "rtf": worker.rtf,
        "draining": worker.draining,
    }
