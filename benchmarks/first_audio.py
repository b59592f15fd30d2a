"""What the orchestrator adds to a voice's own first audio.

A short text is given to the worker itself over gRPC, then to the orchestrator as something to say; again and again, in
turns. What is added is the time through the orchestrator less the median of the worker's own.
"""

from __future__ import annotations

import asyncio
import time

from base import rpc
from benchmarks import solo
from benchmarks.listener import Listener
from benchmarks.rows import Budget, Row, percentile, spread
from benchmarks.stack import stack
from benchmarks.suite import Options
from orchestrator import messages as m
from orchestrator import wire
from orchestrator.ports import VoiceChoice
from pb.antiphon.v1 import synthesis_pb2_grpc

TEXT = "Yes."


def run(options: Options) -> list[Row]:
    options.note("first_audio")
    with stack() as made:
        direct, through = solo.run(_scene(made.voice.address, made.orchestrator.address, options.pick(60, 20)))
    own = percentile(direct, 50)
    return [
        spread("what the orchestrator adds to first audio", "ms", [x - own for x in through], Budget(15)),
        spread("text to first audio, at the worker itself (sine)", "ms", direct),
        spread("text to first audio, through the orchestrator", "ms", through),
    ]


async def _scene(voice: str, address: str, count: int) -> tuple[list[float], list[float]]:
    direct, through = [], []
    async with rpc.channel(voice) as channel, solo.users(address, solo.start()) as (listener,):
        stub = synthesis_pb2_grpc.TextToSpeechStub(channel)
        started = await stub.StartSession(wire.start_session(VoiceChoice(), listener.rate))
        stream = stub.Synthesize()
        await stream.write(wire.hello(started.session_id))
        for turn in range(1, count + 1):
            direct.append(await _direct(stream, started.session_id, turn) * 1000)
            through.append(await _through(listener) * 1000)
        await stream.done_writing()
        stream.cancel()
    return direct, through


async def _direct(stream, session: str, turn: int) -> float:  # type: ignore[no-untyped-def]
    begun = time.monotonic()
    await stream.write(wire.credit(session, turn, 48_000))
    await stream.write(wire.text(session, turn, 0, TEXT, "", VoiceChoice()))
    await stream.write(wire.end_of_turn(session, turn))
    first = None
    while True:
        frame = await stream.read()
        body = frame.WhichOneof("body")
        if body == "audio" and first is None:
            first = time.monotonic() - begun
        elif body == "turn_finished" and frame.turn == turn:
            assert first is not None
            return first


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
