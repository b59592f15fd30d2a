"""Streams that end at any moment leave nothing: no session, slot, engine thread or task."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest

from base import rpc
from pb.antiphon.v1 import synthesis_pb2 as pb
from pb.antiphon.v1 import synthesis_pb2_grpc
from tests.support.tts import LIMIT_S, Talk, talking, worker
from tts_workers.app import serving
from tts_workers.settings import TtsWorkerSettings

pytestmark = pytest.mark.integration

GAUGES = ("antiphon_tts_sessions", "antiphon_tts_slots_used", "antiphon_tts_engine_threads")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def gauges(port: int) -> dict[str, float]:
    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LIMIT_S) as answer:
            return answer.read().decode()

    lines = (await asyncio.to_thread(read)).splitlines()
    return {name: float(value) for name, _, value in (line.partition(" ") for line in lines) if name in GAUGES}


async def until_nothing_is_left(port: int, tasks: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while (now := await gauges(port)) != dict.fromkeys(GAUGES, 0.0) or len(asyncio.all_tasks()) > tasks:
            await asyncio.sleep(0.02)
    assert now.keys() == set(GAUGES)


@pytest.mark.parametrize("engine", ["sine", "espeak"])
async def test_a_stream_cancelled_at_any_moment(engine: str) -> None:
    port = free_port()
    async with worker(engine=engine, metrics_port=port, slots=4, claim_s=0.3) as stub:
        tasks = len(asyncio.all_tasks())
        for moment in range(24):
            async with talking(stub) as talk:
                await talk.reserve(1)
                if moment > 3:
                    await talk.say(1, "Once upon a time, ", "there was a stream that ended early. " * 20)
                if moment > 6:
                    await talk.until(lambda talk=talk, moment=moment: len(talk.frames) >= moment - 6)
                if moment % 4 == 1:
                    await talk.control(1, "PAUSE")
                if moment % 4 == 2:
                    await talk.control(1, "STOP")
                    await talk.say(2, "Another one.")
        await until_nothing_is_left(port, tasks)


async def test_a_stream_cancelled_while_its_engine_hangs() -> None:
    port = free_port()
    async with worker(metrics_port=port) as stub:
        tasks = len(asyncio.all_tasks())
        async with talking(stub) as talk:
            await talk.say(1, "Well [[stall 30]] and on")
            await talk.until(lambda: talk.samples(1) > 0)
        await until_nothing_is_left(port, tasks)


async def test_speak_cancelled_at_any_moment() -> None:
    port = free_port()
    async with worker(metrics_port=port) as stub:
        tasks = len(asyncio.all_tasks())
        for frames in range(8):
            call = stub.Speak(pb.SpeakRequest(text="x" * 3000))
            for _ in range(frames):
                assert await call.read() is not grpc.aio.EOF
            call.cancel()
        await until_nothing_is_left(port, tasks)


async def test_a_worker_that_stops_ends_its_streams() -> None:
    before = len(asyncio.all_tasks())
    async with AsyncExitStack() as client:
        async with serving(TtsWorkerSettings(engine="sine")) as running:
            channel = await client.enter_async_context(rpc.channel(running.address))
            stub = synthesis_pb2_grpc.TextToSpeechStub(channel)
            talk = await client.enter_async_context(talking(stub))
            await talk.text(1, "x" * 1000)
            await talk.credit(1, 9600)
            await talk.until(lambda: talk.samples(1) == 9600)
        await talk.until(lambda: talk.status is not None)
        assert talk.status is grpc.StatusCode.UNAVAILABLE
    async with asyncio.timeout(LIMIT_S):
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.02)


async def test_an_engine_for_one_turn_at_a_time_is_given_one() -> None:
    async with worker(options={"max_concurrent": 1}) as stub, talking(stub) as first, talking(stub) as second:
        await first.reserve(1)
        await first.until(lambda: first.of(1, "reserved"))
        await second.say(1, "No room for me.")
        assert (await second.finished(1)).reason == pb.FINISH_REASON_FAILED
        assert second.errors(1)[0].reason == "AT_CAPACITY"


@asynccontextmanager
async def not_reading() -> AsyncIterator[tuple[Talk, Any]]:
    """A stream whose client reads nothing, and whose worker waits to write; and a stub with another connection."""
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(serving(TtsWorkerSettings(engine="sine", registry="")))
        stubs = [
            synthesis_pb2_grpc.TextToSpeechStub(await stack.enter_async_context(rpc.channel(running.address)))
            for _ in range(2)
        ]
        started = await stubs[0].StartSession(pb.StartSessionRequest())
        talk = Talk(stubs[0], started.session_id)
        await talk.say(0, "word " * 790)
        sent, before = 1, 0
        async with asyncio.timeout(LIMIT_S):
            while sent != before:  # until it writes no more
                await asyncio.sleep(0.3)
                asked = pb.ControlRequest(session_id=talk.session, turn=0, action=pb.CONTROL_ACTION_RESUME)
                before, sent = sent, (await stubs[1].Control(asked)).samples_sent
        assert 0 < sent < 200 * 48_000
        yield talk, stubs[1]
        talk.call.cancel()


async def until_unknown(talk: Talk, stub: Any) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            call = stub.Control(pb.ControlRequest(session_id=talk.session, action=pb.CONTROL_ACTION_RESUME))
            if await call.code() is grpc.StatusCode.NOT_FOUND:
                return
            await asyncio.sleep(0.02)


async def test_end_session_ends_a_stream_that_nobody_reads() -> None:
    async with not_reading() as (talk, stub):
        await stub.EndSession(pb.EndSessionRequest(session_id=talk.session))
        await until_unknown(talk, stub)
        await asyncio.wait_for(talk.read(), LIMIT_S)
        assert talk.status is grpc.StatusCode.OK


async def test_who_never_reads_is_cut_off_though_the_worker_waits_to_write() -> None:
    async with not_reading() as (talk, stub):
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            async with asyncio.timeout(LIMIT_S):
                for turn in range(1, 3_000):
                    await talk.end(turn)
        await until_unknown(talk, stub)
        await asyncio.wait_for(talk.read(), LIMIT_S)
        assert talk.status is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "read the stream" in await talk.call.details()
