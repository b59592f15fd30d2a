"""The orchestrator as a service: the only place that picks adapters."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry

from base import lifecycle, log, metrics, rpc
from base.errors import Misconfigured
from base.language import ANY
from orchestrator.catalogue import Catalogue
from orchestrator.checks import access_keys
from orchestrator.clients.workers import Workers
from orchestrator.detection import Detection, detection
from orchestrator.downlink import Ticker
from orchestrator.http import Guard, Health, make_app
from orchestrator.hub import SessionHub
from orchestrator.measures import Measures
from orchestrator.messages import PROTOCOL, VoiceDescription
from orchestrator.session import Services
from orchestrator.settings import OrchestratorSettings
from orchestrator.turn_detectors.smart_turn import SmartTurn
from orchestrator.turn_ear import TurnEar
from orchestrator.wishes import usual_choice
from registry.directory import Directory, directory
from registry.records import WorkerKind, WorkerRecord
from registry.stores.remote import remote_store

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
        ticking = tasks.create_task(ticker.run())
        sessions = tasks.create_task(hub.run())
        runner, address = await _listen(settings, hub, workers, known, registry, detector, catalogue)
        try:
            yield lifecycle.Serving(address, hub.drain)
        finally:
            hub.close()
            await sessions
            await runner.cleanup()
            ticking.cancel()
            await workers.close()
            await catalogue.close()


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
    catalogue: Catalogue,
) -> tuple[web.AppRunner, str]:
    app = make_app(
        hub,
        web_dir=Path(settings.web_dir) if settings.web_dir else WEB_DIR,
        metrics=lambda: metrics.exposition(registry),
        health=lambda: _health(workers, known, detector),
        resources={
            "voices": lambda: voices(workers),
            "options": lambda: options(settings, workers, catalogue),
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


def _health(workers: Workers, known: Directory, detector: Detection) -> Health:
    return Health(
        ready=bool(workers.of(WorkerKind.TTS)),
        facts={
            "tts_workers": len(workers.of(WorkerKind.TTS)),
            "asr_workers": len(workers.of(WorkerKind.ASR)),
            "registry": "stale" if known.stale else "live",
            "detector": detector.name,
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


def options(settings: OrchestratorSettings, workers: Workers, catalogue: Catalogue) -> dict[str, object]:
    """What a session may choose, for a client's pickers; voices have a list of their own."""
    ears = {model.id: model for worker in workers.of(WorkerKind.ASR) for model in worker.models}
    return {
        "protocol": PROTOCOL,
        "responder": settings.responder,
        "responders": [name for name in catalogue.names() if name != "client"],
        "voice": settings.voice,
        "language": settings.language,
        "hears": workers.hears(),
        "speaks": workers.speaks(),
        "detects": workers.can_hear(ANY),
        "ears": [
            {"id": m.id, "engine": m.engine, "languages": list(m.languages), "detects": "detection" in m.features}
            for m in ears.values()
        ],
    }


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
