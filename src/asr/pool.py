"""Decoding in child processes, for recognisers that hold the GIL or a core: the servicer's `Ears` over a pool of them.

A child holds one loaded recogniser and hears one utterance at a time, any session's: what a session's voice taught goes
along as `adaptation`. The first child is there before the pool is; more are started when the idle ones run out, up to
`most`, one ahead of the need, and end after a while without work. An utterance may begin on a child that still loads:
its audio waits in the pipe, and decoding is faster than speech; so it may on one whose utterance was just cancelled.
Beyond `most`, an utterance is refused at once.

A child that dies, says nothing for `stall_s` while work waits, or falls `LATE_S` of audio behind, ends its utterance
with an error; it is replaced, with a back-off when children die one after another.

Children are spawned, never forked. They end with their standard input, so also when the worker is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from asr import children, pipe
from asr.ears import EarsSession, Failed, News, Sink, check_language
from asr.recognizer import RecognizerConfig, RecognizerInfo
from base.audio import UPLINK_RATE
from base.errors import AntiphonError, AtCapacity, TimedOut, Unavailable
from base.log import get_logger

LATE_S = 30.0
"""Audio that may wait for a child's decoder. An orchestrator sends up to 20 s again where a worker was lost."""
TICK_S = 0.25
RETRY_S = 1.0
BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0)

log = get_logger("asr.pool")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What a child runs: `factory` ("module:class") called with `options` (JSON) makes its recogniser.

    `check` is called for a session's configuration, in the worker: it returns warnings, or raises BadRequest.
    """

    info: RecognizerInfo
    factory: str
    options: Mapping[str, object] = field(default_factory=dict)
    check: Callable[[RecognizerConfig], tuple[str, ...]] = lambda _: ()


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """`most` children; `idle_s` without work ends one; seconds for loading and for silence with work waiting."""

    most: int = 4
    idle_s: float = 60.0
    load_s: float = 60.0
    stall_s: float = 10.0


@asynccontextmanager
async def pool(spec: ChildSpec, limits: PoolLimits) -> AsyncIterator[Pool]:
    """A pool whose first child has loaded. Raises Unavailable where none does."""
    async with asyncio.TaskGroup() as tasks:
        found = Pool(spec, limits, tasks)
        keeping = tasks.create_task(found.run())
        try:
            await found.wait_ready()
            yield found
        finally:
            keeping.cancel()
            found.close()


class Pool:
    """Made by `pool`. Belongs to one event loop."""

    def __init__(self, spec: ChildSpec, limits: PoolLimits, tasks: asyncio.TaskGroup) -> None:
        self.info = spec.info
        self.spec = spec
        self.limits = limits
        self.rtf = 0.0
        self._tasks = tasks
        self._children: list[_Child] = []
        self._failures = 0
        self._start_at = 0.0
        self._changed = asyncio.Event()
        self._closed = False
        self._why = ""

    @property
    def slots(self) -> int:
        return self.limits.most

    @property
    def busy(self) -> int:
        return sum(child.job is not None for child in self._children)

    @property
    def processes(self) -> tuple[int, ...]:
        """Ids of the children's processes."""
        return tuple(child.pid for child in self._children if child.pid)

    def open(self, config: RecognizerConfig) -> EarsSession:
        check_language(self.info, config)
        return _Session(self, config, self.spec.check(config))

    async def wait_ready(self) -> None:
        """Until a child has loaded; raises Unavailable when the first ones fail."""
        while not any(child.loaded for child in self._children):
            if self._failures >= 3:
                raise Unavailable(f"{self.info.name} does not start: {self._why}", reason="NO_DECODER")
            self._changed.clear()
            await self._changed.wait()

    async def run(self) -> None:
        """Keeps children until cancelled."""
        while True:
            now = time.monotonic()
            self._grow(now)
            for child in list(self._children):
                child.check(now)
            idle = [c for c in self._children if c.job is None and c.loaded and not c.leaving]
            if len(idle) > 1 and now - idle[-1].idle_since > self.limits.idle_s:
                idle[-1].leave()
            await asyncio.sleep(TICK_S)

    def close(self) -> None:
        """Ends all children at once."""
        self._closed = True
        for child in list(self._children):
            child.end(None)
            child.kill()

    def take(self, job: _Job) -> _Child:
        """A child for `job`, idle or starting; raises AtCapacity."""
        now = time.monotonic()
        child = next((c for c in self._children if c.job is None and c.loaded and not c.leaving), None)
        child = child or next((c for c in self._children if c.job is None and not c.leaving), None)
        child = child or self._start(now)
        # One that was told to give up its job is free in a moment: what waits for it waits in the pipe.
        giving_up = (c for c in self._children if c.job is not None and not c.job.live and not c.leaving)
        child = child or next(giving_up, None)
        if child is None:
            what = f"all {self.limits.most} decoders are in use" if not self._why else f"no decoder runs: {self._why}"
            raise AtCapacity(f"{what}; try again soon", retry_after_s=RETRY_S)
        child.begin(job, now)
        self._grow(now)
        return child

    def _grow(self, now: float) -> None:
        """One idle child more than is needed, while there may be more."""
        if all(c.job is not None or c.leaving for c in self._children):
            self._start(now)

    def _start(self, now: float) -> _Child | None:
        if self._closed or now < self._start_at or len(self._children) >= self.limits.most:
            return None
        child = _Child(self)
        self._children.append(child)
        self._tasks.create_task(child.run())
        return child

    def child_loaded(self) -> None:
        self._failures = 0
        self._why = ""
        self._changed.set()

    def child_gone(self, child: _Child, why: str) -> None:
        """`why` is empty where it was meant to go."""
        self._children.remove(child)
        if why:
            self._failures += 1
            self._why = why
            self._start_at = time.monotonic() + BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1]
            if not self._closed:
                log.warning("decoder.lost", engine=self.info.name, pid=child.pid, why=why)
        self._changed.set()

    def measured(self, busy_s: float, size: int) -> None:
        self.rtf += 0.02 * (busy_s / (size / 2 / UPLINK_RATE) - self.rtf)


