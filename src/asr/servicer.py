"""antiphon.v1.SpeechToText over any `Ears`.

One stream a session: `config`, then utterances, which may overlap: the next may begin while the final of the last is
still computed. What comes in is read at once and handed over; what goes out waits in a bounded queue, where a newer
partial replaces a waiting one. Every utterance gets exactly one Final or UtteranceError, unless it is cancelled. An
error of one utterance ends only that utterance; what breaks the protocol itself ends the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

from asr import wire
from asr.ears import Ears, EarsSession, Failed, Hearing, News
from asr.recognizer import Final, Partial
from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE
from base.errors import AntiphonError, AtCapacity, BadRequest, NotFound, Unavailable, WrongState
from pb.antiphon.v1 import recognition_pb2_grpc

LONGEST_MESSAGE = UPLINK_RATE * BYTES_PER_SAMPLE
"""Bytes of audio in one message: a second; 100 ms is what it should be."""
MOST_LIVE = 4
"""Utterances of one stream that are being heard."""
MOST_NEWS = 256


class SpeechToTextServicer(recognition_pb2_grpc.SpeechToTextServicer):
    """`longest_s`: an utterance may be so long."""

    def __init__(self, ears: Ears, *, longest_s: float = 120.0) -> None:
        self._ears = ears
        self._longest = int(longest_s * UPLINK_RATE) * BYTES_PER_SAMPLE
        self._idle = asyncio.Event()
        self._streams: set[_Stream] = set()
        self._draining = False

    async def Recognize(
        self, request_iterator: AsyncIterator[wire.RecognizeRequest], context: grpc.aio.ServicerContext
    ) -> None:
        self.refuse_when_draining()
        requests = aiter(request_iterator)
        first = await anext(requests, None)
        config = wire.request(first) if first is not None else None
        if not isinstance(config, wire.Config):
            raise WrongState("the first message must be `config`", reason="CONFIG_FIRST")
        info = self._ears.info
        if config.model not in ("", info.name):
            raise NotFound(f"model {config.model!r} is not here; this worker has {info.name!r}", reason="MODEL_UNKNOWN")
        session = self._ears.open(config.recognizer)
        stream = _Stream(self, session, self._longest)
        self._streams.add(stream)
        try:
            await context.write(wire.ready(info.name, info.languages, session.warnings))
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(stream.write(context))
                async for message in requests:
                    request = wire.request(message)
                    if request is not None:
                        stream.take(request)
                # The client has sent all it has to say; it still hears how that ends.
                stream.no_more()
                await writing
        finally:
            self._streams.discard(stream)
            session.close_nowait()
            self.utterance_over()

    def refuse_when_draining(self) -> None:
        if self._draining:
            raise Unavailable("this worker is shutting down; use another", reason="DRAINING")

    def utterance_over(self) -> None:
        if not any(stream.live for stream in self._streams):
            self._idle.set()

    async def drain(self) -> None:
        """Refuses new streams and utterances, and waits for the finals of those being heard."""
        self._draining = True
        self._idle.clear()
        self.utterance_over()
        await self._idle.wait()


class _Stream:
    """One session's utterances. Their ids increase."""

    def __init__(self, servicer: SpeechToTextServicer, session: EarsSession, longest: int) -> None:
        self._servicer = servicer
        self._session = session
        self._longest = longest
        self._newest = -1
        self._size = 0
        self._hearings: dict[int, Hearing] = {}
        self._ended: set[int] = set()
        self._news: list[News] = []
        self._wake = asyncio.Event()
        self._no_more = False

    @property
    def live(self) -> bool:
        return bool(self._hearings)

    # --- in -------------------------------------------------------------------------------------------------------

    def take(self, request: wire.Request) -> None:
        """Raises WrongState for a second `config`, AtCapacity for a client that does not read."""
        if len(self._news) > MOST_NEWS:
            raise AtCapacity(f"the client left {len(self._news)} answers unread; read them", reason="UNREAD")
        match request:
            case wire.Config():
                raise WrongState("`config` came twice; it holds for the stream", reason="CONFIG_TWICE")
            case wire.Audio():
                self._audio(request)
            case wire.End():
                self._end(request.utterance)
            case wire.Cancel():
                self._cancel(request.utterance)

    def no_more(self) -> None:
        self._end(self._newest)
        self._no_more = True
        self._wake.set()

    def _audio(self, audio: wire.Audio) -> None:
        if audio.utterance > self._newest:
            self._begin(audio)
        hearing = self._hearings.get(audio.utterance)
        if hearing is None or audio.utterance in self._ended:
            return
        self._size += len(audio.pcm)
        if wrong := self._wrong(audio.pcm):
            hearing.cancel_nowait()
            self._tell(Failed(audio.utterance, wrong))
        elif audio.pcm:
            hearing.push_nowait(audio.pcm)

    def _wrong(self, pcm: bytes) -> AntiphonError | None:
        if len(pcm) % BYTES_PER_SAMPLE:
            return BadRequest(f"audio of {len(pcm)} bytes: send whole 16-bit samples", reason="ODD_AUDIO")
        if len(pcm) > LONGEST_MESSAGE:
            return BadRequest(
                f"audio of {len(pcm)} bytes in one message; send up to 100 ms (3200 bytes)", reason="AUDIO_TOO_LONG"
            )
        if self._size > self._longest:
            limit = self._longest // BYTES_PER_SAMPLE // UPLINK_RATE
            return BadRequest(f"the utterance is longer than {limit} s; end it sooner", reason="UTTERANCE_TOO_LONG")
        return None

    def _begin(self, audio: wire.Audio) -> None:
        self._end(self._newest)
        self._newest = audio.utterance
        self._size = 0
        try:
            self._servicer.refuse_when_draining()
            if len(self._hearings) >= MOST_LIVE:
                raise AtCapacity(
                    f"{MOST_LIVE} utterances of this stream wait for their finals; wait for one", retry_after_s=1.0
                )
            self._hearings[audio.utterance] = self._session.begin_nowait(audio.utterance, audio.sample, self._tell)
        except AntiphonError as error:
            self._tell(Failed(audio.utterance, error))

    def _end(self, utterance: int) -> None:
        hearing = self._hearings.get(utterance)
        if hearing is not None and utterance not in self._ended:
            self._ended.add(utterance)
            hearing.finish_nowait()
        elif utterance > self._newest:
            # It ended before any audio of it came.
            self._newest = utterance
            self._tell(Final(utterance, ""))

    def _cancel(self, utterance: int) -> None:
        self._newest = max(self._newest, utterance)
        hearing = self._hearings.pop(utterance, None)
        self._ended.discard(utterance)
        if hearing is not None:
            hearing.cancel_nowait()
            self._servicer.utterance_over()
            self._wake.set()

    # --- out ------------------------------------------------------------------------------------------------------

    def _tell(self, news: News) -> None:
        """A newer partial replaces one of its utterance that still waits."""
        if isinstance(news, Partial):
            for i, waiting in enumerate(self._news):
                if isinstance(waiting, Partial) and waiting.utterance == news.utterance:
                    self._news[i] = news
                    return
        else:
            self._hearings.pop(news.utterance, None)
            self._ended.discard(news.utterance)
        self._news.append(news)
        self._wake.set()

    async def write(self, context: grpc.aio.ServicerContext) -> None:
        """Writes news until there is no more to come."""
        while True:
            while self._news:
                await context.write(wire.news(self._news.pop(0)))
            self._servicer.utterance_over()
            if self._no_more and not self._hearings:
                return
            self._wake.clear()
            await self._wake.wait()
