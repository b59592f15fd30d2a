"""The ASR worker as a service: the only place here that picks an engine."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry, Gauge

from asr import wire
from asr.agreement import Cuts
from asr.capacity import available_bytes, decoders_for, usable_cores
from asr.ears import Ears
from asr.engines.moonshine import files as moonshine
from asr.engines.scripted import ScriptedRecognizer
from asr.engines.whisper.files import find_model
from asr.house import Check, EarsLoading, LeasedEars, Opens
from asr.in_process import in_process_ears
from asr.phrases import prepare
from asr.pool import ChildSpec, PoolLimits, pool
from asr.recognizer import RecognizerConfig, RecognizerInfo
from asr.servicer import SpeechToTextServicer
from asr.settings import AsrWorkerSettings
from asr.shared import SharedLimits, SharedSpec, shared_ears
from base import lifecycle, log, metrics, rpc
from base.errors import AntiphonError
from base.version import VERSION
from pb.antiphon.v1 import models_pb2_grpc, recognition_pb2_grpc
from registry.records import ModelRecord, ModelState, WorkerKind, WorkerRecord
from registry.stores.remote import remote_store
from worker.announce import Announcer, announced, new_epoch
from worker.loader import Loader
from worker.manager import ModelManagerServicer
from worker.residency_values import Limits, ModelPlan
from worker.wire import SERVICE as MANAGER

REPORT_S = 0.2
SCRIPTED_SLOTS = 256
LOADS = 4
"""So many times the time that one child may take to load may all of it: a pool tries three."""
STOP_S = 2.0
FACTORY = "asr.engines.pocketsphinx:PocketSphinxRecognizer"
WHISPER = "asr.engines.whisper.model:WhisperTranscriber"
MOONSHINE = "asr.engines.moonshine.model:MoonshineTranscriber"
SHORT = Cuts(10.0, 15.0, 20.0)
"""Where Moonshine's clips are cut: the longer they are, the more its decodes cost, and a small model loses its way."""
SHARED_MOST = 64
"""Utterances at once over a shared model, where nobody says how many."""


async def run(settings: AsrWorkerSettings, *, ready: Callable[[str], None] | None = None) -> int:
    """Serves until a signal; returns the exit code. `ready` is given "host:port" once it can recognise."""
    log.configure(level=settings.log_level, pii=settings.log_pii)
    return await lifecycle.serve("asr-worker", serving(settings), ready=ready, drain_s=settings.drain_s)


@asynccontextmanager
async def serving(settings: AsrWorkerSettings) -> AsyncIterator[lifecycle.Serving]:
    """A started worker, announced to its registry."""
    token = rpc.read_token(settings.worker_token_file, host=settings.host)
    async with AsyncExitStack() as stack:
        engine = await _engine(settings)
        announcer: Announcer | None = None

        def changed() -> None:
            if announcer is not None:
                announcer.update(replace(announcer.record, models=(_model(engine, loader),)))

        loader = await stack.enter_async_context(_loaded(settings, engine, changed))
        ears = LeasedEars(
            engine.info.name, engine.info, loader, slots=engine.slots, check=engine.check, linger_s=settings.linger_s
        )
        if settings.metrics_port:
            stack.enter_context(metrics.http_server(_metrics(ears), host=settings.host, port=settings.metrics_port))
        servicer = SpeechToTextServicer(
            ears, longest_s=settings.utterance_s, config_s=settings.config_s, max_streams=settings.max_streams
        )
        server = rpc.server(token)
        recognition_pb2_grpc.add_SpeechToTextServicer_to_server(servicer, server)
        manager = ModelManagerServicer(
            loader,
            engine_of=lambda id: settings.engine,
            device_of=lambda id: engine.device,
            linger_s=settings.linger_s,
        )
        models_pb2_grpc.add_ModelManagerServicer_to_server(manager, server)
        health = await rpc.add_standard_services(server, [wire.SERVICE, MANAGER])
        address = rpc.bind(server, settings.host, settings.port)
        await server.start()
        stack.push_async_callback(server.stop, 0.5)
        await health.set_serving(True)
        if settings.registry:
            store = await stack.enter_async_context(remote_store(settings.registry, token=token))
            record = _record(settings, ears, _model(engine, loader), rpc.reachable_address(address, settings.advertise))
            announcer = await stack.enter_async_context(announced(store, record))

        async def drain() -> None:
            await health.set_serving(False)
            if announcer is not None:
                announcer.update(replace(announcer.record, draining=True))
            await servicer.drain()

        async with asyncio.TaskGroup() as tasks:
            reporting = tasks.create_task(_report(announcer, ears)) if announcer is not None else None
            try:
                yield lifecycle.Serving(address, drain)
            finally:
                if reporting is not None:
                    reporting.cancel()


@dataclass(frozen=True, slots=True)
class _Engine:
    """What the settings pick: what it can do, how it is opened, and what a session's configuration comes to."""

    name: str
    info: RecognizerInfo
    opens: Opens
    slots: int
    check: Check = lambda _: ()
    size: int = 0
    device: str = "cpu"