class _Session:
    def __init__(self, pool: Pool, config: RecognizerConfig, warnings: tuple[str, ...]) -> None:
        self.warnings = warnings
        self.config = config
        self.adaptation = config.adaptation
        self._pool = pool
        self._live: set[_Job] = set()
        self._jobs = 0

    def begin_nowait(self, utterance: int, sample: int, sink: Sink) -> _Job:
        job = _Job(self, utterance, sample, sink)
        job.child = self._pool.take(job)
        self._live.add(job)
        return job

    def close_nowait(self) -> None:
        for job in list(self._live):
            job.cancel_nowait()

    def ended(self, job: _Job) -> None:
        self._live.discard(job)


class _Job:
    """One utterance on one child."""

    def __init__(self, session: _Session, utterance: int, sample: int, sink: Sink) -> None:
        self.session = session
        self.utterance = utterance
        self.sample = sample
        self.sink = sink
        self.live = True
        self.finishing = False
        self.waiting = 0
        """Bytes sent and not yet decoded."""
        self.child: _Child | None = None

    def push_nowait(self, pcm: bytes) -> None:
        if not self.live or self.finishing or self.child is None:
            return
        if self.waiting > LATE_S * UPLINK_RATE * 2:
            self.child.give_up(AtCapacity("decoding fell too far behind; there is more work than this machine can do"))
            return
        self.waiting += len(pcm)
        self.child.send(pipe.Audio(self.child.number, pcm))

    def finish_nowait(self) -> None:
        if self.live and not self.finishing and self.child is not None:
            self.finishing = True
            self.child.send(pipe.Finish(self.child.number))

    def cancel_nowait(self) -> None:
        if self.live and self.child is not None:
            self.child.give_up(None)

    def tell(self, news: News | None, *, last: bool) -> None:
        """To the session, unless it has lost interest."""
        if not self.live:
            return
        if last:
            self.live = False
            self.session.ended(self)
        if news is not None:
            self.sink(news)


