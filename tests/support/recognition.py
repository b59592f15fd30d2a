"""A client of the ASR worker for tests and benchmarks: one stream, many utterances; and a worker to talk to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from asr.app import serving
from asr.settings import AsrWorkerSettings
from base import rpc
from base.audio import UPLINK_RATE
from pb.antiphon.v1 import recognition_pb2, recognition_pb2_grpc

PIECE = UPLINK_RATE // 10 * 2
"""Bytes of a message of audio: 100 ms."""
LIMIT_S = 30.0
"""How long a test waits for what must come."""

Request = recognition_pb2.RecognizeRequest
Response = recognition_pb2.RecognizeResponse


@asynccontextmanager
async def asr_worker(**settings: object) -> AsyncIterator[recognition_pb2_grpc.SpeechToTextAsyncStub]:
    """A worker of our own, unannounced, and a stub for it."""
    async with serving(AsrWorkerSettings(registry="", **settings)) as service:  # type: ignore[arg-type]
        async with rpc.channel(service.address) as channel:
            yield recognition_pb2_grpc.SpeechToTextStub(channel)
        await service.drain()


class Stream:
    """One Recognize call; news is sorted by utterance as it comes."""

    def __init__(self, stub: recognition_pb2_grpc.SpeechToTextAsyncStub) -> None:
        self.call = stub.Recognize()
        self.partials: dict[int, list[recognition_pb2.Partial]] = {}
        self.ends: dict[int, recognition_pb2.Final | recognition_pb2.UtteranceError] = {}

    async def open(
        self, *, language: str = "", phrases: tuple[str, ...] = (), model: str = ""
    ) -> recognition_pb2.Ready:
        config = recognition_pb2.RecognitionConfig(model=model, language=language, phrases=phrases)
        await self.call.write(Request(config=config))
        return (await self._read()).ready

    async def say(self, utterance: int, pcm: bytes, *, sample: int = 0, pace: float = 0.0) -> None:
        """`pace`: seconds between messages."""
        for at in range(0, len(pcm), PIECE):
            await self.audio(utterance, pcm[at : at + PIECE], sample + at // 2)
            await asyncio.sleep(pace)

    async def audio(self, utterance: int, pcm: bytes, sample: int = 0) -> None:
        audio = recognition_pb2.UtteranceAudio(utterance=utterance, sample=sample, data=pcm)
        await self.call.write(Request(audio=audio))

    async def end(self, utterance: int) -> None:
        await self.call.write(Request(end=recognition_pb2.UtteranceEnd(utterance=utterance)))

    async def cancel(self, utterance: int) -> None:
        await self.call.write(Request(cancel=recognition_pb2.UtteranceCancel(utterance=utterance)))

    async def wait_end(self, utterance: int) -> recognition_pb2.Final | recognition_pb2.UtteranceError:
        while utterance not in self.ends:
            await self.read()
        return self.ends[utterance]

    async def wait_partial(self, utterance: int) -> recognition_pb2.Partial:
        while not self.partials.get(utterance):
            await self.read()
        return self.partials[utterance][-1]

    async def final(self, utterance: int) -> recognition_pb2.Final:
        end = await self.wait_end(utterance)
        assert isinstance(end, recognition_pb2.Final), end
        return end

    async def error(self, utterance: int) -> recognition_pb2.UtteranceError:
        end = await self.wait_end(utterance)
        assert isinstance(end, recognition_pb2.UtteranceError), end
        return end

    async def hear(self, utterance: int, pcm: bytes) -> recognition_pb2.Final:
        await self.say(utterance, pcm)
        await self.end(utterance)
        return await self.final(utterance)

    async def done(self) -> None:
        """Nothing more to say; what still comes is read to the end."""
        await self.call.done_writing()
        while (response := await self.call.read()) is not grpc.aio.EOF:
            self._sort(response)

    async def read(self) -> None:
        """Sorts in the next answer."""
        self._sort(await self._read())

    async def _read(self) -> Response:
        async with asyncio.timeout(LIMIT_S):
            response = await self.call.read()
        if response is grpc.aio.EOF:
            await self.call.wait_for_connection()
            raise EOFError(f"the stream ended: {await self.call.code()} {await self.call.details()}")
        return response  # type: ignore[no-any-return]

    def _sort(self, response: Response) -> None:
        match response.WhichOneof("body"):
            case "partial":
                self.partials.setdefault(response.partial.utterance, []).append(response.partial)
            case "final":
                assert response.final.utterance not in self.ends, "a second end"
                self.ends[response.final.utterance] = response.final
            case "error":
                assert response.error.utterance not in self.ends, "a second end"
                self.ends[response.error.utterance] = response.error
