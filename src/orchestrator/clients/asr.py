"""One session's ears: a long-lived Recognize stream to an ASR worker, found by placement, replaced when it is lost.

What was said of an utterance that has no final yet is kept (up to 30 s), so that another worker can hear it from its
beginning when the first one dies. News goes to `post`; nothing here waits except `run`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from base.audio import UPLINK_RATE
from base.errors import AntiphonError
from orchestrator import wire
from orchestrator.clients.stream import Stream
from orchestrator.clients.workers import Workers
from orchestrator.conversation.events import Event, FinalHeard, PartialHeard, RecognitionFailed
from pb.antiphon.v1 import recognition_pb2_grpc
from registry.placement import Wanted
from registry.records import WorkerKind, WorkerRecord

KEPT_BYTES = UPLINK_RATE * 2 * 30
BACKOFF_S = (0.1, 0.3, 1.0, 2.0, 5.0)


@dataclass(slots=True)
class _Live:
    """An utterance without its final. `audio` is None once it is too long to be heard again."""

    audio: list[tuple[int, bytes]] | None = field(default_factory=list)
    size: int = 0
    ended: int | None = None


class EarsClient:
    """See the module. `language` and `phrases` hold for the session."""

    def __init__(
        self,
        workers: Workers,
        *,
        language: str,
        phrases: tuple[str, ...],
        post: Callable[[Event], None],
    ) -> None:
        self._workers = workers
        self._language = language
        self._phrases = phrases
        self._post = post
        self._live: dict[int, _Live] = {}
        self._stream: Stream[wire.RecognizeRequest, wire.RecognizeResponse] | None = None
        self._wake = asyncio.Event()
        self._closed = False
        self._failures = 0
        self.trouble = ""
        """Why there is no recogniser right now; empty while there is one."""

    # --- from the uplink and the session ----------------------------------------------------------------------------

    def audio_nowait(self, utterance: int, sample: int, pcm: bytes) -> None:
        live = self._live.setdefault(utterance, _Live())
        live.size += len(pcm)
        if live.size > KEPT_BYTES:
            live.audio = None
        if live.audio is not None:
            live.audio.append((sample, pcm))
        self._send(wire.utterance_audio(utterance, sample, pcm))
        self._wake.set()

    def end_nowait(self, utterance: int, sample: int) -> None:
        live = self._live.get(utterance)
        if live is None:
            return
        live.ended = sample
        if self._stream is None and self.trouble:
            self._fail(utterance, self.trouble)
        else:
            self._send(wire.utterance_end(utterance, sample))

    def cancel_nowait(self, utterance: int) -> None:
        if self._live.pop(utterance, None) is not None:
            self._send(wire.utterance_cancel(utterance))

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        if self._stream is not None:
            self._stream.leave_nowait()

    # --- the task ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keeps a stream open until closed; ends every utterance that nobody can hear with RecognitionFailed."""
        wanted = Wanted(kind=WorkerKind.ASR, language=self._language)
        while not self._closed:
            worker = await self._workers.wait_for(wanted, timeout_s=2.0)
            if worker is None:
                self.trouble = f"no recogniser for {self._language or 'any language'!r} is running; typing works"
                self._fail_ended()
                continue
            try:
                await self._converse(worker)
            except AntiphonError as error:
                self._failures += 1
                self._workers.failed(worker, error)
                self.trouble = error.message
                self._fail_ended()
                await self._pause()

    async def _pause(self) -> None:
        self._wake.clear()
        delay = BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1]
        try:
            async with asyncio.timeout(delay):
                while not self._closed:
                    await self._wake.wait()
                    self._wake.clear()
        except TimeoutError:
            pass

    async def _converse(self, worker: WorkerRecord) -> None:
        """One stream, from its opening to its loss."""
        stub = recognition_pb2_grpc.SpeechToTextStub(self._workers.channel(worker.address))
        self._stream = Stream(stub.Recognize(), f"ears of worker {worker.id}", 1024)
        self._send(wire.recognition_config(self._language, self._phrases))
        self._replay()
        try:
            await self._stream.run(self._take)
        finally:
            self._stream = None

    def _replay(self) -> None:
        for utterance, live in list(self._live.items()):
            if live.audio is None:
                self._fail(utterance, "the recogniser was lost in a long utterance")
                continue
            for sample, pcm in live.audio:
                self._send(wire.utterance_audio(utterance, sample, pcm))
            if live.ended is not None:
                self._send(wire.utterance_end(utterance, live.ended))

    def _take(self, response: wire.RecognizeResponse) -> None:
        match response.WhichOneof("body"):
            case "ready":
                self._failures = 0
                self.trouble = ""
            case "partial":
                partial = wire.partial(response)
                if partial.utterance in self._live:
                    self._post(PartialHeard(partial.utterance, partial.text, partial.stable))
            case "final":
                final = wire.final(response)
                if self._live.pop(final.utterance, None) is not None:
                    self._post(FinalHeard(final.utterance, final.text, final.confidence))
            case "error":
                self._fail(response.error.utterance, response.error.message)
            case _:
                pass

    # --- inside -----------------------------------------------------------------------------------------------------

    def _send(self, message: wire.RecognizeRequest) -> None:
        if self._stream is not None:
            self._stream.send_nowait(message)

    def _fail(self, utterance: int, message: str) -> None:
        if self._live.pop(utterance, None) is not None:
            self._post(RecognitionFailed(utterance, message))

    def _fail_ended(self) -> None:
        for utterance, live in list(self._live.items()):
            if live.ended is not None:
                self._fail(utterance, self.trouble)
