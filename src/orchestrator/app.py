"""The orchestrator as a service: the only place that picks adapters."""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry

from base import lifecycle, log, metrics, rpc
from base.errors import Misconfigured
from base.language import ANY
from orchestrator.access import networks
from orchestrator.catalogue import Catalogue
from orchestrator.clients.workers import Workers
from orchestrator.detection import Detection, detection
from orchestrator.downlink import Ticker
from orchestrator.gate import Gate, make_gate
from orchestrator.http import Doors, Guard, Health, make_app
from orchestrator.hub import SessionHub
from orchestrator.livekit_keys import is_loopback, livekit_keys
from orchestrator.measures import Measures
from orchestrator.messages import PROTOCOL, VoiceDescription
from orchestrator.session import Services
from orchestrator.settings import OrchestratorSettings
from orchestrator.tls import certificate, server_context
from orchestrator.turn_detectors.smart_turn import SmartTurn
from orchestrator.turn_ear import TurnEar
from orchestrator.wishes import usual_choice
from registry.directory import Directory, directory
from registry.records import WorkerKind, WorkerRecord
from registry.stores.remote import remote_store

log_ = log.get_logger("orchestrator")

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
    gate = make_gate(settings, time.monotonic, time.time)
    doors = _doors(settings, gate)
    secure = server_context(settings.tls_cert, settings.tls_key)
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
        hub = SessionHub(settings, services, time.monotonic, gate=gate)
        gate.on_change = hub.expel_revoked
        measures.watch(hub=hub.statistics, ticker=ticker.statistics, directory=known.statistics)
        ticking = tasks.create_task(ticker.run())
        sessions = tasks.create_task(hub.run())
        watching = tasks.create_task(gate.run())
        runner, address = await _listen(settings, hub, workers, known, registry, detector, catalogue, doors, secure)
        _warn(settings, gate)
        try:
            yield lifecycle.Serving(address, hub.drain)
        finally:
            hub.close()
            await sessions
            await runner.cleanup()
            ticking.cancel()
            watching.cancel()
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
    doors: Doors,
    secure: ssl.SSLContext | None,
) -> tuple[web.AppRunner, str]:
    """HTTP, or HTTPS in its place, or both; the address is that of the first."""
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
        doors=doors,
        lead_s=settings.lead_ms / 1000,
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    beside = secure is not None and settings.tls_port >= 0
    await _serve(runner, settings.host, settings.port, None if beside else secure)
    if beside:
        await _serve(runner, settings.tls_host or settings.host, settings.tls_port, secure)
    host, port = runner.addresses[0][:2]
    return runner, rpc.join_address(host, port)


async def _serve(runner: web.AppRunner, host: str, port: int, secure: ssl.SSLContext | None) -> None:
    try:
        site = web.TCPSite(runner, host, port, reuse_address=True, backlog=512, ssl_context=secure)
        await site.start()
    except OSError as error:
        await runner.cleanup()
        taken = error.errno == errno.EADDRINUSE
        raise Misconfigured(
            f"cannot serve on {host} port {port}: "
            + ("something else listens there; choose another port, or 0 for a free one" if taken else str(error)),
            reason="PORT_TAKEN" if taken else "BAD_ADDRESS",
        ) from error


def _doors(settings: OrchestratorSettings, gate: Gate) -> Doors:
    return Doors(
        gate,
        trusted=networks(settings.trusted_proxies, "trusted_proxies"),
        livekit_url=(settings.livekit_public_url or settings.livekit_url) if livekit_keys(settings) else "",
        ca=certificate(settings.tls_ca),
    )


def _warn(settings: OrchestratorSettings, gate: Gate) -> None:
    """Who opened the door to others and made no keys learns it from the log, and not from their complaints."""
    hosts = [settings.host] + ([settings.tls_host] if settings.tls_host and settings.tls_cert else [])
    outside = next((h for h in hosts if not is_loopback(h)), None)
    if outside is not None and not gate.keyed and not settings.open_networks:
        log_.warning(
            "only_loopback_is_served",
            message=f"this server listens on {outside}, but there are no access keys: whoever is not on this machine "
            "is refused. `antiphon keys add` makes a key",
        )


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
