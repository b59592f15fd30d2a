"""Ears by lease: what is said while they load is heard afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asr.app import serving
from asr.ears import Ears, Failed, News
from asr.engines.scripted import ScriptedRecognizer
from asr.house import EarsLoading, LeasedEars
from asr.in_process import in_process_ears
from asr.recognizer import Final, RecognizerConfig
from asr.settings import AsrWorkerSettings
from base import rpc
from base.errors import AtCapacity, Unavailable
from pb.antiphon.v1 import models_pb2, models_pb2_grpc, registry_pb2
from tests.support.house import until
from worker.loader import Loader
from worker.residency_values import Limits, ModelPlan, State

pytestmark = pytest.mark.integration

PCM = bytes(3200)


class House:
    """One session of leased ears, and what it was told."""

    def __init__(self, ears: LeasedEars, loader: Loader[Ears], gate: asyncio.Event) -> None:
        self.ears = ears
        self.loader = loader
        self.gate = gate
        self.news: list[News] = []
        self.opened = 0
        self.fault: Exception | None = None

    def ends(self) -> list[News]:
        return [n for n in self.news if isinstance(n, Final | Failed)]

    def state(self) -> State:
        return self.loader.state("scripted")

    def leases(self) -> int:
        return self.loader.statuses()[0].leases


@asynccontextmanager
async def house(*said: str, slots: int = 4, linger_s: float = 0.0, **plan: Any) -> AsyncIterator[House]:
    gate = asyncio.Event()
    gate.set()
    async with asyncio.TaskGroup() as tasks:

        @asynccontextmanager
        async def opens() -> AsyncIterator[Ears]:
            made.opened += 1
            await gate.wait()
            if made.fault is not None:
                raise made.fault
            async with in_process_ears(ScriptedRecognizer(said, word_s=0.05), slots=slots) as ears:
                yield ears

        plans = [ModelPlan("scripted", **plan)]
        loader: Loader[Ears] = Loader(plans, Limits(drain_s=0.1), lambda id, lost: EarsLoading(opens, tasks, lost))
        info = ScriptedRecognizer(said).info
        ears = LeasedEars("scripted", info, loader, slots=slots, check=lambda _: (), linger_s=linger_s)
        made = House(ears, loader, gate)
        try:
            yield made
        finally:
            gate.set()
            await loader.close(10.0)


async def test_what_is_said_while_the_model_loads_is_heard_afterwards() -> None:
    async with house("hello there") as made:
        made.gate.clear()
        hearing = made.ears.open(RecognizerConfig("en")).begin_nowait(1, 0, made.news.append)
        for _ in range(5):
            hearing.push_nowait(PCM)
        hearing.finish_nowait()
        await until(lambda: made.opened, "a load")
        assert made.news == []
        made.gate.set()
        await until(made.ends, "the final")
        (final,) = made.ends()
        assert isinstance(final, Final)
        assert final.text == "hello there"
        await until(lambda: made.leases() == 0, "the lease to be over")


async def test_an_utterance_holds_the_model_and_its_end_lets_it_go() -> None:
    async with house("one", "two", ttl_s=0.0) as made:
        session = made.ears.open(RecognizerConfig("en"))
        hearing = session.begin_nowait(1, 0, made.news.append)
        await until(lambda: made.leases() == 1, "a lease")
        hearing.push_nowait(PCM)
        hearing.finish_nowait()
        await until(lambda: made.state() is State.ABSENT and made.ends(), "it to go")
        session.begin_nowait(2, 0, made.news.append).finish_nowait()
        await until(lambda: len(made.ends()) == 2, "the next final")
        assert made.opened == 2


async def test_a_model_that_cannot_be_loaded_fails_its_utterances_with_the_reason() -> None:
    async with house() as made:
        made.fault = Unavailable("no model file", reason="NO_DECODER")
        hearing = made.ears.open(RecognizerConfig("en")).begin_nowait(1, 0, made.news.append)
        hearing.push_nowait(PCM)
        await until(made.ends, "the failure")
        (failed,) = made.ends()
        assert isinstance(failed, Failed)
        assert failed.error.message == "no model file"
        with pytest.raises(Unavailable):
            made.ears.open(RecognizerConfig("en")).begin_nowait(2, 0, made.news.append)


async def test_a_load_that_breaks_in_a_group_of_tasks_fails_its_utterance_and_no_more() -> None:
    async with house() as made:
        made.fault = ExceptionGroup("tasks", [Unavailable("no child starts", reason="NO_DECODER")])
        made.ears.open(RecognizerConfig("en")).begin_nowait(1, 0, made.news.append)
        await until(made.ends, "the failure")
        (failed,) = made.ends()
        assert isinstance(failed, Failed)
        assert failed.error.message == "no child starts"


async def test_a_full_house_refuses_and_keeps_no_lease() -> None:
    async with house("a", "b", slots=1) as made:
        await made.loader.load("scripted")
        session = made.ears.open(RecognizerConfig("en"))
        other = made.ears.open(RecognizerConfig("en"))
        session.begin_nowait(1, 0, made.news.append)
        with pytest.raises(AtCapacity):
            other.begin_nowait(1, 0, made.news.append)
        assert made.leases() == 1


@pytest.mark.parametrize("ready", [True, False])
async def test_a_cancelled_utterance_tells_nothing_and_leaves_nothing(ready: bool) -> None:
    async with house("a") as made:
        if ready:
            await made.loader.load("scripted")
        else:
            made.gate.clear()
        session = made.ears.open(RecognizerConfig("en"))
        session.begin_nowait(1, 0, made.news.append).cancel_nowait()
        session.begin_nowait(2, 0, made.news.append)
        session.close_nowait()
        made.gate.set()
        await until(lambda: made.state() is State.READY, "the load to end")
        assert made.leases() == 0
        assert made.news == []


async def test_by_force_an_utterance_is_told() -> None:
    async with house("a") as made:
        made.ears.open(RecognizerConfig("en")).begin_nowait(1, 0, made.news.append)
        await until(lambda: made.leases() == 1, "a lease")
        await made.loader.unload("scripted", force=True)
        (failed,) = made.ends()
        assert isinstance(failed, Failed)
        assert failed.error.reason == "MODEL_UNLOADED"


async def test_a_worker_has_a_model_manager_too() -> None:
    settings = AsrWorkerSettings(engine="scripted", registry="", script=("hello",))
    async with serving(settings) as running, rpc.channel(running.address) as channel:
        manager: Any = models_pb2_grpc.ModelManagerStub(channel)
        (listed,) = (await manager.ListModels(models_pb2.ListModelsRequest())).models
        assert (listed.id, listed.state, listed.pinned) == ("scripted", registry_pb2.MODEL_STATE_READY, True)
        gone = await manager.UnloadModel(models_pb2.UnloadModelRequest(model="scripted"))
        assert gone.model.state == registry_pb2.MODEL_STATE_ABSENT
        back = await manager.LoadModel(models_pb2.LoadModelRequest(model="scripted"))
        assert back.model.state == registry_pb2.MODEL_STATE_READY
