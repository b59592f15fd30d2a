"""The worker as a service: loading, health, reflection, its record, draining, metrics, and as a process."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from base import rpc
from base.errors import Misconfigured, Unavailable
from pb.antiphon.v1 import synthesis_pb2 as pb
from pb.antiphon.v1 import synthesis_pb2_grpc
from registry.app import serving as registry_serving
from registry.records import ModelState, WorkerKind, WorkerRecord
from registry.settings import RegistrySettings
from registry.stores.memory import MemoryStore
from tests.support.tts import LIMIT_S, talking, worker
from tts_workers.app import serving
from tts_workers.settings import ModelSettings, TtsWorkerSettings

pytestmark = pytest.mark.integration


async def test_health_and_reflection() -> None:
    async with serving(TtsWorkerSettings(engine="sine")) as running, rpc.channel(running.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "antiphon.v1.TextToSpeech"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        listed = await call.read()
        assert "antiphon.v1.TextToSpeech" in {s.name for s in listed.list_services_response.service}
        call.cancel()


async def wait_record(store: MemoryStore, condition) -> WorkerRecord:
    async with asyncio.timeout(LIMIT_S):
        while True:
            for record in await store.snapshot():
                if condition(record):
                    return record
            await asyncio.sleep(0.02)


async def test_its_record_says_what_it_can_do_and_how_busy_it_is() -> None:
    store = MemoryStore()
    models = (
        ModelSettings("tone", "sine"),
        ModelSettings("broken", "sine", {"load_error": "no such file"}),
    )
    async with registry_serving(RegistrySettings(port=0), store) as registry:
        async with (
            serving(
                TtsWorkerSettings(models=models, preload=("broken",), registry=registry.address, id="me", slots=3)
            ) as running,
            rpc.channel(running.address) as channel,
        ):
            record = await wait_record(store, lambda r: True)
            assert (record.id, record.kind, record.address) == ("me", WorkerKind.TTS, running.address)
            assert (record.slots, record.slots_used, record.draining) == (3, 0, False)
            tone, broken = record.models
            assert (tone.id, tone.engine, tone.state, tone.is_default) == ("tone", "sine", ModelState.READY, True)
            assert {"streaming", "marks", "prosody"} <= tone.features
            assert [v.id for v in tone.voices] == ["sine", "low", "high"]
            assert broken.state is ModelState.FAILED
            async with talking(synthesis_pb2_grpc.TextToSpeechStub(channel)) as talk:
                await talk.reserve(1)
                await wait_record(store, lambda r: r.slots_used == 1)
                await talk.say(1, "Something that takes a while to say.")
                await talk.finished(1)
                await wait_record(store, lambda r: r.slots_used == 0 and r.first_audio_s > 0 and r.rtf > 0)
        async with asyncio.timeout(LIMIT_S):
            while await store.snapshot():
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"engine": "organ"}, Misconfigured, "espeak, piper, sine"),
        ({"models": (ModelSettings("a", "sine"), ModelSettings("a", "sine"))}, Misconfigured, "same id"),
        ({"engine": "sine", "default_model": "b"}, Misconfigured, "none of the models"),
        ({"models": (ModelSettings("a", "sine", {"lode_s": 1}),)}, Misconfigured, "load_s"),
        ({"models": (ModelSettings("a", "sine", {"load_error": "disk"}),)}, Unavailable, "disk"),
    ],
)
async def test_a_worker_that_cannot_serve_says_why(settings, error, says: str) -> None:
    with pytest.raises(error, match=says):
        async with serving(TtsWorkerSettings(**settings)):
            pass


async def test_a_slow_load_can_be_given_up() -> None:
    settings = TtsWorkerSettings(models=(ModelSettings("a", "sine", {"load_s": 30}),))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), serving(settings):
            pass


async def test_draining_finishes_turns_and_refuses_new_ones() -> None:
    settings = TtsWorkerSettings(engine="sine")
    async with serving(settings) as running, rpc.channel(running.address) as channel:
        stub = synthesis_pb2_grpc.TextToSpeechStub(channel)
        async with talking(stub) as talk, talking(stub) as idle, asyncio.TaskGroup() as tasks:
            await talk.text(1, "x" * 100)
            await talk.until(lambda: talk.marks(1))
            drained = tasks.create_task(running.drain())
            await idle.until(lambda: idle.status is not None)
            assert idle.status is grpc.StatusCode.UNAVAILABLE
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await stub.StartSession(pb.StartSessionRequest())
            assert rpc.error_from_rpc(failed.value).reason == "DRAINING"
            await talk.say(2, "Not any more.")
            assert (await talk.until(lambda: talk.errors(2)))[0].reason == "DRAINING"
            assert not drained.done()
            await talk.credit(1)
            await talk.end(1)
            assert (await talk.finished(1)).reason == pb.FINISH_REASON_COMPLETED
            assert talk.samples(1) == 288_000
            await drained
            await talk.until(lambda: talk.status is not None)
            assert talk.status is grpc.StatusCode.UNAVAILABLE


async def test_metrics_are_served() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with worker(metrics_port=port) as stub:
        _ = [frame async for frame in stub.Speak(pb.SpeakRequest(text="Counted once."))]

        def read() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LIMIT_S) as answer:
                return answer.read().decode()

        text = await asyncio.to_thread(read)
    assert 'antiphon_tts_turns_total{reason="completed"} 1.0' in text
    assert "antiphon_tts_slots_used 0.0" in text


PROGRAM = """
import asyncio, json, sys
from tts_workers.app import run
from tts_workers.settings import TtsWorkerSettings
settings = TtsWorkerSettings(engine=sys.argv[1], drain_s=10)
sys.exit(asyncio.run(run(settings, ready=lambda address: print(json.dumps(address), flush=True))))
"""


@pytest.mark.parametrize("engine", ["sine", "espeak"])
async def test_as_a_process_it_drains_on_sigterm_and_leaves_nothing_behind(engine: str) -> None:
    source = Path(__file__).parents[3] / "src"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, engine, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": str(source)}
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            address = json.loads(await process.stdout.readline())
        children = child_pids(process.pid)
        assert bool(children) == (engine == "espeak")
        async with rpc.channel(address) as channel, talking(synthesis_pb2_grpc.TextToSpeechStub(channel)) as talk:
            await talk.text(1, "This sentence is finished before the worker goes.")
            await talk.until(lambda: talk.marks(1))
            process.send_signal(signal.SIGTERM)
            await talk.credit(1)
            await talk.end(1)
            assert (await talk.finished(1)).reason == pb.FINISH_REASON_COMPLETED
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 0
            while any(alive(pid) for pid in children):
                await asyncio.sleep(0.02)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def child_pids(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [child for child, parent in pairs if parent == pid]


def alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")
