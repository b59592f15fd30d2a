"""Ears by lease: what hears is loaded when somebody speaks, held while utterances are heard, and may go between them.

`LeasedEars` is `Ears` like those that it loads. What is said while the model loads is kept and heard afterwards; an
utterance for which it cannot be had fails with the reason.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from asr.ears import Ears, EarsSession, Failed, Hearing, News, Sink, check_language
from asr.recognizer import Partial, RecognizerConfig, RecognizerInfo
from base.errors import AntiphonError, Unavailable
from base.log import get_logger
from worker.loader import Lease, Loader

Opens = Callable[[], AbstractAsyncContextManager[Ears]]
Check = Callable[[RecognizerConfig], tuple[str, ...]]

KILL_S = 10.0

log = get_logger("asr.house")


class EarsLoading:
    """One load of what hears, as `worker.loader` wants it. It lives in a task of `tasks`, from load to close.

    `lost` is told, once, if it breaks after that.
    """

    def __init__(self, opens: Opens, tasks: asyncio.TaskGroup, lost: Callable[[AntiphonError], None]) -> None:
        self._opens = opens
        self._lost = lost
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._ready = threading.Event()
        self._gone = threading.Event()
        self._leave = asyncio.Event()
        self._ears: Ears | None = None
        self._error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    def load(self) -> Ears:
        self._loop.call_soon_threadsafe(self._start)
        self._ready.wait()
        if self._ears is None:
            raise self._error or Unavailable("the recogniser ended before it was ready", reason="NO_DECODER")
        return self._ears

    def warm_up(self, model: Ears) -> int:
        """Nothing: a recogniser is ready when its first child has loaded. What all may take, the plan says."""
        return 0

    def close(self, model: Ears) -> None:
        self._loop.call_soon_threadsafe(self._leave.set)
        self._gone.wait()

    def kill(self) -> None:
        """Its children are ended with it; returns when they are, or after `KILL_S`."""
        self._loop.call_soon_threadsafe(self._end)
        self._gone.wait(KILL_S)

    def _start(self) -> None:
        self._task = self._tasks.create_task(self._live())

    def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _live(self) -> None:
        """A failure is told to whoever waits in `load`, and ends nothing else."""
        try:
            async with self._opens() as ears:
                self._ears = ears
                self._ready.set()
                await self._leave.wait()
        except Exception as fault:
            error = self._error = _leaf(fault)
            if self._ears is not None:
                log.error("ears.lost", exc_info=None if isinstance(error, AntiphonError) else error)
                self._lost(error if isinstance(error, AntiphonError) else Unavailable("the recogniser broke"))
        finally:
            self._ready.set()
            self._gone.set()


def _leaf(error: BaseException) -> BaseException:
    """The first that a group of failed tasks is about."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class LeasedEars:
    """`check`: what of a configuration cannot be done, in sentences. `slots`: utterances at once, by its settings."""

    def __init__(
        self, model: str, info: RecognizerInfo, loader: Loader[Ears], *, slots: int, check: Check, linger_s: float
    ) -> None:
        self.info = info
        self._id = model
        self._loader = loader
        self._slots = slots
        self._check = check
        self._linger_s = linger_s

    @property
    def slots(self) -> int:
        ears = self._loader.model(self._id)
        return ears.slots if ears is not None else self._slots

    @property
    def busy(self) -> int:
        ears = self._loader.model(self._id)
        return ears.busy if ears is not None else 0

    @property
    def rtf(self) -> float:
        ears = self._loader.model(self._id)
        return ears.rtf if ears is not None else 0.0

    def open(self, config: RecognizerConfig) -> EarsSession:
        check_language(self.info, config)
        return _Session(self._id, self._loader, config, self._check(config), self._linger_s)


class _Session:
    def __init__(
        self, id: str, loader: Loader[Ears], config: RecognizerConfig, warnings: tuple[str, ...], linger_s: float
    ) -> None:
        self.warnings = warnings
        self._id = id
        self._loader = loader
        self._config = config
        self._linger_s = linger_s
        self._live: set[_Hearing] = set()
        self._with: tuple[Ears, EarsSession] | None = None

    def begin_nowait(self, utterance: int, sample: int, sink: Sink) -> Hearing:
        hearing = _Hearing(self, utterance, sample, sink)
        self._live.add(hearing)
        hearing.ask(self._loader, self._id)
        return hearing

    def close_nowait(self) -> None:
        for hearing in list(self._live):
            hearing.cancel_nowait()
        if self._with is not None:
            self._with[1].close_nowait()

    def inner(self, ears: Ears) -> EarsSession:
        """The session at the model itself, which learns; one as long as the model stays."""
        if self._with is None or self._with[0] is not ears:
            self._with = (ears, ears.open(self._config))
        return self._with[1]

    def over(self, hearing: _Hearing) -> None:
        self._live.discard(hearing)

    @property
    def linger_s(self) -> float:
        return self._linger_s


class _Hearing:
    """One utterance: kept until the model is there, then passed on."""

    def __init__(self, session: _Session, utterance: int, sample: int, sink: Sink) -> None:
        self._session = session
        self._utterance = utterance
        self._sample = sample
        self._sink = sink
        self._loader: Loader[Ears] | None = None
        self._ticket = 0
        self._inner: Hearing | None = None
        self._kept: list[bytes] = []
        self._finished = False
        self._over = False
        self._first: AntiphonError | None = None

    def ask(self, loader: Loader[Ears], id: str) -> None:
        """Raises AtCapacity as `begin_nowait` does, where the model is there and has no decoder free."""
        asking = True

        def answer(found: Lease[Ears] | AntiphonError) -> None:
            error = self._granted(found)
            if error is not None and asking:
                self._first = error
            elif error is not None:
                self._tell(Failed(self._utterance, error))

        self._loader = loader
        self._ticket = loader.acquire_nowait(id, answer, self._revoked)
        asking = False
        if self._over:
            # It ended before it was known which ticket is to be given back.
            loader.release_nowait(self._ticket)
        if self._first is not None:
            self._end()
            raise self._first

    def push_nowait(self, pcm: bytes) -> None:
        if self._inner is not None:
            self._inner.push_nowait(pcm)
        elif not self._over and not self._finished:
            self._kept.append(pcm)

    def finish_nowait(self) -> None:
        self._finished = True
        if self._inner is not None:
            self._inner.finish_nowait()

    def cancel_nowait(self) -> None:
        if not self._over:
            self._end()
            if self._inner is not None:
                self._inner.cancel_nowait()

    def _granted(self, found: Lease[Ears] | AntiphonError) -> AntiphonError | None:
        """Why it cannot be heard after all."""
        if isinstance(found, AntiphonError):
            return found
        try:
            inner = self._session.inner(found.model).begin_nowait(self._utterance, self._sample, self._tell)
        except AntiphonError as error:
            return error
        self._inner = inner
        for pcm in self._kept:
            inner.push_nowait(pcm)
        self._kept.clear()
        if self._finished:
            inner.finish_nowait()
        return None

    def _revoked(self, error: AntiphonError) -> None:
        inner = self._inner
        self._tell(Failed(self._utterance, error))
        if inner is not None:
            inner.cancel_nowait()

    def _tell(self, news: News) -> None:
        if self._over:
            return
        if not isinstance(news, Partial):
            self._end()
        self._sink(news)

    def _end(self) -> None:
        self._over = True
        self._kept.clear()
        self._session.over(self)
        loader, self._loader = self._loader, None
        if loader is not None and self._ticket:
            loader.release_nowait(self._ticket, self._session.linger_s)