class _Child:
    """One process and what it does. `number` counts its jobs."""

    def __init__(self, pool: Pool) -> None:
        self.job: _Job | None = None
        self.number = 0
        self.loaded = False
        self.leaving = False
        self.pid = 0
        self.idle_since = self._since = time.monotonic()
        self._pool = pool
        self._process: asyncio.subprocess.Process | None = None
        self._early: list[bytes] = []
        self._why = ""

    # --- its jobs -------------------------------------------------------------------------------------------------

    def begin(self, job: _Job, now: float) -> None:
        self.number += 1
        if self.job is None:
            self._since = now
        self.job = job
        config = job.session.config
        self.send(
            pipe.Begin(self.number, job.utterance, job.sample, config.language, config.phrases, job.session.adaptation)
        )

    def send(self, message: pipe.ToChild) -> None:
        data = pipe.encode(message)
        if self._process is None or self._process.stdin is None:
            self._early.append(data)
        else:
            self._write(self._process.stdin, data)

    def _write(self, stdin: asyncio.StreamWriter, data: bytes) -> None:
        """To a child that is dead already nothing is written: `run` notices, and ends what it was at."""
        if not stdin.is_closing():
            # uvloop raises where the pipe broke and it has not said so yet.
            with contextlib.suppress(RuntimeError, OSError):
                stdin.write(data)

    def give_up(self, error: AntiphonError | None) -> None:
        """The job's news ends here; the child is free again once it says so."""
        if self.job is not None:
            self.job.tell(Failed(self.job.utterance, error) if error is not None else None, last=True)
            self.send(pipe.Cancel(self.number))

    def end(self, error: AntiphonError | None) -> None:
        """The job is over, whatever the child thinks."""
        job, self.job = self.job, None
        self.idle_since = time.monotonic()
        if job is not None:
            job.tell(Failed(job.utterance, error) if error is not None else None, last=True)

    def check(self, now: float) -> None:
        """Ends a child that hangs."""
        job = self.job
        waits = job is not None and (job.waiting > 0 or job.finishing or not job.live)
        if not self.loaded:
            if now - self.idle_since > self._pool.limits.load_s and not self._why:
                self._hung(f"it did not load within {self._pool.limits.load_s:g} s")
        elif not waits:
            self._since = now
        elif now - self._since > self._pool.limits.stall_s and not self._why:
            self._hung(f"it said nothing for {self._pool.limits.stall_s:g} s")

    def _hung(self, why: str) -> None:
        self._why = why
        self.end(TimedOut(f"the decoder was ended: {why}", retry_after_s=RETRY_S))
        self.kill()

    # --- its life -------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Lets it go; nothing is being heard."""
        self.leaving = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        self.leaving = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def run(self) -> None:
        """The process from its start to its end."""
        why = "it could not be started"
        try:
            spec = self._pool.spec
            process, stdin, stdout = await children.spawn("asr.child", spec.factory, spec.options, OMP_NUM_THREADS="1")
            self._process = process
            self.pid = process.pid
            if self.leaving:
                process.kill()
            early, self._early = b"".join(self._early), []
            self._write(stdin, early)
            try:
                await self._read(stdout)
            finally:
                stdin.close()
                if process.returncode is None:
                    process.kill()
                await asyncio.shield(process.wait())
            why = "" if self.leaving and not self._why else self._why or f"it ended with {process.returncode}"
        except OSError as error:
            why = f"{why}: {error}"
        finally:
            self.leaving = True
            self._pool.child_gone(self, why)
            self.end(Unavailable(f"the decoder was lost: {why or 'it ended'}", retry_after_s=RETRY_S))

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        async for body in children.bodies(stdout):
            self._since = time.monotonic()
            self._take(pipe.from_child(body))

    def _take(self, message: pipe.FromChild) -> None:
        if isinstance(message, pipe.Loaded):
            self.loaded = True
            self.idle_since = time.monotonic()
            self._pool.child_loaded()
            return
        job = self.job
        if job is None or message.job != self.number:
            return
        match message:
            case pipe.Taken():
                job.waiting -= message.size
                self._pool.measured(message.busy_s, message.size)
                partial = message.partial()
                if partial is not None:
                    job.tell(partial, last=False)
            case pipe.Finished():
                if job.live and message.adaptation:
                    job.session.adaptation = message.adaptation
                job.tell(message.final(), last=True)
                self.end(None)
            case pipe.Failed():
                job.tell(Failed(job.utterance, message.error()), last=True)
                self.end(None)
            case pipe.Cancelled():
                self.end(None)
