"""The TTS worker as a service: has its models, serves them, announces itself, drains."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from base import rpc
from base.audio import AudioFormat
from base.errors import TimedOut
from base.lifecycle import EXIT_OK, EXIT_WEDGED, Serving, serve
from base.log import get_logger
from base.metrics import http_server, new_registry
from base.version import VERSION
from pb.antiphon.v1 import models_pb2_grpc, synthesis_pb2_grpc
from registry.records import WorkerKind, WorkerRecord
from registry.stores.remote import remote_store
from tts_workers import wire
from tts_workers.checks import check
from tts_workers.engine import ModelSpec
from tts_workers.house import ModelHouse
from tts_workers.measures import Measures
from tts_workers.runner import Runner
from tts_workers.servicer import TextToSpeechServicer
from tts_workers.session import Session, Terms
from tts_workers.sessions import Sessions
from tts_workers.settings import TtsWorkerSettings
from tts_workers.stream import StreamConfig
from worker.admission import Slots
from worker.announce import Announcer, announced, new_epoch
from worker.manager import ModelManagerServicer
from worker.residency_values import Limits, ModelPlan, State
from worker.wire import SERVICE as MANAGER

STOP_S = 1.0
"""How long calls, then engine threads, then models may take to end once nothing is wanted of them."""

log = get_logger("tts")


async def run(settings: TtsWorkerSettings, *, ready: Callable[[str], None] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; `ready` gets "host:port". Returns the exit code."""
    try:
        return await serve("tts", serving(settings), ready=ready, drain_s=settings.drain_s)
    except TimedOut as error:
        # The default model's load hangs: only a new process helps.
        log.error("service.failed", reason=error.reason, message=error.message)
        return EXIT_WEDGED


@asynccontextmanager
async def serving(settings: TtsWorkerSettings) -> AsyncIterator[Serving]:
    """A running worker, until the context ends."""
    async with AsyncExitStack() as stack:
        worker = _Worker(settings)
        stack.push_async_callback(worker.stop)
        await worker.house.open(settings.preload)
        worker.limit_slots()
        if settings.metrics_port is not None:
            stack.enter_context(http_server(worker.registry, host=settings.host, port=settings.metrics_port))
        address = await worker.start()
        if settings.registry:
            store = await stack.enter_async_context(remote_store(settings.registry, token=worker.token))
            worker.announcer = await stack.enter_async_context(announced(store, worker.record(address)))
        yield Serving(address, worker.drain, worker.over, lambda: EXIT_WEDGED if worker.over.is_set() else EXIT_OK)


