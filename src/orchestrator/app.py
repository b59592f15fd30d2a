"""The orchestrator as a service: the only place that picks adapters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from base import lifecycle, log, metrics, rpc
from base.address import is_loopback
from orchestrator.catalogue import Catalogue
from orchestrator.clients.workers import Workers
from orchestrator.detection import Detection, detection
from orchestrator.downlink import Ticker
from orchestrator.gate import Gate, make_gate
from orchestrator.grpc_door import grpc_door
from orchestrator.http_door import House, http_door, what_doors_ask
from orchestrator.hub import SessionHub
from orchestrator.livekit_door import livekit_door
from orchestrator.measures import Measures
from orchestrator.session import Services
from orchestrator.settings import OrchestratorSettings
from orchestrator.tls import server_context
from orchestrator.turn_detectors.smart_turn import SmartTurn
from orchestrator.turn_ear import TurnEar
from orchestrator.wishes import usual_choice
from registry.directory import directory
from registry.stores.remote import remote_store

log_ = log.get_logger("orchestrator")


async def run(settings: OrchestratorSettings, *, ready: Callable[[str], None] | None = None) -> int:
    """Serves until a signal; returns the exit code. `ready` is given "host:port" once sessions can be opened."""
    log.configure(level=settings.log_level, pii=settings.log_pii)
    return await lifecycle.serve("orchestrator", orchestrator(settings), ready=ready, drain_s=settings.drain_s)


@asynccontextmanager
async def orchestrator(settings: OrchestratorSettings) -> AsyncIterator[lifecycle.Serving]:
    """A started orchestrator; leaving ends every session."""
    rpc.split_address(settings.registry)
    token = rpc.read_token(settings.worker_token_file)
    catalogue = Catalogue(settings)
    gate = make_gate(settings, time.monotonic, time.time)
    doors = what_doors_ask(settings, gate)
    secure = server_context(settings.tls_cert, settings.tls_key)
    detector = await asyncio.to_thread(detection, settings)
    registry = metrics.new_registry()
    async with (
        _turn_ear(settings.turn_model) as ear,
        remote_store(settings.registry, token=token) as store,
        directory(store) as known,
        asyncio.TaskGroup() as tasks,
    ):
        workers = Workers(known, token)
        ticker = Ticker()
        measures = Measures(registry)
        services = _services(settings, catalogue, detector, workers, ticker, measures, ear)
        hub = SessionHub(settings, services, time.monotonic, gate=gate)
        gate.on_change = hub.expel_revoked
        measures.watch(hub=hub.statistics, ticker=ticker.statistics, directory=known.statistics)
        ticking = tasks.create_task(ticker.run())
        sessions = tasks.create_task(hub.run())
        watching = tasks.create_task(gate.run())
        try:
            async with AsyncExitStack() as open_doors:
                livekit = await open_doors.enter_async_context(livekit_door(settings, hub, measures))
                grpc = await open_doors.enter_async_context(grpc_door(settings, hub))
                house = House(hub, workers, known, registry, detector, catalogue, grpc.address, livekit)
                address = await open_doors.enter_async_context(http_door(settings, house, doors, secure))

                async def drain() -> None:
                    if livekit is not None:
                        livekit.drain()
                    await grpc.drain()
                    await hub.drain()

                _warn(settings, gate)
                others = {"grpc": grpc.address} if grpc.address else {}
                try:
                    yield lifecycle.Serving(address, drain, others=others)
                finally:
                    # The doors stay open for the goodbyes.
                    hub.close()
                    await sessions
        finally:
            hub.close()
            await sessions
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
