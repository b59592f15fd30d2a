"""The ASR worker as a service: the only place here that picks an engine."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from asr import wire
from asr.engines.scripted import ScriptedRecognizer
from asr.recognizer import Recognizer
from asr.servicer import SpeechToTextServicer
from asr.settings import AsrWorkerSettings
from base import lifecycle, log, rpc
from pb.antiphon.v1 import recognition_pb2_grpc
from registry.records import ModelRecord, WorkerKind, WorkerRecord
from registry.stores.remote import remote_store
from worker.announce import Announcer, announced, new_epoch

REPORT_S = 0.2


async def run(settings: AsrWorkerSettings, *, ready: Callable[[str], None] | None = None) -> int:
    """Serves until a signal; returns the exit code. `ready` is given "host:port" once it can recognise."""
    log.configure(level=settings.log_level, pii=settings.log_pii)
    return await lifecycle.serve("asr-worker", serving(settings), ready=ready, drain_s=settings.drain_s)


@asynccontextmanager
async def serving(settings: AsrWorkerSettings) -> AsyncIterator[lifecycle.Serving]:
    """A started worker, announced to its registry."""
    recognizer = await asyncio.to_thread(_recognizer, settings)
    slots = settings.decoders or 64
    async with AsyncExitStack() as stack:
        stack.callback(recognizer.close)
        threads = stack.enter_context(ThreadPoolExecutor(min(32, slots), thread_name_prefix="decode"))
        servicer = SpeechToTextServicer(recognizer, threads)
        server = rpc.server()
        recognition_pb2_grpc.add_SpeechToTextServicer_to_server(servicer, server)
        health = await rpc.add_standard_services(server, [wire.SERVICE])
        address = rpc.bind(server, settings.host, settings.port)
        await server.start()
        stack.push_async_callback(server.stop, 0.5)
        await health.set_serving(True)
        record = _record(settings, recognizer, rpc.reachable_address(address, settings.advertise), slots)
        announcer = None
        if settings.registry:
            store = await stack.enter_async_context(remote_store(settings.registry))
            announcer = await stack.enter_async_context(announced(store, record))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        reporting = tasks.create_task(_report(announcer, servicer)) if announcer is not None else None

        async def drain() -> None:
            await health.set_serving(False)
            if announcer is not None:
                announcer.update(replace(announcer.record, draining=True))

        try:
            yield lifecycle.Serving(address, drain)
        finally:
            if reporting is not None:
                reporting.cancel()


def _recognizer(settings: AsrWorkerSettings) -> Recognizer:
    if settings.engine == "scripted":
        return ScriptedRecognizer(settings.script, word_s=settings.script_word_s, languages=settings.script_languages)
    from asr.engines.pocketsphinx import PocketSphinxRecognizer

    return PocketSphinxRecognizer(decoders=settings.decoders)


def _record(settings: AsrWorkerSettings, recognizer: Recognizer, address: str, slots: int) -> WorkerRecord:
    info = recognizer.info
    features = {name for name, has in (("partials", info.partials), ("phrases", info.phrases)) if has}
    model = ModelRecord(
        id=info.name,
        engine=info.name,
        languages=info.languages,
        sample_rate=16_000,
        features=frozenset(features),
        is_default=True,
        licence=info.licence,
    )
    return WorkerRecord(
        id=settings.id or f"asr-{platform.node()}-{os.getpid()}",
        kind=WorkerKind.ASR,
        address=address,
        host=platform.node(),
        epoch=new_epoch(),
        models=(model,),
        slots=slots,
    )


async def _report(announcer: Announcer, servicer: SpeechToTextServicer) -> None:
    """Keeps the record's count of busy slots true."""
    while True:
        await asyncio.sleep(REPORT_S)
        announcer.update(replace(announcer.record, slots_used=servicer.busy))
