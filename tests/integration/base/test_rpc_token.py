"""The shared token between real servers and clients of every kind of call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from antiphon.exits import FAILURE, OK
from asr import app as asr_app
from asr.settings import AsrWorkerSettings
from base import rpc
from base.errors import Denied, Misconfigured, Unauthenticated
from pb.antiphon.v1 import models_pb2, models_pb2_grpc, recognition_pb2, recognition_pb2_grpc, synthesis_pb2_grpc
from registry import app as registry_app
from registry.directory import directory
from registry.records import WorkerKind
from registry.settings import RegistrySettings
from registry.stores.remote import remote_store
from tests.support.records import worker
from tests.support.system import antiphon
from tts_workers import app as tts_app
from tts_workers.settings import TtsWorkerSettings

pytestmark = pytest.mark.integration

LIMIT_S = 30.0
TOKEN = "0123456789abcdef-shared-by-all"


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "worker-token"
    path.write_text(TOKEN + "\n")
    return str(path)


WRONG = rpc.Token(("another-token-than-theirs",))


@asynccontextmanager
async def registry(token_file: str) -> AsyncIterator[str]:
    async with registry_app.serving(RegistrySettings(port=0, drain_s=0, worker_token_file=token_file)) as served:
        yield served.address


async def test_a_registry_answers_who_has_the_token_and_nobody_else(token_file: str) -> None:
    token = rpc.read_token(token_file)
    async with registry(token_file) as address:
        for wrong, says in ((rpc.NONE, "carries no token"), (WRONG, "carries another token")):
            async with remote_store(address, token=wrong, deadline_s=LIMIT_S) as store:
                for attempt in (store.put(worker(), 5), store.snapshot(), store.remove("w1")):
                    with pytest.raises(Unauthenticated, match=says) as caught:
                        await attempt
                    assert caught.value.reason == "WORKER_TOKEN"
                    assert "worker_token_file" in caught.value.message
                with pytest.raises(Unauthenticated, match=says):
                    async with aclosing(store.watch()) as news:
                        await anext(news)
        async with remote_store(address, token=token, deadline_s=LIMIT_S) as store:
            await store.put(worker("mine"), 60)
            async with aclosing(store.watch()) as news:
                assert [w.id for w in (await anext(news)).workers] == ["mine"]


async def test_health_is_open_and_reflection_is_not(token_file: str) -> None:
    async with registry(token_file) as address, rpc.channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=LIMIT_S)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert await rpc.answers(channel, timeout_s=LIMIT_S)
        reflect: Any = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        call = reflect(timeout=LIMIT_S)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_workers_announce_themselves_with_it_and_ask_for_it(token_file: str) -> None:
    """Streams in and out, one request and many: each kind of call that a worker serves."""
    token = rpc.read_token(token_file)
    async with (
        registry(token_file) as address,
        tts_app.serving(TtsWorkerSettings(engine="sine", registry=address, worker_token_file=token_file)) as voice,
        asr_app.serving(AsrWorkerSettings(engine="scripted", registry=address, worker_token_file=token_file)) as ears,
        remote_store(address, token=token, deadline_s=LIMIT_S) as store,
        directory(store) as known,
    ):
        assert await known.wait_for(lambda w: {r.kind for r in w} == {WorkerKind.TTS, WorkerKind.ASR}, LIMIT_S)
        for served in (voice, ears):
            async with rpc.channel(served.address, token) as channel:
                manager: Any = models_pb2_grpc.ModelManagerStub(channel)
                assert (await manager.ListModels(models_pb2.ListModelsRequest(), timeout=LIMIT_S)).models
            async with rpc.channel(served.address) as channel:
                manager = models_pb2_grpc.ModelManagerStub(channel)
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await manager.ListModels(models_pb2.ListModelsRequest(), timeout=LIMIT_S)
                assert type(rpc.error_from_rpc(caught.value)) is Unauthenticated
        for wrong in (rpc.NONE, WRONG):
            async with rpc.channel(voice.address, wrong) as channel:
                synthesis: Any = synthesis_pb2_grpc.TextToSpeechStub(channel)
                assert await ended(synthesis.Synthesize(timeout=LIMIT_S)) is grpc.StatusCode.UNAUTHENTICATED
            async with rpc.channel(ears.address, wrong) as channel:
                hearing: Any = recognition_pb2_grpc.SpeechToTextStub(channel)
                assert await ended(hearing.Recognize(timeout=LIMIT_S)) is grpc.StatusCode.UNAUTHENTICATED
        async with rpc.channel(ears.address, token) as channel:
            hearing = recognition_pb2_grpc.SpeechToTextStub(channel)
            call = hearing.Recognize(timeout=LIMIT_S)
            await call.write(recognition_pb2.RecognizeRequest(config=recognition_pb2.RecognitionConfig()))
            await call.done_writing()
            assert await ended(call) is grpc.StatusCode.OK


async def test_a_directory_that_is_refused_says_so_once(token_file: str) -> None:
    with structlog.testing.capture_logs() as logged:
        async with registry(token_file) as address, remote_store(address, token=WRONG) as store, directory(store):
            async with asyncio.timeout(LIMIT_S):
                while not (said := [entry for entry in logged if entry["event"] == "registry.refused"]):
                    await asyncio.sleep(0.02)
    assert len(said) == 1
    assert "another token" in said[0]["message"]


async def ended(call: Any) -> grpc.StatusCode:
    """What a call of any kind ends with."""
    async with asyncio.timeout(LIMIT_S):
        try:
            while await call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as failed:
            code: grpc.StatusCode = failed.code()
            return code
        got: grpc.StatusCode = await call.code()
        return got


async def test_commands_show_the_token_that_a_variable_names(token_file: str, tmp_path: Path) -> None:
    async with (
        registry(token_file) as address,
        tts_app.serving(TtsWorkerSettings(engine="sine", registry=address, worker_token_file=token_file, id="mine")),
    ):
        arguments = ("--registry", address, "--json")
        with_it = {"ANTIPHON_WORKER_TOKEN_FILE": token_file}
        for command in (("workers",), ("models", "list"), ("voices",)):
            refused = await asyncio.to_thread(antiphon, *command, *arguments, cwd=tmp_path)
            assert refused.returncode == FAILURE
            assert "carries no token" in refused.stderr
            done = await asyncio.to_thread(antiphon, *command, *arguments, cwd=tmp_path, **with_it)
            assert done.returncode == OK, done.stderr
            assert "mine" in done.stdout or "sine" in done.stdout
        spoken = await asyncio.to_thread(
            antiphon, "say", "a", "--registry", address, "-o", "a.wav", cwd=tmp_path, **with_it
        )
        assert spoken.returncode == OK, spoken.stderr


async def test_services_refuse_to_serve_a_network_without_a_token() -> None:
    for serving in (
        registry_app.serving(RegistrySettings(host="0.0.0.0", port=0)),
        tts_app.serving(TtsWorkerSettings(host="0.0.0.0", engine="sine")),
        asr_app.serving(AsrWorkerSettings(host="0.0.0.0", engine="scripted", registry="")),
    ):
        with pytest.raises(Misconfigured, match="set worker_token_file"):
            async with serving:
                pass


def test_unauthenticated_is_a_denial() -> None:
    assert issubclass(Unauthenticated, Denied)
    assert Unauthenticated.code == "denied"
