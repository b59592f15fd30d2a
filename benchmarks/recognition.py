"""How many PocketSphinx streams this machine carries: people who all speak at once, each to a stream of their own.

More and more of them speak sentences in real time, with half a second between, until the finals come too late: later
than 500 ms after the end of speech (p95), from where on an orchestrator would answer the last partial. What is told is
the last number that went well. Children that load are not what is measured: each stream is heard once before.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import grpc

from base import rpc
from base.audio import UPLINK_RATE
from benchmarks import solo, speech
from benchmarks.machine import this_machine
from benchmarks.rows import Row, percentile, single
from benchmarks.sentences import SENTENCES
from benchmarks.stack import processes
from benchmarks.suite import Options
from pb.antiphon.v1 import recognition_pb2 as pb
from pb.antiphon.v1 import recognition_pb2_grpc

PIECE = UPLINK_RATE // 10 * 2
PIECE_S = 0.1
LATE_S = 0.5
PAUSE_S = 0.5
FINAL_S = 20.0


@dataclass(slots=True)
class Speaker:
    """One stream. `lags` are the seconds from the end of speech to its final."""

    call: Any
    utterance: int = 0
    lags: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    async def say(self, pcm: bytes) -> None:
        """In real time; waits for the final."""
        self.utterance += 1
        due = time.monotonic()
        for at in range(0, len(pcm), PIECE):
            due += PIECE_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            piece = pb.UtteranceAudio(utterance=self.utterance, sample=at // 2, data=pcm[at : at + PIECE])
            await self.call.write(pb.RecognizeRequest(audio=piece))
        await self.call.write(pb.RecognizeRequest(end=pb.UtteranceEnd(utterance=self.utterance, sample=len(pcm) // 2)))
        ended = time.monotonic()
        async with asyncio.timeout(FINAL_S):
            while (answer := await self.call.read()) is not grpc.aio.EOF:
                body = answer.WhichOneof("body")
                if body == "final" and answer.final.utterance == self.utterance:
                    self.lags.append(time.monotonic() - ended)
                    return
                if body == "error" and answer.error.utterance == self.utterance:
                    self.failed.append(answer.error.reason)
                    return


def run(options: Options) -> list[Row]:
    # One loop for all: gRPC's threads outlive a call, and must not find their loop closed.
    return solo.run(_run(options))


async def _run(options: Options) -> list[Row]:
    steps = (2, 4) if options.quick else (1, 2, 3, 4, 5, 6, 8, 10, 12)
    speech.utterance(SENTENCES[0])
    with processes() as made:
        worker = made.service("asr-worker", "--engine", "pocketsphinx", "--decoders", str(max(steps)), "--registry", "")
        best, lag, note = 0, None, ""
        for count in steps:
            options.note(f"recognition: {count} streams")
            speakers = await _speak(worker.address, count, options.pick(3, 2))
            lags = [x for s in speakers for x in s.lags]
            failed = [x for s in speakers for x in s.failed]
            late = percentile(lags, 95) if lags else None
            if failed or late is None or late > LATE_S:
                why = f"{len(failed)} failed ({failed[0]})" if failed else f"finals came {late or 0:.1f} s late"
                note = f"at {count}, {why}"
                break
            best, lag = count, late
    cores = this_machine().cores
    name = f"PocketSphinx streams that {cores} cores carry, all speaking at once"
    rows = [single(name, "streams", best, note=note or f"no more than {max(steps)} were tried")]
    if lag is not None:
        rows.append(single("… end of speech → final, p95 of that many", "ms", lag * 1000))
    return rows


async def _speak(address: str, count: int, sentences: int) -> list[Speaker]:
    async with rpc.channel(address) as channel:
        stub = recognition_pb2_grpc.SpeechToTextStub(channel)
        speakers = [Speaker(stub.Recognize()) for _ in range(count)]
        for speaker in speakers:
            await speaker.call.write(pb.RecognizeRequest(config=pb.RecognitionConfig(language="en")))
        await asyncio.gather(*(s.say(speech.utterance(SENTENCES[0])[:UPLINK_RATE]) for s in speakers))
        await asyncio.sleep(1.0)  # spare children finish loading
        for speaker in speakers:
            speaker.lags.clear()
        await asyncio.gather(*(_sentences(s, i, sentences) for i, s in enumerate(speakers)))
        for speaker in speakers:
            await speaker.call.done_writing()
    return speakers


async def _sentences(speaker: Speaker, number: int, count: int) -> None:
    await asyncio.sleep(0.17 * number % 1.0)
    for at in range(count):
        await speaker.say(speech.utterance(SENTENCES[(number * 5 + at) % len(SENTENCES)]))
        await asyncio.sleep(PAUSE_S)
