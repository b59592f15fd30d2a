"""`Ears` in the worker's own process, for a recogniser that decodes in no time (scripted); else see `asr.pool`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from asr.ears import Failed, News, Sink, check_language
from asr.recognizer import Decoder, Recognizer, RecognizerConfig
from base.channels import Channel, ChannelClosed, Policy
from base.errors import AntiphonError, AtCapacity, Internal

WAITING = 1_024
"""Pieces of audio that may wait for a session's decoder."""
THREADS = 64


@asynccontextmanager
async def in_process_ears(recognizer: Recognizer, *, slots: int) -> AsyncIterator[InProcessEars]:
    """`push` runs on the event loop, `finish` on a thread."""
    threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="decode")
    try:
        async with asyncio.TaskGroup() as tasks:
            ears = InProcessEars(recognizer, slots, threads, tasks)
            try:
                yield ears
            finally:
                ears.close()
    finally:
        recognizer.close()
        threads.shutdown(wait=False, cancel_futures=True)


class InProcessEars:
    """Made by `in_process_ears`."""

    rtf = 0.0

    def __init__(
        self, recognizer: Recognizer, slots: int, threads: ThreadPoolExecutor, tasks: asyncio.TaskGroup
    ) -> None:
        self.info = recognizer.info
        self.slots = slots
        self.busy = 0
        self._recognizer = recognizer
        self._threads = threads
        self._tasks = tasks
        self._sessions: set[_Session] = set()

    def open(self, config: RecognizerConfig) -> _Session:
        check_language(self.info, config)
        session = _Session(self, self._recognizer.open(config), self._threads)
        self._sessions.add(session)
        task = self._tasks.create_task(session.run())
        task.add_done_callback(lambda _: self._sessions.discard(session))
        return session

    def close(self) -> None:
        for session in list(self._sessions):
            session.close_nowait()


class _Session:
    warnings: tuple[str, ...] = ()

    def __init__(self, ears: InProcessEars, decoder: Decoder, threads: ThreadPoolExecutor) -> None:
        self._ears = ears
        self._decoder = decoder
        self._threads = threads
        self._todo: Channel[tuple[_Hearing, bytes | None]] = Channel("ears", WAITING, Policy.REJECT)
        self._now: _Hearing | None = None
        self._live: set[_Hearing] = set()

    def begin_nowait(self, utterance: int, sample: int, sink: Sink) -> _Hearing:
        if self._ears.busy >= self._ears.slots:
            raise AtCapacity(f"all {self._ears.slots} decoders are in use; try again soon", retry_after_s=1.0)
        hearing = _Hearing(self, utterance, sample, sink)
        self._live.add(hearing)
        self._ears.busy += 1
        return hearing

    def close_nowait(self) -> None:
        for hearing in list(self._live):
            hearing.cancel_nowait()
        self._todo.close()

    def put(self, hearing: _Hearing, pcm: bytes | None) -> None:
        try:
            self._todo.put_nowait((hearing, pcm))
        except AtCapacity as error:
            self.end(hearing, Failed(hearing.utterance, error))
        except ChannelClosed:
            pass

    def end(self, hearing: _Hearing, news: News | None) -> None:
        """Ends an utterance once, however often it is called."""
        if hearing in self._live:
            self._live.discard(hearing)
            self._ears.busy -= 1
            if news is not None:
                hearing.sink(news)

    def cancel(self, hearing: _Hearing) -> None:
        self.end(hearing, None)
        if hearing is self._now:
            self._decoder.cancel()
            self._now = None

    async def run(self) -> None:
        try:
            while True:
                try:
                    hearing, pcm = await self._todo.get()
                except ChannelClosed:
                    return
                if hearing not in self._live:
                    continue
                try:
                    await self._do(hearing, pcm)
                except AntiphonError as error:
                    self._fail(hearing, error)
                except Exception as error:
                    self._fail(hearing, Internal(f"the recogniser failed: {type(error).__name__}"))
        finally:
            self._decoder.close()

    async def _do(self, hearing: _Hearing, pcm: bytes | None) -> None:
        if hearing is not self._now:
            if self._now is not None:
                self._decoder.cancel()
            self._now = hearing
            self._decoder.start(hearing.utterance, hearing.sample)
        if pcm is not None:
            news = self._decoder.push(pcm)
            if news is not None:
                hearing.sink(news)
            return
        final = await asyncio.get_running_loop().run_in_executor(self._threads, self._decoder.finish)
        if hearing is self._now:
            self._now = None
        self.end(hearing, final)

    def _fail(self, hearing: _Hearing, error: AntiphonError) -> None:
        if hearing is self._now:
            self._decoder.cancel()
            self._now = None
        self.end(hearing, Failed(hearing.utterance, error))


class _Hearing:
    def __init__(self, session: _Session, utterance: int, sample: int, sink: Sink) -> None:
        self._session = session
        self.utterance = utterance
        self.sample = sample
        self.sink = sink

    def push_nowait(self, pcm: bytes) -> None:
        self._session.put(self, pcm)

    def finish_nowait(self) -> None:
        self._session.put(self, None)

    def cancel_nowait(self) -> None:
        self._session.cancel(self)
