"""The HTTP door: the page, `/v1/converse`, tokens, what is there, health and metrics (`orchestrator.http`)."""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry

from base import metrics, rpc
from base.errors import Misconfigured
from base.language import ANY
from orchestrator.access import networks
from orchestrator.catalogue import Catalogue
from orchestrator.clients.workers import Workers
from orchestrator.detection import Detection
from orchestrator.gate import Gate
from orchestrator.http import Doors, Guard, Health, make_app
from orchestrator.hub import SessionHub
from orchestrator.livekit_keys import livekit_keys
from orchestrator.messages import PROTOCOL, VoiceDescription
from orchestrator.settings import OrchestratorSettings
from orchestrator.silent import Silent
from orchestrator.tls import certificate
from registry.directory import Directory
from registry.records import WorkerKind, WorkerRecord

if TYPE_CHECKING:
    from orchestrator.dispatch.worker import Dispatch

WEB_DIR = Path(__file__).resolve().parent.parent.parent / "web"

SWEEP_S = 1.0
KEEP_ALIVE_S = 180.0
"""Without another request a connection is closed then (aiohttp: an hour). Proxies close theirs sooner: nginx after
60 s, Caddy after 120 s.
"""


@dataclass(frozen=True, slots=True)
class House:
    """What is told of over HTTP. `grpc` is where the gRPC door is, "" for none."""

    hub: SessionHub
    workers: Workers
    known: Directory
    registry: CollectorRegistry
    detector: Detection
    catalogue: Catalogue
    grpc: str
    livekit: Dispatch | None


@asynccontextmanager
async def http_door(
    settings: OrchestratorSettings,
    house: House,
    doors: Doors,
    secure: ssl.SSLContext | None,
) -> AsyncIterator[str]:
    """Open while the block lasts: HTTP, or HTTPS in its place, or both; the address is that of the first.

    Raises Misconfigured where a port is taken.
    """
    app = make_app(
        house.hub,
        web_dir=Path(settings.web_dir) if settings.web_dir else WEB_DIR,
        metrics=lambda: metrics.exposition(house.registry),
        health=lambda: _health(house),
        resources={
            "voices": lambda: voices(house.workers),
            "options": lambda: options(settings, house.workers, house.catalogue),
            "workers": lambda: [_worker(w) for w in house.known.snapshot()],
        },
        guard=Guard(hosts=settings.allowed_hosts, origins=settings.allowed_origins),
        doors=doors,
        lead_s=settings.lead_ms / 1000,
    )
    silent: Silent[asyncio.BaseProtocol] = Silent(settings.request_s)
    app.middlewares.insert(0, _noticing(silent))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, keepalive_timeout=KEEP_ALIVE_S)
    await runner.setup()
    try:
        beside = secure is not None and settings.tls_port >= 0
        await _serve(runner, settings, settings.host, settings.port, None if beside else secure)
        if beside:
            await _serve(runner, settings, settings.tls_host or settings.host, settings.tls_port, secure)
        host, port = runner.addresses[0][:2]
        async with asyncio.TaskGroup() as tasks:
            sweeping = tasks.create_task(_sweep(runner, silent))
            try:
                yield rpc.join_address(host, port)
            finally:
                sweeping.cancel()
    finally:
        await runner.cleanup()


def _noticing(silent: Silent[asyncio.BaseProtocol]) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        silent.asked(request.protocol)
        return await handler(request)

    return middleware


async def _sweep(runner: web.AppRunner, silent: Silent[asyncio.BaseProtocol]) -> None:
    """Ends the connections that ask for nothing."""
    while True:
        await asyncio.sleep(SWEEP_S)
        server = runner.server
        for connection in silent.overdue(server.connections if server is not None else [], time.monotonic()):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()


class _Site(web.BaseSite):
    """One that gives a TLS handshake `handshake_s` (aiohttp's: a minute). Until it is done there is no connection that
    could be swept.
    """

    __slots__ = ("_handshake_s", "_host", "_port")

    def __init__(
        self, runner: web.AppRunner, host: str, port: int, secure: ssl.SSLContext | None, handshake_s: float
    ) -> None:
        super().__init__(runner, ssl_context=secure, backlog=512)
        self._host = host
        self._port = port
        self._handshake_s = None if secure is None else handshake_s

    @property
    def name(self) -> str:
        return f"{'http' if self._ssl_context is None else 'https'}://{rpc.join_address(self._host, self._port)}"

    async def start(self) -> None:
        await super().start()
        server = self._runner.server
        assert server is not None
        self._server = await asyncio.get_running_loop().create_server(
            server,
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=self._backlog,
            reuse_address=True,
            ssl_handshake_timeout=self._handshake_s,
        )


async def _serve(
    runner: web.AppRunner, settings: OrchestratorSettings, host: str, port: int, secure: ssl.SSLContext | None
) -> None:
    try:
        await _Site(runner, host, port, secure, settings.request_s).start()
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise Misconfigured(
            f"cannot serve on {host} port {port}: "
            + ("something else listens there; choose another port, or 0 for a free one" if taken else str(error)),
            reason="PORT_TAKEN" if taken else "BAD_ADDRESS",
        ) from error


def what_doors_ask(settings: OrchestratorSettings, gate: Gate) -> Doors:
    """Raises Misconfigured."""
    return Doors(
        gate,
        trusted=networks(settings.trusted_proxies, "trusted_proxies"),
        livekit_url=(settings.livekit_public_url or settings.livekit_url) if livekit_keys(settings) else "",
        ca=certificate(settings.tls_ca),
    )


def _health(house: House) -> Health:
    workers, livekit = house.workers, house.livekit
    return Health(
        ready=bool(workers.of(WorkerKind.TTS)),
        facts={
            "tts_workers": len(workers.of(WorkerKind.TTS)),
            "asr_workers": len(workers.of(WorkerKind.ASR)),
            "registry": "stale" if house.known.stale else "live",
            "detector": house.detector.name,
            "grpc": house.grpc,
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
