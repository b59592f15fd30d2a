"""Which recognisers are installed, each served and announced as the product has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from asr import wire
from asr.engines.moonshine import files as moonshine
from asr.in_process import in_process_ears
from asr.servicer import SpeechToTextServicer
from base import rpc
from benchmarks.ears.oracle import OracleRecognizer, Spoken
from benchmarks.stack import Stack
from benchmarks.whisper import real_models
from pb.antiphon.v1 import recognition_pb2_grpc
from registry.records import ModelRecord, WorkerKind, WorkerRecord
from registry.store import Store
from registry.stores.memory import MemoryStore
from registry.stores.remote import remote_store
from worker.announce import new_epoch

ORACLE, MARKING = "oracle", "oracle."
"""See `oracle`: the second one punctuates its finals."""
SLOTS = 256
LEASE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Recogniser:
    """`flags` start its worker; none: it is the oracle, which lives in the benchmark's own process."""

    name: str
    flags: tuple[str, ...] = ()

    @property
    def is_oracle(self) -> bool:
        return not self.flags


def installed(models: Sequence[Path] = ()) -> dict[str, Recogniser]:
    """By name. `models`: directories of Whisper models; without any, those that are here."""
    found = [Recogniser(ORACLE), Recogniser(MARKING)]
    if find_spec("pocketsphinx") is not None:
        found.append(Recogniser("pocketsphinx", ("--engine", "pocketsphinx")))
    if moonshine.is_installed():
        found.append(Recogniser("moonshine", ("--engine", "moonshine")))
    if find_spec("faster_whisper") is not None:
        for path in models or real_models():
            flags = ("--engine", "whisper", "--model", str(path.resolve()), "--load-s", "300")
            found.append(Recogniser(f"whisper-{path.name}", flags))
    return {each.name: each for each in found}


@asynccontextmanager
async def announced(
    recogniser: Recogniser, made: Stack, sessions: Mapping[str, tuple[Spoken, ...]]
) -> AsyncIterator[Store]:
    """A registry that knows this one, and nobody else. `sessions`: what the oracle is to hear."""
    if recogniser.is_oracle:
        async with _oracle(sessions, marks=recogniser.name == MARKING) as store:
            yield store
        return
    registry = made.service("registry")
    worker = made.launch("asr-worker", *recogniser.flags, "--registry", registry.address)
    try:
        worker.wait_ready()
        async with remote_store(registry.address) as store:
            yield store
    finally:
        made.stop(worker)
        made.stop(registry)


@asynccontextmanager
async def _oracle(sessions: Mapping[str, tuple[Spoken, ...]], *, marks: bool) -> AsyncIterator[Store]:
    recognizer = OracleRecognizer(sessions, marks=marks)
    async with AsyncExitStack() as stack:
        ears = await stack.enter_async_context(in_process_ears(recognizer, slots=SLOTS))
        server = rpc.server()
        recognition_pb2_grpc.add_SpeechToTextServicer_to_server(SpeechToTextServicer(ears), server)
        health = await rpc.add_standard_services(server, [wire.SERVICE])
        address = rpc.bind(server, "127.0.0.1", 0)
        await server.start()
        stack.push_async_callback(server.stop, 0.5)
        await health.set_serving(True)
        info = recognizer.info
        model = ModelRecord(
            id=info.name, engine=info.name, languages=info.languages, features=frozenset({"partials", "phrases"})
        )
        store = MemoryStore()
        record = WorkerRecord(ORACLE, WorkerKind.ASR, address, "127.0.0.1", new_epoch(), models=(model,), slots=SLOTS)
        await store.put(record, LEASE_S)
        yield store
