"""From a control's request to the last frame that the client gets, at a TTS worker of its own.

One session is controlled, alone and with 39 others being spoken to at real time, each at its own phase; all in one
process beside the worker's, whose reading of forty streams is in the figures. What is measured is an upper bound of the
worker's own time: the later of the answer and the last frame of audio, as the client got them. For RESUME it is the
first frame.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

import grpc

from base import rpc
from benchmarks.rows import Budget, Row, spread
from benchmarks.stack import processes
from benchmarks.suite import Options
from pb.antiphon.v1 import synthesis_pb2 as pb
from pb.antiphon.v1 import synthesis_pb2_grpc

ENGINES = ("sine", "espeak")
SESSIONS = 40
RATE = 48_000
TEXT = "The quick brown fox jumps over the lazy dog, and then it does so again. " * 6
FULL_STEP_S = 0.4
"""Credit comes in steps of this, as an orchestrator grants it."""
QUICK_STEP_S = 0.02
"""To the session that is measured, so that a frame is always on its way."""
QUIET_S = 0.1


def run(options: Options) -> list[Row]:
    times = options.pick(60, 15)
    with processes() as made:
        addresses = {
            engine: made.service("tts-worker", "--engine", engine, "--slots", "128").address for engine in ENGINES
        }
        return asyncio.run(_measure_all(addresses, times, options))


async def _measure_all(addresses: dict[str, str], times: int, options: Options) -> list[Row]:
    rows = []
    for engine, address in addresses.items():
        for sessions, limit in ((1, 5.0), (SESSIONS, 50.0)):
            options.note(f"control: {engine}, {sessions} sessions")
            found = await _measure(address, sessions, times)
            many = "alone" if sessions == 1 else f"{sessions} sessions"
            rows += [spread(f"{name}, {engine}, {many}", "ms", found[name], Budget(limit)) for name in found]
    return rows


async def _measure(address: str, sessions: int, times: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"PAUSE → last frame": [], "RESUME → first frame": [], "STOP → last frame": []}
    async with rpc.channel(address) as channel, asyncio.TaskGroup() as tasks:
        stub = synthesis_pb2_grpc.TextToSpeechStub(channel)
        # Each at its own phase: people do not begin to be spoken to at one instant.
        listeners = [await _open(stub, FULL_STEP_S * n / sessions) for n in range(sessions)]
        running = [tasks.create_task(listener.run()) for listener in listeners]
        first = listeners[0]
        first.step_s = QUICK_STEP_S
        dice = random.Random(1)
        for i in range(times):
            await first.flowing()
            await asyncio.sleep(dice.uniform(0.0, 0.04))
            found["PAUSE → last frame"].append(await first.control("PAUSE"))
            found["RESUME → first frame"].append(await first.control("RESUME"))
            if i % 2:
                found["STOP → last frame"].append(await first.control("STOP"))
        for task in running:
            task.cancel()
    return found


@dataclass(slots=True)
class _Listener:
    """A session that is spoken to without end, at real time."""

    stub: Any
    session: str
    call: Any
    phase_s: float
    """It begins so much later than the first."""
    step_s: float = FULL_STEP_S
    turn: int = 0
    credit: int = 0
    last_audio: float = 0.0
    finished: set[int] = field(default_factory=set)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            tasks.create_task(self._grant())

    async def flowing(self) -> None:
        """Returns at the next frame of audio."""
        since = self.last_audio
        await self._until(lambda: self.last_audio > since)

    async def control(self, action: str) -> float:
        """Sends it and returns how long it took, in ms."""
        turn = self.turn
        request = pb.ControlRequest(session_id=self.session, turn=turn, action=f"CONTROL_ACTION_{action}")
        sent = time.perf_counter()
        if action == "RESUME":
            before = self.last_audio
            await self.stub.Control(request)
            await self._until(lambda: self.last_audio > before)
            return (self.last_audio - sent) * 1000
        await self.stub.Control(request)
        answered = time.perf_counter()
        if action == "STOP":
            await self._until(lambda: turn in self.finished)
        else:
            await asyncio.sleep(QUIET_S)
        return (max(answered, self.last_audio if self.turn == turn else 0.0) - sent) * 1000

    async def _until(self, condition: Any) -> None:
        async with asyncio.timeout(20), self.news:
            while not condition():
                await self.news.wait()

    async def _read(self) -> None:
        while (frame := await self.call.read()) is not grpc.aio.EOF:
            body = frame.WhichOneof("body")
            if body == "audio" and frame.turn == self.turn:
                self.last_audio = time.perf_counter()
            elif body == "turn_finished":
                self.finished.add(frame.turn)
            async with self.news:
                self.news.notify_all()

    async def _grant(self) -> None:
        """Turn after turn; credit as time passes."""
        await asyncio.sleep(self.phase_s)
        while True:
            self.turn += 1
            self.credit = RATE // 5
            await self._send(credit=pb.Credit(until_sample=self.credit))
            await self._send(text=pb.Text(text=TEXT))
            await self._send(end_of_turn=pb.EndOfTurn())
            due = time.perf_counter()
            while self.turn not in self.finished:
                due += self.step_s
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                self.credit += round(RATE * self.step_s)
                await self._send(credit=pb.Credit(until_sample=self.credit))

    async def _send(self, **body: Any) -> None:
        await self.call.write(pb.TextChunk(session_id=self.session, turn=self.turn, **body))


async def _open(stub: Any, phase_s: float) -> _Listener:
    started = await stub.StartSession(pb.StartSessionRequest(format=pb.AudioFormat(sample_rate=RATE)))
    return _Listener(stub, started.session_id, stub.Synthesize(), phase_s)


if __name__ == "__main__":
    for row in run(Options(quick=True, note=print)):
        print(f"{row.name:45} p50 {row.median or 0:6.2f} ms   p95 {row.p95 or 0:6.2f} ms   {row.verdict}")
