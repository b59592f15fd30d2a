"""A worker's models over real gRPC: loaded when wanted, by turns, evicted, unloaded, told of at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest

from base import rpc
from base.errors import AntiphonError
from base.lifecycle import EXIT_WEDGED
from pb.antiphon.v1 import models_pb2 as models
from pb.antiphon.v1 import models_pb2_grpc, registry_pb2, synthesis_pb2, synthesis_pb2_grpc
from registry.app import serving as registry_serving
from registry.records import ModelState
from registry.settings import RegistrySettings
from registry.stores.memory import MemoryStore
from tests.support.house import until
from tests.support.tts import LIMIT_S, talking
from tts_workers.app import run, serving
from tts_workers.catalogue import ENGINES
from tts_workers.settings import ModelSettings, TtsWorkerSettings

pytestmark = pytest.mark.integration

LONG = "All of this takes quite a while to say, " * 12


@dataclass
class Here:
    tts: Any
    manager: Any
    address: str

    async def all(self) -> dict[str, models.ModelStatus]:
        return {m.id: m for m in (await self.manager.ListModels(models.ListModelsRequest())).models}

    async def state(self, id: str) -> str:
        return registry_pb2.ModelState.Name((await self.all())[id].state).removeprefix("MODEL_STATE_")

    async def wait(self, id: str, state: str) -> None:
        async with asyncio.timeout(LIMIT_S):
            while await self.state(id) != state:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def worker(*made: ModelSettings, **settings: Any) -> AsyncIterator[Here]:
    settings.setdefault("linger_s", 0.0)
    async with (
        serving(TtsWorkerSettings(models=made, **settings)) as running,
        rpc.channel(running.address) as channel,
    ):
        yield Here(
            synthesis_pb2_grpc.TextToSpeechStub(channel), models_pb2_grpc.ModelManagerStub(channel), running.address
        )


def sine(id: str, **options: Any) -> ModelSettings:
    return ModelSettings(id, "sine", options)


async def refused(call: Any) -> AntiphonError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return rpc.error_from_rpc(failed.value)


async def test_the_default_and_the_preload_list_are_there_at_the_start_and_the_rest_is_not() -> None:
    async with worker(sine("a"), sine("b"), sine("c"), default_model="b", preload=("c",)) as here:
        found = await here.all()
        assert [await here.state(id) for id in "abc"] == ["ABSENT", "READY", "READY"]
        assert (found["b"].pinned, found["c"].pinned) == (True, False)
        assert found["b"].engine == "sine"
        assert found["b"].device == "cpu"


async def test_a_session_of_an_absent_model_has_it_loaded_and_speaks_with_it() -> None:
    async with worker(sine("a"), sine("b", load_s=0.3)) as here:
        async with talking(here.tts, model="b", voice="low") as talk:
            await talk.say(1, "Hello.")
            finished = await talk.finished(1)
            assert finished.samples > 0
            assert not talk.errors(1)
        assert await here.state("b") == "READY"


async def test_a_thousand_sessions_of_one_absent_model_cause_one_load() -> None:
    async with worker(sine("a"), sine("b", load_s=0.5), max_unclaimed=2000, max_sessions=2000) as here:
        await asyncio.gather(
            *(here.tts.StartSession(synthesis_pb2.StartSessionRequest(model="b")) for _ in range(1000))
        )
        await here.wait("b", "READY")
        assert (await here.all())["b"].leases == 0


async def test_three_models_take_turns_under_a_cap_of_two_and_everybody_is_heard_to_the_end() -> None:
    made = (sine("idle"), sine("a"), sine("b"), sine("c"))
    async with (
        worker(*made, max_models=3, room_wait_s=20.0) as here,
        talking(here.tts, model="a") as one,
        talking(here.tts, model="b") as other,
    ):
        for turn in range(1, 4):
            for talk in (one, other):
                await talk.say(turn, "Now it is my turn to say something.")
                assert (await talk.finished(turn)).reason == synthesis_pb2.FINISH_REASON_COMPLETED
            async with talking(here.tts, model="c") as third:
                await third.say(1, "And mine.")
                assert (await third.finished(1)).reason == synthesis_pb2.FINISH_REASON_COMPLETED
            assert sum(m.state == registry_pb2.MODEL_STATE_READY for m in (await here.all()).values()) <= 3
        whole = {(one.samples(turn), other.samples(turn)) for turn in range(1, 4)}
        assert len(whole) == 1


async def test_no_room_is_told_with_what_is_in_the_way_and_when_to_try_again() -> None:
    async with (
        worker(sine("a"), sine("b"), max_models=1, room_wait_s=0.2) as here,
        talking(here.tts, model="b") as talk,
    ):
        await talk.reserve(1)
        (error,) = await talk.until(lambda: talk.errors(1))
        assert error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert error.reason == "NO_ROOM"
        assert error.retry_after_ms > 0
        assert "a (pinned)" in error.message


async def test_idle_sessions_pin_nothing() -> None:
    async with worker(sine("z"), sine("a"), sine("b"), max_models=2, room_wait_s=5.0) as here:
        started = [await here.tts.StartSession(synthesis_pb2.StartSessionRequest(model="a")) for _ in range(10)]
        assert len(started) == 10
        await here.wait("a", "READY")
        async with talking(here.tts, model="b") as talk:
            await talk.say(1, "Hello.")
            assert (await talk.finished(1)).samples > 0
        assert await here.state("a") == "ABSENT"


async def test_a_claim_goes_with_its_session() -> None:
    made = (sine("z"), sine("a", load_s=1.0), sine("b"))
    async with worker(*made) as here:
        loading = asyncio.ensure_future(here.manager.LoadModel(models.LoadModelRequest(model="a")))
        await here.wait("a", "LOADING")
        started = await here.tts.StartSession(synthesis_pb2.StartSessionRequest(model="b"))
        assert (await here.all())["b"].waiting == 1
        await here.tts.EndSession(synthesis_pb2.EndSessionRequest(session_id=started.session_id))
        assert (await here.all())["b"].waiting == 0
        await loading
        assert await here.state("b") == "ABSENT"


async def test_each_model_is_given_no_more_turns_than_its_engine_can_speak() -> None:
    async with (
        worker(sine("z"), sine("a", max_concurrent=1), slots=8) as here,
        talking(here.tts, model="a") as first,
        talking(here.tts, model="a") as second,
        talking(here.tts, model="z") as other,
    ):
        await first.reserve(1)
        await first.until(lambda: first.of(1, "reserved"))
        await second.say(1, "No room for me.")
        (error,) = await second.until(lambda: second.errors(1))
        assert (error.reason, error.code) == ("AT_CAPACITY", grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
        assert "'a'" in error.message
        await other.say(1, "There is for me.")
        assert (await other.finished(1)).reason == synthesis_pb2.FINISH_REASON_COMPLETED
        await first.control(1, "STOP")
        await first.finished(1)
        await second.say(2, "And now for me.")
        assert (await second.finished(2)).reason == synthesis_pb2.FINISH_REASON_COMPLETED


async def test_a_turn_holds_its_model_and_a_ttl_ends_it_afterwards() -> None:
    async with worker(sine("z"), sine("a"), ttl_s=0.2) as here, talking(here.tts, model="a") as talk:
        await talk.reserve(1)
        await talk.until(lambda: talk.of(1, "reserved"))
        await asyncio.sleep(0.4)
        listed = (await here.all())["a"]
        assert (listed.leases, listed.HasField("ttl_left_ms")) == (1, False)
        await talk.say(1, "Hello.")
        await talk.finished(1)
        await here.wait("a", "ABSENT")
        # And it comes back for the next turn.
        await talk.say(2, "Hello again.")
        assert (await talk.finished(2)).samples > 0


async def test_load_and_unload_on_request() -> None:
    async with worker(sine("z"), sine("a")) as here:
        loaded = (await here.manager.LoadModel(models.LoadModelRequest(model="a"))).model
        assert loaded.state == registry_pb2.MODEL_STATE_READY
        gone = (await here.manager.UnloadModel(models.UnloadModelRequest(model="a"))).model
        assert gone.state == registry_pb2.MODEL_STATE_ABSENT
        await here.manager.Prefetch(models.PrefetchRequest(model="a"))
        await here.wait("a", "READY")


async def test_a_model_in_use_is_unloaded_only_by_force_and_its_turn_is_told() -> None:
    async with worker(sine("z"), sine("a"), unload_drain_s=0.2) as here, talking(here.tts, model="a") as talk:
        await talk.credit(1, 4800)
        await talk.text(1, LONG)
        await talk.until(lambda: talk.of(1, "audio"))
        error = await refused(here.manager.UnloadModel(models.UnloadModelRequest(model="a")))
        assert (error.grpc_code, error.reason) == ("FAILED_PRECONDITION", "MODEL_IN_USE")
        await here.manager.UnloadModel(models.UnloadModelRequest(model="a", force=True))
        (told,) = await talk.until(lambda: talk.errors(1))
        assert told.reason == "MODEL_UNLOADED"
        assert (await talk.finished(1)).reason == synthesis_pb2.FINISH_REASON_FAILED
        # The stream goes on, and the next turn has it loaded again.
        await talk.say(2, "Hello.")
        assert (await talk.finished(2)).samples > 0


async def test_by_force_a_turn_may_finish_in_its_time() -> None:
    async with worker(sine("z"), sine("a"), unload_drain_s=15.0) as here, talking(here.tts, model="a") as talk:
        await talk.credit(1, 4800)
        await talk.text(1, "Hello.")
        await talk.until(lambda: talk.of(1, "audio"))
        gone = asyncio.ensure_future(here.manager.UnloadModel(models.UnloadModelRequest(model="a", force=True)))
        await here.wait("a", "DRAINING")
        await talk.credit(1)
        await talk.end(1)
        assert (await talk.finished(1)).reason == synthesis_pb2.FINISH_REASON_COMPLETED
        assert (await gone).model.state == registry_pb2.MODEL_STATE_ABSENT


@pytest.mark.parametrize(
    ("model", "code", "reason", "says"),
    [
        ("nobody", "NOT_FOUND", "UNKNOWN_MODEL", "z, broken, large"),
        ("broken", "UNAVAILABLE", "LOAD_FAILED", "no such file"),
        ("large", "FAILED_PRECONDITION", "MODEL_TOO_LARGE", "500 MiB"),
    ],
)
async def test_what_cannot_be_loaded_says_why(model: str, code: str, reason: str, says: str) -> None:
    made = (sine("z"), sine("broken", load_error="no such file"), ModelSettings("large", "sine", memory_mb=500))
    async with worker(*made, memory_mb=100) as here, talking(here.tts) as neighbour:
        await neighbour.say(1, LONG)
        error = await refused(here.manager.LoadModel(models.LoadModelRequest(model=model)))
        assert (error.grpc_code, error.reason) == (code, reason)
        assert says in error.message
        assert model in error.message
        again = await refused(here.tts.StartSession(synthesis_pb2.StartSessionRequest(model=model)))
        assert (again.grpc_code, again.reason) == (code, reason)
        assert (await neighbour.finished(1)).reason == synthesis_pb2.FINISH_REASON_COMPLETED
        assert not neighbour.errors(1)


async def test_a_model_whose_inspection_breaks_is_no_harm_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "heavy", "tests.support.heavy_engine:BrokenInspection")
    async with worker(sine("z"), ModelSettings("a", "heavy")) as here, talking(here.tts) as talk:
        await talk.say(1, "Hello.")
        assert (await talk.finished(1)).reason == synthesis_pb2.FINISH_REASON_COMPLETED


async def test_changes_are_watched() -> None:
    async with worker(sine("z"), sine("a", load_s=0.1)) as here:
        call = here.manager.WatchModels(models.WatchModelsRequest())
        seen: list[str] = []

        async def watch() -> None:
            async for change in call:
                state = next(m.state for m in change.models if m.id == "a")
                seen.append(registry_pb2.ModelState.Name(state).removeprefix("MODEL_STATE_"))

        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch())
            await until(lambda: seen == ["ABSENT"], "the first list")
            await here.manager.LoadModel(models.LoadModelRequest(model="a"))
            await here.manager.UnloadModel(models.UnloadModelRequest(model="a"))
            await until(lambda: seen[-1] == "ABSENT" and len(seen) > 1, "the last")
            watching.cancel()
        assert [s for i, s in enumerate(seen) if i == 0 or s != seen[i - 1]][:4] == [
            "ABSENT",
            "LOADING",
            *(["WARMING"] if "WARMING" in seen else []),
            "READY",
        ][:4]


async def test_the_registry_is_told_at_once() -> None:
    store = MemoryStore()
    seen: list[ModelState] = []

    async def look() -> None:
        while True:
            for record in await store.snapshot():
                state = next((m.state for m in record.models if m.id == "a"), None)
                if state is not None and (not seen or seen[-1] is not state):
                    seen.append(state)
            await asyncio.sleep(0.01)

    async with registry_serving(RegistrySettings(port=0), store) as registry, asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(look())
        async with worker(sine("z"), sine("a", load_s=0.5), registry=registry.address, id="me") as here:
            await until(lambda: seen == [ModelState.ABSENT], "it to be announced")
            await here.manager.LoadModel(models.LoadModelRequest(model="a"))
            await until(lambda: seen[-1] is ModelState.READY, "it to be ready")
        looking.cancel()
    assert seen[:2] == [ModelState.ABSENT, ModelState.LOADING]


async def test_a_load_that_hangs_ends_the_worker_with_a_code_of_its_own_after_its_turns() -> None:
    settings = TtsWorkerSettings(models=(sine("z"), sine("hangs", load_s=60.0)), load_s=0.3)
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(run(settings, ready=address.set_result))
    async with rpc.channel(await address) as channel:
        manager: Any = models_pb2_grpc.ModelManagerStub(channel)
        async with talking(synthesis_pb2_grpc.TextToSpeechStub(channel)) as talk:
            await talk.credit(1, 4800)
            await talk.text(1, "Hello.")
            await talk.until(lambda: talk.of(1, "audio"))
            error = await refused(manager.LoadModel(models.LoadModelRequest(model="hangs")))
            assert (error.grpc_code, error.reason) == ("DEADLINE_EXCEEDED", "LOAD_TIMEOUT")
            await talk.credit(1)
            await talk.end(1)
            assert (await talk.finished(1)).reason == synthesis_pb2.FINISH_REASON_COMPLETED
    async with asyncio.timeout(LIMIT_S):
        assert await running == EXIT_WEDGED


async def test_a_voice_keeps_its_loudness_in_a_session_though_its_model_was_evicted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with worker(sine("z"), sine("a")) as here, talking(here.tts, model="a") as talk:
        await talk.say(1, "Hello.")
        await talk.finished(1)
        await here.manager.UnloadModel(models.UnloadModelRequest(model="a"))
        # As a voice with a random element, only more so: half as loud when it is loaded again.
        monkeypatch.setattr("tts_workers.engines.sine.AMPLITUDE", 0.15)
        await talk.say(2, "Hello.")
        await talk.finished(2)
        assert level(talk.audio(2)) == pytest.approx(level(talk.audio(1)) / 2, rel=0.01)
        async with talking(here.tts, model="a") as other:
            await other.say(1, "Hello.")
            await other.finished(1)
            assert level(other.audio(1)) == pytest.approx(level(talk.audio(1)), rel=0.01)


def level(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(np.frombuffer(pcm, dtype="<i2").astype(np.float64) ** 2)))


@pytest.mark.skipif(sys.platform != "linux", reason="told by /proc")
async def test_what_a_model_takes_of_the_workers_memory_is_measured_unless_the_operator_has_said_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ENGINES, "heavy", "tests.support.heavy_engine:HeavyEngine")
    made = (sine("z"), ModelSettings("a", "heavy", {"size_mb": 60}), ModelSettings("b", "heavy", memory_mb=7))
    async with worker(*made) as here:
        for id in "ab":
            await here.manager.LoadModel(models.LoadModelRequest(model=id))
        found = await here.all()
        assert 50_000_000 < found["a"].bytes < 90_000_000
        assert found["b"].bytes == 7 * 2**20
        await here.manager.UnloadModel(models.UnloadModelRequest(model="a"))
        async with talking(here.tts) as talk:
            # Somebody speaks while it loads again: what was measured before stands.
            await talk.credit(1, 4800)
            await talk.text(1, LONG)
            await talk.until(lambda: talk.of(1, "audio"))
            await here.manager.LoadModel(models.LoadModelRequest(model="a"))
        assert (await here.all())["a"].bytes == found["a"].bytes