async def _engine(settings: AsrWorkerSettings) -> _Engine:
    if settings.engine == "scripted":
        slots = settings.decoders or SCRIPTED_SLOTS

        def recognizer() -> ScriptedRecognizer:
            return ScriptedRecognizer(
                settings.script, word_s=settings.script_word_s, languages=settings.script_languages
            )

        return _Engine("scripted", recognizer().info, lambda: in_process_ears(recognizer(), slots=slots), slots)
    if settings.engine == "whisper":
        return await asyncio.to_thread(_whisper, settings)
    if settings.engine == "moonshine":
        return await asyncio.to_thread(_moonshine, settings)
    return await _pocketsphinx(settings)


async def _pocketsphinx(settings: AsrWorkerSettings) -> _Engine:
    from asr.engines.pocketsphinx import CHILD_BYTES, INFO, dictionary

    words = await asyncio.to_thread(dictionary)

    def check(config: RecognizerConfig) -> tuple[str, ...]:
        return prepare(config.phrases, words.__contains__).left_out

    most = settings.decoders or decoders_for(usable_cores(), available_bytes(), CHILD_BYTES)
    limits = PoolLimits(most, idle_s=settings.idle_s, load_s=settings.load_s, stall_s=settings.stall_s)
    spec = ChildSpec(INFO, FACTORY, {"floor": settings.confidence}, check)
    return _Engine("pocketsphinx", INFO, lambda: pool(spec, limits), most, check, CHILD_BYTES)


def _whisper(settings: AsrWorkerSettings) -> _Engine:
    """Raises what is wrong with the model's directory."""
    files = find_model(settings.model, settings.models_dir)
    licence = files.licence or "unknown"
    info = RecognizerInfo(files.name, files.languages, licence, phrases=True, detection=len(files.languages) > 1)
    most = settings.decoders or SHARED_MOST
    limits = SharedLimits(most, settings.behind_s, load_s=settings.load_s, stall_s=settings.stall_s)
    options = {
        "folder": str(files.folder),
        "device": settings.device,
        "compute_type": settings.compute_type,
        "threads": settings.threads,
    }
    spec = SharedSpec(info, WHISPER, options)
    return _Engine("whisper", info, lambda: shared_ears(spec, limits), most, size=files.size, device=settings.device)


def _moonshine(settings: AsrWorkerSettings) -> _Engine:
    """Raises what is wrong with the model's directory, or with the device."""
    moonshine.check_device(settings.device)
    files = moonshine.find_model(settings.model, settings.models_dir)
    info = RecognizerInfo(files.name, moonshine.LANGUAGES, files.licence or "unknown")

    def check(config: RecognizerConfig) -> tuple[str, ...]:
        phrases = len(config.phrases)
        return (f"Moonshine takes no prompt: {phrases} phrases help it in nothing",) if phrases else ()

    most = settings.decoders or SHARED_MOST
    limits = SharedLimits(most, settings.behind_s, load_s=settings.load_s, stall_s=settings.stall_s)
    spec = SharedSpec(info, MOONSHINE, {"folder": str(files.folder), "threads": settings.threads}, check, SHORT)
    return _Engine("moonshine", info, lambda: shared_ears(spec, limits), most, check, files.size)


@asynccontextmanager
async def _loaded(
    settings: AsrWorkerSettings, engine: _Engine, changed: Callable[[], None]
) -> AsyncIterator[Loader[Ears]]:
    """The loader with its one model in memory. Raises why it cannot be loaded."""
    plan = ModelPlan(
        engine.info.name, ttl_s=settings.ttl_s, pinned=settings.ttl_s < 0, isolated=True, estimate=engine.size
    )
    async with asyncio.TaskGroup() as tasks:

        def start(id: str, lost: Callable[[AntiphonError], None]) -> EarsLoading:
            return EarsLoading(engine.opens, tasks, lost)

        loader: Loader[Ears] = Loader([plan], Limits(load_s=LOADS * settings.load_s), start, changed=changed)
        try:
            await loader.load(plan.id)
            yield loader
        finally:
            await loader.close(STOP_S)


def _model(engine: _Engine, loader: Loader[Ears]) -> ModelRecord:
    info = engine.info
    features = {name for name in ("partials", "phrases", "detection") if getattr(info, name)}
    return ModelRecord(
        id=info.name,
        engine=engine.name,
        state=ModelState(loader.state(info.name).value),
        languages=info.languages,
        sample_rate=16_000,
        features=frozenset(features),
        is_default=True,
        licence=info.licence,
    )


def _record(settings: AsrWorkerSettings, ears: Ears, model: ModelRecord, address: str) -> WorkerRecord:
    return WorkerRecord(
        id=settings.id or f"asr-{platform.node()}-{os.getpid()}",
        kind=WorkerKind.ASR,
        address=address,
        host=platform.node(),
        epoch=new_epoch(),
        models=(model,),
        slots=ears.slots,
        version=VERSION,
    )


async def _report(announcer: Announcer, ears: Ears) -> None:
    """Keeps the record's count of busy slots and its real-time factor true."""
    while True:
        await asyncio.sleep(REPORT_S)
        announcer.update(replace(announcer.record, slots_used=ears.busy, rtf=round(ears.rtf, 2)))


def _metrics(ears: Ears) -> CollectorRegistry:
    registry = metrics.new_registry()
    for name, what, value in (
        ("antiphon_asr_slots", "Utterances that can be heard at once.", lambda: ears.slots),
        ("antiphon_asr_slots_used", "Utterances being heard.", lambda: ears.busy),
        ("antiphon_asr_rtf", "Decoding time over audio time, lately.", lambda: ears.rtf),
    ):
        Gauge(name, what, registry=registry).set_function(value)
    return registry
