"""antiphon.v1.SpeechToText over any recogniser.

One stream a session: `config`, then utterances. What comes in is read at once and waits in a bounded queue; one task a
stream takes it to the decoder, on a thread, in order. An error of one utterance is told and ends only that utterance.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import grpc

from asr import wire
from asr.recognizer import Decoder, Recognizer
from base.audio import UPLINK_RATE
from base.channels import Channel, ChannelClosed, Policy
from base.errors import AntiphonError, BadRequest, Internal, WrongState
from base.language import matches
from base.log import get_logger
from pb.antiphon.v1 import recognition_pb2_grpc

log = get_logger("asr")

LONGEST_BYTES = UPLINK_RATE * 2
"""Audio in one message: a second; 100 ms is what it should be."""
WAITING = 512


class SpeechToTextServicer(recognition_pb2_grpc.SpeechToTextServicer):
    """`threads` runs the decoders' calls."""

    def __init__(self, recognizer: Recognizer, threads: ThreadPoolExecutor) -> None:
        self._recognizer = recognizer
        self._threads = threads
        self.busy = 0
        """Utterances being heard."""

    async def Recognize(
        self, request_iterator: AsyncIterator[wire.RecognizeRequest], context: grpc.aio.ServicerContext
    ) -> None:
        requests = aiter(request_iterator)
        first = await anext(requests, None)
        if first is None or first.WhichOneof("body") != "config":
            raise WrongState("the first message must be `config`", reason="CONFIG_FIRST")
        config = wire.config_from(first.config)
        info = self._recognizer.info
        if config.language and not any(matches(config.language, tag) for tag in info.languages):
            raise BadRequest(
                f"{info.name} does not hear {config.language!r}; it hears: {', '.join(info.languages)}",
                reason="LANGUAGE_UNKNOWN",
            )
        loop = asyncio.get_running_loop()
        decoder = await loop.run_in_executor(self._threads, self._recognizer.open, config)
        stream = _Stream(self, decoder, context)
        try:
            await context.write(wire.ready(info))
            async with asyncio.TaskGroup() as tasks:
                decoding = tasks.create_task(stream.decode())
                async for request in requests:
                    await stream.queue.put(request)
                stream.queue.close()
                await decoding
        finally:
            stream.leave()
            await asyncio.shield(loop.run_in_executor(self._threads, decoder.close))

    async def call(self, function: object, *args: object) -> object:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)  # type: ignore[arg-type]


class _Stream:
    """One stream's utterances, one at a time, in order."""

    def __init__(self, servicer: SpeechToTextServicer, decoder: Decoder, context: grpc.aio.ServicerContext) -> None:
        self._servicer = servicer
        self._decoder = decoder
        self._context = context
        self._utterance = 0
        self._open = False
        self.queue: Channel[wire.RecognizeRequest] = Channel("recognize", WAITING, Policy.BLOCK)

    async def decode(self) -> None:
        while True:
            try:
                request = await self.queue.get()
            except ChannelClosed:
                return
            utterance = _utterance_of(request)
            try:
                await self._take(request)
            except AntiphonError as error:
                await self._fail(utterance, error)
            except Exception as error:
                log.error("decoder.failed", exc_info=error)
                await self._fail(utterance, Internal(f"the recogniser failed: {type(error).__name__}"))

    def leave(self) -> None:
        if self._open:
            self._open = False
            self._servicer.busy -= 1

    async def _take(self, request: wire.RecognizeRequest) -> None:
        call = self._servicer.call
        match request.WhichOneof("body"):
            case "audio":
                audio = request.audio
                if len(audio.data) % 2 or len(audio.data) > LONGEST_BYTES:
                    raise BadRequest(
                        f"audio of {len(audio.data)} bytes: send whole 16-bit samples, at most {LONGEST_BYTES} bytes",
                        reason="BAD_AUDIO",
                    )
                if audio.utterance > self._utterance:
                    await self._start(audio.utterance, audio.sample)
                if audio.utterance == self._utterance and self._open:
                    news = await call(self._decoder.push, audio.data)
                    if news is not None:
                        await self._context.write(wire.partial(news))  # type: ignore[arg-type]
            case "end":
                if request.end.utterance == self._utterance and self._open:
                    final = await call(self._decoder.finish)
                    self.leave()
                    await self._context.write(wire.final(final))  # type: ignore[arg-type]
            case "cancel":
                if request.cancel.utterance == self._utterance and self._open:
                    self.leave()
                    await call(self._decoder.cancel)
            case "config":
                raise WrongState("`config` came twice; it holds for the stream", reason="CONFIG_TWICE")
            case _:
                pass

    async def _start(self, utterance: int, sample: int) -> None:
        if self._open:
            self.leave()
            await self._servicer.call(self._decoder.cancel)
        self._utterance = utterance
        await self._servicer.call(self._decoder.start, utterance, sample)
        self._open = True
        self._servicer.busy += 1

    async def _fail(self, utterance: int, error: AntiphonError) -> None:
        """Ends the utterance; the stream goes on."""
        if self._open and utterance == self._utterance:
            self.leave()
            await self._servicer.call(self._decoder.cancel)
        await self._context.write(wire.failed(utterance, error))


def _utterance_of(request: wire.RecognizeRequest) -> int:
    match request.WhichOneof("body"):
        case "audio":
            return request.audio.utterance
        case "end":
            return request.end.utterance
        case "cancel":
            return request.cancel.utterance
    return 0
