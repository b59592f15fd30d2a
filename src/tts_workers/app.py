"""The TTS worker as a service: loads its models, serves them, announces itself, drains."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

from base import rpc
from base.audio import AudioFormat
from base.errors import AntiphonError, Misconfigured
from base.lifecycle import Serving, serve
from base.log import get_logger
from base.metrics import http_server, new_registry
from base.version import VERSION
from pb.antiphon.v1 import synthesis_pb2_grpc
from registry.records import ModelRecord, ModelState, Voice, WorkerKind, WorkerRecord
from registry.stores.remote import remote_store
from tts_workers import models, wire
from tts_workers.engine import EngineInfo, ModelSpec
from tts_workers.measures import Measures
from tts_workers.models import LoadedModel
from tts_workers.runner import Runner
from tts_workers.servicer import TextToSpeechServicer
from tts_workers.session import Session, Terms
from tts_workers.sessions import Sessions
from tts_workers.settings import TtsWorkerSettings
from tts_workers.stream import StreamConfig
from worker.admission import Slots
from worker.announce import Announcer, announced, new_epoch

T = TypeVar("T")
STOP_S = 1.0
"""How long calls, and then engine threads, may take to end once nothing is wanted of them."""
_FEATURES = ("streaming", "zero_shot", "lora", "prosody", "marks", "cancellable", "variants")

log = get_logger("tts")


async def run(settings: TtsWorkerSettings, *, ready: Callable[[str], None] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; `ready` gets "host:port". Returns the exit code."""
    return await serve("tts", serving(settings), ready=ready, drain_s=settings.drain_s)


@asynccontextmanager
async def serving(settings: TtsWorkerSettings) -> AsyncIterator[Serving]:
    """A running worker, until the context ends."""
    async with AsyncExitStack() as stack:
        loaded, failed = await _load_all(settings, stack)
        worker = _Worker(settings, loaded, failed)
        stack.push_async_callback(worker.stop)
        if settings.metrics_port is not None:
            stack.enter_context(http_server(worker.registry, host=settings.host, port=settings.metrics_port))
        address = await worker.start()
        if settings.registry:
            store = await stack.enter_async_context(remote_store(settings.registry))
            worker.announcer = await stack.enter_async_context(announced(store, worker.record(address)))
        yield Serving(address, worker.drain)


class _Worker:
    """The parts of a running worker and what ties them together."""

    def __init__(
        self, settings: TtsWorkerSettings, loaded: dict[str, LoadedModel], failed: tuple[ModelSpec, ...]
    ) -> None:
        self._settings = settings
        self._loaded = loaded
        self._failed = failed
        self._default = settings.default_model or next(iter(loaded))
        self._draining = False
        self.announcer: Announcer | None = None
        self.registry = new_registry()
        self._measures = Measures(self.registry)
        limits = [m.info.max_concurrent for m in loaded.values() if m.info.max_concurrent]
        self._slots = Slots(min([settings.slots, *limits]), changed=self._changed)
        self._runner = Runner(max_threads=2 * settings.slots + 8, report=self._measures.job)
        self._sessions = Sessions(
            self._make,
            claim_s=settings.claim_s,
            max_unclaimed=settings.max_unclaimed,
            max_sessions=settings.max_sessions,
        )
        self._measures.sessions.set_function(lambda: len(self._sessions))
        self._measures.slots.set_function(lambda: self._slots.used)
        self._measures.threads.set_function(lambda: self._runner.threads)
        self._server = rpc.server()
        self._health: rpc.Health | None = None
        self._id = settings.id or f"tts-{socket.gethostname()}-{os.getpid()}"
        self._epoch = new_epoch()

    async def start(self) -> str:
        settings = self._settings
        servicer = TextToSpeechServicer(
            self._sessions,
            self._loaded,
            self._default,
            max_speak=settings.max_speak,
            first_s=settings.claim_s,
            warm=self._runner.warm_nowait,
        )
        synthesis_pb2_grpc.add_TextToSpeechServicer_to_server(servicer, self._server)
        self._health = await rpc.add_standard_services(self._server, [wire.SERVICE])
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

    def record(self, address: str) -> WorkerRecord:
        """What the registry says of this worker."""
        return WorkerRecord(
            id=self._id,
            kind=WorkerKind.TTS,
            address=rpc.reachable_address(address, self._settings.advertise),
            host=socket.gethostname(),
            epoch=self._epoch,
            models=tuple(
                [_record(m.spec, m.info, default=id == self._default) for id, m in self._loaded.items()]
                + [ModelRecord(spec.id, spec.engine, ModelState.FAILED) for spec in self._failed]
            ),
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
                    slots_used=self._slots.used,
                    first_audio_s=self._measures.first_audio_s,
                    rtf=self._measures.rtf,
                    draining=self._draining,
                )
            )

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
            id, terms, config, self._slots, self._runner, lambda finished: self._measures.turn(finished, terms.rate)
        )


async def _load_all(
    settings: TtsWorkerSettings, stack: AsyncExitStack
) -> tuple[dict[str, LoadedModel], tuple[ModelSpec, ...]]:
    """Models by id, and those that could not be loaded; raises when the default is among these."""
    specs = [ModelSpec(m.id, m.engine, m.options) for m in settings.models]
    specs = specs or [ModelSpec(settings.engine, settings.engine)]
    ids = [spec.id for spec in specs]
    if len(set(ids)) != len(ids):
        raise Misconfigured(f"two models have the same id; ids are {', '.join(ids)}")
    default = settings.default_model or ids[0]
    if default not in ids:
        raise Misconfigured(f"default_model is {default!r}, which is none of the models: {', '.join(ids)}")
    loaded: dict[str, LoadedModel] = {}
    failed: list[ModelSpec] = []
    for spec in specs:
        try:
            model = await _in_thread(partial(models.load, spec, settings.loudness_dbfs))
        except AntiphonError as error:
            log.error("model.failed", model=spec.id, engine=spec.engine, message=error.message)
            if spec.id == default:
                raise
            failed.append(spec)
            continue
        stack.callback(model.close)
        loaded[spec.id] = model
        log.info("model.ready", model=spec.id, engine=spec.engine, voices=len(model.info.voices))
    return loaded, tuple(failed)


async def _in_thread(work: Callable[[], T]) -> T:
    """Runs `work` on a daemon thread: one that hangs does not keep the process from ending."""
    done: concurrent.futures.Future[T] = concurrent.futures.Future()
    done.set_running_or_notify_cancel()

    def target() -> None:
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=target, name="load", daemon=True).start()
    return await asyncio.wrap_future(done)


def _record(spec: ModelSpec, info: EngineInfo, *, default: bool) -> ModelRecord:
    voices = sorted(info.voices, key=lambda v: v.id != info.default_voice)
    return ModelRecord(
        id=spec.id,
        engine=spec.engine,
        state=ModelState.READY,
        languages=info.languages,
        voices=tuple(Voice(v.id, v.name, v.languages, v.gender) for v in voices),
        sample_rate=info.sample_rate,
        features=frozenset(name for name in _FEATURES if getattr(info, name)),
        is_default=default,
        licence=info.licence,
    )
