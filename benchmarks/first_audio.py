"""What the orchestrator adds to a voice's own first audio.

A short text is given to the worker itself over gRPC, by the orchestrator's own client code, then to the orchestrator as
something to say, then to the worker again. What is added is the time through the orchestrator, WebSocket included, less
the median of the worker's own.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc.aio

from base import rpc
from benchmarks import solo
from benchmarks.listener import Listener, Lost
from benchmarks.rows import Budget, Row, percentile, spread
from benchmarks.stack import stack
from benchmarks.suite import Options
from orchestrator import messages as m
from orchestrator.clients.stream import Stream
from pb.antiphon.v1 import synthesis_pb2 as pb
from pb.antiphon.v1 import synthesis_pb2_grpc

TEXT = "Yes."


def run(options: Options) -> list[Row]:
    options.note("first_audio")
    with stack() as made:
        direct, through = solo.run(_scene(made.voice.address, made.orchestrator.address, options.pick(40, 15)))
    own = percentile(direct, 50)
    return [
        spread("what the orchestrator adds to first audio", "ms", [x - own for x in through], Budget(15)),
        spread("text to first audio, at the worker itself (sine)", "ms", direct),
        spread("text to first audio, through the orchestrator", "ms", through),
    ]


async def _scene(voice: str, address: str, count: int) -> tuple[list[float], list[float]]:
    direct = await _at_worker(voice, count)
    through = await _at_listener(address, count)
    return direct + await _at_worker(voice, count), through


async def _at_worker(voice: str, count: int) -> list[float]:
    async with rpc.channel(voice) as channel:
        worker = Worker(channel, await session(channel, 48_000))
        reading = asyncio.create_task(worker.run())
        found = [await worker.first_audio(turn) * 1000 for turn in range(1, count + 1)]
        worker.leave()
        await reading
    return found


async def _at_listener(address: str, count: int) -> list[float]:
    async with solo.users(address, solo.start()) as (listener,):
        return [await _through(listener) * 1000 for _ in range(count)]


async def session(channel: grpc.aio.Channel, rate: int) -> str:
    stub = synthesis_pb2_grpc.TextToSpeechStub(channel)
    started = await stub.StartSession(pb.StartSessionRequest(format=pb.AudioFormat(sample_rate=rate)))
    return str(started.session_id)


class Worker:
    """The worker itself, spoken to by the orchestrator's own client code."""

    def __init__(self, channel: grpc.aio.Channel, session: str, text: str = TEXT) -> None:
        self._session = session
        self._text = text
        call = synthesis_pb2_grpc.TextToSpeechStub(channel).Synthesize()
        self._stream: Stream[pb.TextChunk, pb.AudioFrame] = Stream(call, "bench")
        self._send(0, flush=pb.Flush())
        self._first_s: float | None = None
        self._finished = asyncio.Event()

    async def run(self) -> None:
        await self._stream.run(self._take)

    def leave(self) -> None:
        self._stream.leave_nowait()

    async def first_audio(self, turn: int) -> float:
        """Seconds from text to audio; waits for the turn's end."""
        self._first_s = None
        self._finished.clear()
        begun = time.monotonic()
        self._send(turn, credit=pb.Credit(until_sample=48_000))
        self._send(turn, text=pb.Text(text=self._text))
        self._send(turn, end_of_turn=pb.EndOfTurn())
        async with asyncio.timeout(10):
            await self._finished.wait()
        if self._first_s is None:
            raise Lost(f"the worker gave no audio for {self._text!r}")
        return self._first_s - begun

    def _send(self, turn: int, **body: Any) -> None:
        self._stream.send_nowait(pb.TextChunk(session_id=self._session, turn=turn, **body))

    def _take(self, frame: pb.AudioFrame) -> None:
        body = frame.WhichOneof("body")
        if body == "audio" and self._first_s is None:
            self._first_s = time.monotonic()
        elif body == "turn_finished":
            self._finished.set()


async def _through(listener: Listener) -> float:
    turns = len(listener.log.first_frame_s)
    finished = listener.count(m.TurnFinished)
    begun = time.monotonic()
    listener.send(m.TextInput(text=TEXT, mode="say"))
    await listener.until(lambda: len(listener.log.first_frame_s) > turns, "first audio")
    first = max(listener.log.first_frame_s.values())
    await listener.until(lambda: listener.count(m.TurnFinished) > finished, "turn_finished")
    await asyncio.sleep(0.02)
    return first - begun
