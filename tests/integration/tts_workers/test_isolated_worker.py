"""A worker and its isolated models: loaded, lost and loaded again by the loader's rules, while others speak on."""

from __future__ import annotations

import asyncio
import sys

import grpc
import pytest

from pb.antiphon.v1 import synthesis_pb2 as pb
from pb.antiphon.v1 import synthesis_pb2_grpc
from tests.support.isolated_engines import ROOT, ROUGH, ignore_others, isolated_processes
from tests.support.tts import LIMIT_S, talking, worker
from tts_workers.catalogue import ENGINES
from tts_workers.settings import ModelSettings

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _others() -> None:
    ignore_others()


@pytest.fixture(autouse=True)
def rough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setitem(ENGINES, "rough", ROUGH)


async def test_a_worker_speaks_with_it_and_outlives_its_crash() -> None:
    async with worker(options={"isolate": True, "crash": True}) as stub, talking(stub) as talk:
        await talk.say(1, "Hello from another process.")
        assert (await talk.finished(1)).reason == pb.FINISH_REASON_COMPLETED
        assert talk.samples(1) > 48_000
        await talk.say(2, "Well [[crash]] then.")
        assert (await talk.finished(2)).reason == pb.FINISH_REASON_FAILED
        assert talk.errors(2)[0].reason == "ENGINE_CRASHED"
        turn = 3
        await talk.say(turn, "And here again.")
        while (await talk.finished(turn)).reason != pb.FINISH_REASON_COMPLETED:
            # Until the worker has noticed.
            assert talk.errors(turn)[0].reason == "ENGINE_CRASHED"
            turn += 1
            await talk.say(turn, "And here again.")
    assert not isolated_processes()


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ({"at_load": "hang"}, grpc.StatusCode.DEADLINE_EXCEEDED, "'big'"),
        ({"at_load": "hang holding the GIL"}, grpc.StatusCode.DEADLINE_EXCEEDED, "'big'"),
        ({"at_load": "segfault"}, grpc.StatusCode.UNAVAILABLE, "'big' crashed while it was loaded"),
        pytest.param(
            {"at_load": "swallow memory", "memory_limit_mb": 600},
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "'big' ran out of memory",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="limited by RLIMIT_DATA"),
        ),
        ({"isolate": 7}, grpc.StatusCode.FAILED_PRECONDITION, "'big'"),
    ],
)
async def test_a_load_that_fails_is_nobody_elses_business(
    options: dict[str, object], status: grpc.StatusCode, said: str
) -> None:
    both = (ModelSettings("tone", "sine"), ModelSettings("big", "rough", options))
    async with (
        worker(models=both, load_s=4.0) as stub,
        talking(stub, model="tone") as talk,
        asyncio.TaskGroup() as tasks,
    ):
        asked = tasks.create_task(refusal(stub))
        for turn in range(1, 4):
            await talk.say(turn, "Everybody else speaks on.")
            assert (await talk.finished(turn)).reason == pb.FINISH_REASON_COMPLETED
        error = await asked
        assert error.code() is status
        assert said in (error.details() or "")
        async with asyncio.timeout(LIMIT_S):
            while isolated_processes():
                await asyncio.sleep(0.05)


async def refusal(stub: synthesis_pb2_grpc.TextToSpeechStub) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.StartSession(pb.StartSessionRequest(model="big"))
    return refused.value
