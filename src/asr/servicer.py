"""antiphon.v1.SpeechToText over any `Ears`.

One stream a session: `config`, then utterances, which may overlap: the next may begin while the final of the last is
still computed. What comes in is read at once and handed over. What breaks the protocol itself ends the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

from asr import wire
from asr.ears import Ears
from asr.utterances import Utterances
from base.errors import AtCapacity, NotFound, TimedOut, Unavailable, WrongState
from pb.antiphon.v1 import recognition_pb2_grpc


class SpeechToTextServicer(recognition_pb2_grpc.SpeechToTextServicer):
    """`longest_s`: an utterance may be so long; `config_s`: a stream may wait so long with its first message."""

    def __init__(self, ears: Ears, *, longest_s: float = 120.0, config_s: float = 5.0, max_streams: int = 1024) -> None:
        self._ears = ears
        self._longest_s = longest_s
        self._config_s = config_s
        self._max_streams = max_streams
        self._open = 0
        self._streams: set[_Stream] = set()
        self._draining = False
        self._changed = asyncio.Event()

    async def Recognize(
        self, request_iterator: AsyncIterator[wire.RecognizeRequest], context: grpc.aio.ServicerContext
    ) -> None:
        if self._open >= self._max_streams:
            message = f"this worker has {self._open} streams open, the most there may be; use another"
            raise AtCapacity(message, reason="TOO_MANY_STREAMS", retry_after_s=1.0)
        self._open += 1
        try:
            self._check_open()
            await self._recognize(aiter(request_iterator), context)
        finally:
            self._open -= 1

    async def _recognize(
        self, requests: AsyncIterator[wire.RecognizeRequest], context: grpc.aio.ServicerContext
    ) -> None:
        config = await self._config(requests)
        self._check_open()
        info = self._ears.info
        if config.model not in ("", info.name):
            raise NotFound(f"model {config.model!r} is not here; this worker has {info.name!r}", reason="MODEL_UNKNOWN")
        session = self._ears.open(config.recognizer)
        stream = _Stream(self._changed)
        stream.utterances = utterances = Utterances(session, longest_s=self._longest_s, wake=stream.wake)
        self._streams.add(stream)
        try:
            await context.write(wire.ready(info.name, info.languages, session.warnings))
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(stream.write(context))
                async for message in requests:
                    _take(utterances, message)
                # The client has sent all it has to say; it still hears how that ends.
                utterances.end_last()
                stream.no_more()
                await writing
        finally:
            session.close_nowait()
            self._streams.discard(stream)
            self._changed.set()

    def _check_open(self) -> None:
        if self._draining:
            raise Unavailable("this worker is shutting down; use another", reason="DRAINING")

    async def _config(self, requests: AsyncIterator[wire.RecognizeRequest]) -> wire.Config:
        try:
            async with asyncio.timeout(self._config_s):
                first = await anext(requests, None)
        except TimeoutError:
            message = f"no message came for {self._config_s:g} s; the first is `config`"
            raise TimedOut(message, reason="CONFIG_FIRST") from None
        config = wire.request(first) if first is not None else None
        if not isinstance(config, wire.Config):
            raise WrongState("the first message must be `config`", reason="CONFIG_FIRST")
        return config

    async def drain(self) -> None:
        """Refuses new streams and utterances, and waits for the ends of those being heard."""
        self._draining = True
        for stream in self._streams:
            stream.utterances.drain()
        while any(stream.busy for stream in self._streams):
            self._changed.clear()
            await self._changed.wait()


def _take(utterances: Utterances, message: wire.RecognizeRequest) -> None:
    match wire.request(message):
        case wire.Config():
            raise WrongState("`config` came twice; it holds for the stream", reason="CONFIG_TWICE")
        case wire.Audio(utterance, sample, pcm):
            utterances.audio(utterance, sample, pcm)
        case wire.End(utterance):
            utterances.end(utterance)
        case wire.Cancel(utterance):
            utterances.cancel(utterance)


class _Stream:
    """Writes one stream's news. `changed` is set whenever an utterance is over and told."""

    utterances: Utterances

    def __init__(self, changed: asyncio.Event) -> None:
        self._changed = changed
        self._awake = asyncio.Event()
        self._no_more = False
        self._telling = False

    @property
    def busy(self) -> bool:
        return self._telling or bool(self.utterances.hearing)

    def wake(self) -> None:
        self._telling = True
        self._awake.set()

    def no_more(self) -> None:
        self._no_more = True
        self._awake.set()

    async def write(self, context: grpc.aio.ServicerContext) -> None:
        """Until there is no more to come."""
        while True:
            while (news := self.utterances.take()) is not None:
                await context.write(wire.news(news))
            self._telling = False
            self._changed.set()
            if self._no_more and not self.utterances.hearing:
                return
            self._awake.clear()
            await self._awake.wait()
