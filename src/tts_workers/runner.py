"""Engine threads, and the bounded bridge between them and the event loop.

A job is one chunk: its thread pulls from the engine, makes the sound ready for the session and posts it to the loop,
and waits whenever the stream has enough. No engine's cancel can be trusted: the thread looks at the flag at every item
of the engine and every 200 ms of audio, and what the engine still yields after a cancel is thrown away and counted.
Threads are daemons, so that an engine that hangs cannot keep the process from ending.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from base.audio import BYTES_PER_SAMPLE
from base.errors import AntiphonError, AtCapacity, Internal
from base.log import get_logger
from tts_workers import values as v
from tts_workers.engine import Mark, Request, Style
from tts_workers.models import Gains, LoadedModel, Speaker
from tts_workers.sound import ChunkSound
from tts_workers.text import clean

SLICE_S = 0.2
"""Audio is made ready, and posted, in pieces of at most this."""

MAX_WARMING = 2
"""Voices measured ahead of their first turn at once; turns come first."""

log = get_logger("engine")

T = TypeVar("T")
Post = Callable[[v.Produced | v.JobDone | v.JobFailed], None]


@dataclass(frozen=True, slots=True)
class JobReport:
    """How a job went. `busy_s` is the engine's own time, `audio_s` what it yielded, `wasted` of it thrown away here.

    `first_audio_s` runs from the job's start to its first audio; None where there was none.
    """

    first_audio_s: float | None
    busy_s: float
    audio_s: float
    wasted_s: float
    failed: bool


class Gate:
    """How far a job may go. The loop opens and cancels it, the job's thread waits at it."""

    def __init__(self, until: int, sent: int) -> None:
        self._changed = threading.Condition()
        self._until = until
        self._ahead = until - sent
        self._made = sent
        self._cancelled = False

    def allow(self, until: int) -> None:
        with self._changed:
            self._until = until
            self._changed.notify()

    def cancel(self) -> None:
        with self._changed:
            self._cancelled = True
            self._changed.notify()

    def cancelled(self) -> bool:
        return self._cancelled

    def wait(self, made: int) -> bool:
        """Waits until more than `made` samples of the turn are wanted; False when none are any more."""
        self._made = made
        if made >= self._until and not self._cancelled:
            with self._changed:
                self._changed.wait_for(lambda: self._cancelled or made < self._until)
        return not self._cancelled

    def unsent(self) -> int:
        """Samples of the turn that were made and not sent, as far as the gate knows."""
        return max(0, self._made - (self._until - self._ahead))