class _Worker:
    """The parts of a running worker and what ties them together."""

    def __init__(self, settings: TtsWorkerSettings) -> None:
        self._settings = settings
        self.token = rpc.read_token(settings.worker_token_file, host=settings.host)
        self._draining = False
        self.over = asyncio.Event()
        self.announcer: Announcer | None = None
        self.registry = new_registry()
        self._measures = Measures(self.registry)
        self._slots = Slots(settings.slots, changed=self._changed)
        self._runner = Runner(max_threads=2 * settings.slots + 8, report=self._measures.job)
        specs = _specs(settings)
        self.house = ModelHouse(
            specs,
            _plans(settings, specs),
            settings.default_model or specs[0].id,
            _limits(settings),
            target_dbfs=settings.loudness_dbfs,
            linger_s=settings.linger_s,
            runner=self._runner,
            changed=self._changed,
            wedged=self._wedged,
        )
        self._sessions = Sessions(
            self._make,
            claim_s=settings.claim_s,
            max_unclaimed=settings.max_unclaimed,
            max_sessions=settings.max_sessions,
        )
        self._measures.sessions.set_function(lambda: len(self._sessions))
        self._measures.slots.set_function(lambda: self._slots.used)
        self._measures.models.set_function(lambda: sum(s.state is State.READY for s in self.house.loader.statuses()))
        self._measures.model_bytes.set_function(lambda: sum(s.size for s in self.house.loader.statuses()))
        self._measures.threads.set_function(lambda: self._runner.threads)
        self._server = rpc.server(self.token)
        self._health: rpc.Health | None = None
        self._id = settings.id or f"tts-{socket.gethostname()}-{os.getpid()}"
        self._epoch = new_epoch()

    def limit_slots(self) -> None:
        """What an engine says it can carry bounds a worker of one model; of several, each model on its own."""
        infos = list(self.house.infos.values())
        if self.house.alone and infos and infos[0].max_concurrent:
            self._slots.capacity = min(self._slots.capacity, infos[0].max_concurrent)

    async def start(self) -> str:
        settings = self._settings
        servicer = TextToSpeechServicer(
            self._sessions, self.house, max_speak=settings.max_speak, first_s=settings.claim_s
        )
        synthesis_pb2_grpc.add_TextToSpeechServicer_to_server(servicer, self._server)
        manager = ModelManagerServicer(
            self.house.loader,
            engine_of=self.house.engine_of,
            device_of=self.house.device_of,
            linger_s=settings.linger_s,
        )
        models_pb2_grpc.add_ModelManagerServicer_to_server(manager, self._server)
        self._health = await rpc.add_standard_services(self._server, [wire.SERVICE, MANAGER])
        address = rpc.bind(self._server, settings.host, settings.port)
        await self._server.start()
        await self._health.set_serving(True)
        return address

    async def drain(self) -> None:
        """Turns finish; nothing new begins."""
        self._draining = True
        self._changed()
        if self._health is not None:
            await self._health.set_serving(False)
        await self._sessions.drain()

    async def stop(self) -> None:
        self._sessions.close()
        await self._server.stop(STOP_S)
        try:
            async with asyncio.timeout(STOP_S):
                await self._runner.wait_idle()
        except TimeoutError:
            log.warning("engine.hangs", threads=self._runner.threads)
        await self.house.loader.close(STOP_S)

    def record(self, address: str) -> WorkerRecord:
        """What the registry says of this worker."""
        return WorkerRecord(
            id=self._id,
            kind=WorkerKind.TTS,
            address=rpc.reachable_address(address, self._settings.advertise),
            host=socket.gethostname(),
            epoch=self._epoch,
            models=self.house.records(),
            slots=self._slots.capacity,
            slots_used=self._slots.used,
            first_audio_s=self._measures.first_audio_s,
            rtf=self._measures.rtf,
            draining=self._draining,
            version=VERSION,
        )

    def _changed(self) -> None:
        if self.announcer is not None:
            self.announcer.update(
                replace(
                    self.announcer.record,
                    models=self.house.records(),
                    slots_used=self._slots.used,
                    first_audio_s=self._measures.first_audio_s,
                    rtf=self._measures.rtf,
                    draining=self._draining,
                )
            )

    def _wedged(self, device: str, model: str) -> None:
        """A load hangs in this process: it drains and ends with a code of its own, to be started anew."""
        self.over.set()

    def _make(self, id: str, terms: Terms) -> Session:
        settings = self._settings
        format = AudioFormat(terms.rate)
        config = StreamConfig(
            frame=format.frame_samples,
            ahead=format.samples(settings.ahead_s),
            max_backlog=settings.max_backlog,
            reserve_s=settings.reserve_s,
            stall_s=settings.stall_s,
            job_s=settings.engine_timeout_s,
        )
        return Session(
            id,
            terms,
            config,
            self._slots,
            self.house.loader,
            settings.linger_s,
            self._runner,
            lambda finished: self._measures.turn(finished, terms.rate),
        )


def _specs(settings: TtsWorkerSettings) -> list[ModelSpec]:
    """The models to serve; raises Misconfigured."""
    check(settings)
    specs = [ModelSpec(m.id, m.engine, m.options) for m in settings.models]
    return specs or [ModelSpec(settings.engine, settings.engine)]


def _plans(settings: TtsWorkerSettings, specs: list[ModelSpec]) -> list[ModelPlan]:
    default = settings.default_model or specs[0].id
    wishes = {m.id: m for m in settings.models}
    plans = []
    for spec in specs:
        wish = wishes.get(spec.id)
        plans.append(
            ModelPlan(
                spec.id,
                device=wish.device if wish is not None else "cpu",
                estimate=(wish.memory_mb if wish is not None else 0) * 2**20,
                ttl_s=settings.ttl_s if wish is None or wish.ttl_s is None else wish.ttl_s,
                pinned=spec.id == default,
            )
        )
    return plans


def _limits(settings: TtsWorkerSettings) -> Limits:
    return Limits(
        most=settings.max_models,
        budget=settings.memory_mb * 2**20,
        wait_s=settings.room_wait_s,
        load_s=settings.load_s,
        drain_s=settings.unload_drain_s,
    )
