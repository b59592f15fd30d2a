"""Many people at one recogniser: who is refused, and how late the others' finals come.

Two kinds of crowd. *Together*: all end their sentence at the same moment, the worst that a queue of last decodes can
meet. *At ease*: each says sentences with pauses of up to twice their length, as people in conversations do.

Audio comes as an orchestrator sends it: in real time, with the detector's 200 ms of silence at the end. What is counted
runs from the last voiced sample.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from base import rpc
from benchmarks import solo, speech
from benchmarks.rows import percentile
from benchmarks.sentences import SENTENCES
from benchmarks.stack import processes
from pb.antiphon.v1 import recognition_pb2_grpc as rpc_pb
from pb.antiphon.v1.recognition_pb2 import Final
from tests.support.recognition import PIECE, Stream

PIECE_S = 0.1
HANGOVER_S = 0.2
MOONSHINE = ("--engine", "moonshine")


@dataclass(slots=True)
class Crowd:
    """`lags`: seconds from the end of speech to its final; `told`: to the refusal, from the first sample."""

    lags: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    empty: int = 0

    def __str__(self) -> str:
        figures = " ".join(f"{x:.2f}" for x in (percentile(self.lags, 50), percentile(self.lags, 95), max(self.lags)))
        told = f", told after {max(self.told):.2f} s at most" if self.told else ""
        return f"{len(self.told)} refused{told}; {len(self.lags)} heard, p50/p95/max {figures} s; {self.empty} empty"


async def together(stub: rpc_pb.SpeechToTextAsyncStub, clips: Sequence[bytes], crowd: Crowd) -> None:
    """One clip each; they begin so that they all end at once."""
    streams = [Stream(stub) for _ in clips]
    await asyncio.gather(*(s.open(language="en") for s in streams))
    longest = max(map(len, clips))
    begin = time.monotonic() + 0.2
    waits = [(longest - len(clip)) / PIECE * PIECE_S for clip in clips]
    said = zip(streams, clips, waits, strict=True)
    await asyncio.gather(*(_say(stream, 1, clip, begin + wait, crowd) for stream, clip, wait in said))
    for stream in streams:
        await stream.done()


async def at_ease(stub: rpc_pb.SpeechToTextAsyncStub, clips: Sequence[bytes], turns: int, crowd: Crowd) -> None:
    """So many turns each."""
    await asyncio.gather(*(_converse(Stream(stub), n, clips, turns, crowd) for n in range(len(clips))))


async def _converse(stream: Stream, number: int, clips: Sequence[bytes], turns: int, crowd: Crowd) -> None:
    rng = random.Random(number)
    await stream.open(language="en")
    for turn in range(turns):
        clip = clips[(number * 5 + turn) % len(clips)]
        pause_s = rng.uniform(0.0, 2.0) * len(clip) / PIECE * PIECE_S
        await _say(stream, turn + 1, clip, time.monotonic() + pause_s, crowd)
    await stream.done()


async def _say(stream: Stream, utterance: int, clip: bytes, begin: float, crowd: Crowd) -> None:
    await asyncio.sleep(begin - time.monotonic())
    refused: list[float] = []

    async def read() -> float:
        end = await stream.wait_end(utterance)
        now = time.monotonic()
        if isinstance(end, Final):
            crowd.empty += not end.text
        else:
            refused.append(now - begin)
        return now

    reading = asyncio.create_task(read())
    pcm = clip + speech.silence(HANGOVER_S)
    for at in range(0, len(pcm), PIECE):
        await asyncio.sleep(max(0.0, begin + (at + PIECE) / PIECE * PIECE_S - time.monotonic()))
        await stream.audio(utterance, pcm[at : at + PIECE], at // 2)
    await stream.end(utterance)
    heard = await reading
    if refused:
        crowd.told += refused
    else:
        crowd.lags.append(heard - begin - len(clip) / PIECE * PIECE_S)


async def measure(engine: Sequence[str], count: int, rounds: int) -> Crowd:
    """`engine` in a process of its own, and a crowd of so many, which does it so often; below zero: at ease."""
    clips = [speech.utterance(SENTENCES[n % len(SENTENCES)]) for n in range(abs(count))]
    crowd = Crowd()
    with processes() as made:
        worker = made.service("asr-worker", *engine, "--registry", "", "--load-s", "300")
        async with rpc.channel(worker.address) as channel:
            stub = rpc_pb.SpeechToTextStub(channel)
            await together(stub, clips[:1], Crowd())
            for _ in range(rounds if count > 0 else 0):
                await together(stub, clips, crowd)
            if count < 0:
                await at_ease(stub, clips, rounds, crowd)
    return crowd


async def _main(counts: Sequence[int]) -> None:
    for count in counts:
        crowd = await measure(MOONSHINE, count, 3 if count > 0 else 4)
        print(f"{abs(count)} {'together' if count > 0 else 'at ease'}: {crowd}", flush=True)


if __name__ == "__main__":
    solo.run(_main([int(count) for count in sys.argv[1:]]))