class Runner:
    """Starts jobs of one event loop. `report` is called on the loop after each."""

    def __init__(self, *, max_threads: int, report: Callable[[JobReport], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._max_threads = max_threads
        self._report = report
        self._live: set[threading.Thread] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._launched = 0
        self._warming = 0

    @property
    def threads(self) -> int:
        return len(self._live)

    def quiet_from_now(self) -> Callable[[], bool]:
        """Asked later, it tells whether no thread has been at an engine since. Both from any thread."""
        busy, launched = bool(self._live), self._launched
        return lambda: not busy and launched == self._launched

    def start_nowait(
        self,
        job: v.Job,
        model: LoadedModel,
        gains: Gains,
        speaker: Speaker,
        style: Style,
        rate: int,
        gate: Gate,
        post: Post,
    ) -> None:
        """`gains` are the session's. `post` is called on the loop, in order, ending with JobDone or JobFailed unless
        the gate was cancelled.

        Raises `AtCapacity` when too many threads hang in engines already.
        """
        if len(self._live) >= self._max_threads:
            raise AtCapacity(
                f"{len(self._live)} engine threads are busy, the most there may be; the engine may hang",
                reason="ENGINE_BUSY",
                retry_after_s=1.0,
            )
        work = _Work(job, model, gains, speaker, style, rate, gate)
        model.begin_use()
        self._launch(lambda: self._run(work, post))

    def warm_nowait(self, model: LoadedModel, voice: str) -> None:
        """Measures a voice that will be heard soon, so that its first turn need not wait for that.

        The caller holds a lease; when it is released, closing the model waits for the measuring.
        """
        if model.measured(voice) or self._warming >= MAX_WARMING or len(self._live) >= self._max_threads:
            return
        self._warming += 1
        model.begin_use()

        def measure() -> None:
            try:
                model.gain(voice)
            except Exception as error:
                # Its first turn will meet the same, and tell its client.
                log.warning("voice.unmeasured", model=model.spec.id, voice=voice, message=str(error))
            finally:
                model.end_use()
                self._post(self._warmed, threading.current_thread())

        self._launch(measure)

    async def wait_idle(self) -> None:
        """Returns when no thread is left; the gates of all jobs must have been cancelled."""
        await self._idle.wait()

    def _warmed(self, thread: threading.Thread) -> None:
        self._warming -= 1
        self._ended(thread)

    def _ended(self, thread: threading.Thread) -> None:
        self._live.discard(thread)
        if not self._live:
            self._idle.set()

    def _launch(self, target: Callable[[], None]) -> None:
        self._launched += 1
        thread = threading.Thread(target=target, name=f"engine-{self._launched}", daemon=True)
        self._live.add(thread)
        self._idle.clear()
        thread.start()

    def _run(self, work: _Work, post: Post) -> None:
        try:
            report = work.run(lambda event: self._post(post, event))
            self._post(self._report, report)
        finally:
            work.model.end_use()
            self._post(self._ended, threading.current_thread())

    def _post(self, callback: Callable[[T], object], value: T) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, value)
        except RuntimeError:
            # The loop is closed: nobody is left to tell.
            log.debug("engine.late")


class _Work:
    """One job, on its thread."""

    def __init__(
        self, job: v.Job, model: LoadedModel, gains: Gains, speaker: Speaker, style: Style, rate: int, gate: Gate
    ) -> None:
        self._job = job
        self.model = model
        self._gains = gains
        self._speaker = speaker
        self._style = style
        self._rate = rate
        self._gate = gate
        self._made = job.start_sample
        self._taken = self._wasted = 0
        self._waited = 0.0
        self._first: float | None = None

    def run(self, post: Post) -> JobReport:
        started = time.monotonic()
        error: AntiphonError | None = None
        try:
            self._speak(post, started)
        except AntiphonError as failed:
            error = failed
        except Exception as fault:
            log.error("engine.fault", model=self.model.spec.id, engine=self.model.info.name, exc_info=fault)
            error = Internal(f"the engine broke ({type(fault).__name__}); the worker's log says more", reason="FAULT")
        if not self._gate.cancelled():
            post(v.JobDone(self._job.id) if error is None else v.JobFailed(self._job.id, error))
        rate = self.model.info.sample_rate
        busy = time.monotonic() - started - self._waited
        return JobReport(self._first, busy, self._taken / rate, self._wasted / rate, error is not None)

    def _speak(self, post: Post, started: float) -> None:
        job, model = self._job, self.model
        gain = self._gains.of(model, self._speaker.voice) * self._style.volume
        rate = model.info.sample_rate
        sound = ChunkSound(rate, self._rate, gain=gain, start=job.start_sample, text_size=len(job.text))
        slice_bytes = round(rate * SLICE_S) * BYTES_PER_SAMPLE
        items = iter(model.model.synthesize(self._request()))
        try:
            # Waiting before an engine makes more, not only after, leaves less unheard.
            while self._wait() and (item := next(items, None)) is not None:
                if isinstance(item, Mark):
                    sound.mark(item)
                    continue
                self._taken += len(item.data) // BYTES_PER_SAMPLE
                for at in range(0, len(item.data), slice_bytes):
                    if not self._wait():
                        self._wasted += (len(item.data) - at) // BYTES_PER_SAMPLE
                        return
                    left = max(0, len(item.data) - at - slice_bytes) // BYTES_PER_SAMPLE
                    pcm = sound.push(item.data[at : at + slice_bytes])
                    if self._first is None:
                        self._first = time.monotonic() - started
                    self._post(post, v.Produced(job.id, pcm, sound.words(), sound.scaled(left)))
            if not self._gate.cancelled():
                self._post(post, v.Produced(job.id, sound.finish(), sound.words()))
        finally:
            if (close := getattr(items, "close", None)) is not None:
                close()

    def _wait(self) -> bool:
        before = time.monotonic()
        wanted = self._gate.wait(self._made)
        self._waited += time.monotonic() - before
        return wanted

    def _post(self, post: Post, news: v.Produced) -> None:
        self._made += len(news.pcm) // BYTES_PER_SAMPLE
        if news.pcm or news.words:
            post(news)

    def _request(self) -> Request:
        job = self._job
        return Request(
            turn=job.turn,
            text=clean(job.text),
            first=job.first,
            last=job.last,
            previous_text=clean(job.previous_text),
            language=self._speaker.language,
            voice=self._speaker.voice,
            style=self._style,
            seed=job.turn,
            cancelled=self._gate.cancelled,
            ahead_s=lambda: self._gate.unsent() / self._rate,
        )
