"""`Ears` over one model that many sessions share, in a child process that decodes one clip at a time.

Every utterance's audio since its last cut stays here. `asr.listening` says whose is decoded next, `asr.agreement` what
of the decodes is published. A child that dies, or hangs in a decode, takes along the utterance that it was at, which
fails; the others go on with the child that is started in its place, later by the time that this takes to load. What
hangs is told by what decodes cost: many times that, and no more than `stall_s`, which holds as long as that is unknown.

Children are spawned, never forked, and end with their standard input, so also when the worker is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from asr import children
from asr import shared_pipe as pipe
from asr.agreement import LONG, Agreement, Cuts, Heard
from asr.ears import EarsSession, Failed, Sink, check_language
from asr.listening import Listening
from asr.recognizer import Final, Partial, RecognizerConfig, RecognizerInfo, Word
from asr.transcriber import Transcript
from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE
from base.errors import AntiphonError, AtCapacity, TimedOut, Unavailable
from base.language import ANY
from base.log import get_logger

LATE_S = 30.0
"""Audio of one utterance that may wait to be decoded."""
TICK_S = 0.1
RETRY_S = 1.0
TRIES = 3
BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0)
STALL_LEAST_S = 2.0
"""A decode that takes less never counts as hung, …"""
STALL_TIMES = 8
"""… nor one that takes less than so many usual ones."""
TOO_MANY = "too many people stopped speaking at the same moment; say it again"
SURE = 0.8
"""A detected language that is so probable is kept for the session."""
SURE_S = 1.0
"""… where it was heard in so much speech."""
_SILENT = 10 ** (-50 / 20) * 32768
"""RMS of a piece of audio that needs no decode of its own: -50 dBFS."""

log = get_logger("asr.shared")


@dataclass(frozen=True, slots=True)
class SharedSpec:
    """What the child runs: `factory` ("module:class") called with `options` (JSON) makes its transcriber.

    `check` is called for a session's configuration, in the worker: it returns warnings, or raises BadRequest.
    """

    info: RecognizerInfo
    factory: str
    options: Mapping[str, object] = field(default_factory=dict)
    check: Callable[[RecognizerConfig], tuple[str, ...]] = lambda _: ()
    cuts: Cuts = LONG


@dataclass(frozen=True, slots=True)
class SharedLimits:
    """`most` utterances at once, and no more than suits a model that promises finals within `behind_s`
    (`asr.listening`); the most seconds for loading and for a decode.
    """

    most: int = 64
    behind_s: float = 2.0
    load_s: float = 60.0
    stall_s: float = 10.0


@asynccontextmanager
async def shared_ears(spec: SharedSpec, limits: SharedLimits) -> AsyncIterator[SharedEars]:
    """Ears whose child has loaded. Raises what the child says of a model that cannot be loaded."""
    async with asyncio.TaskGroup() as tasks:
        ears = SharedEars(spec, limits)
        keeping = tasks.create_task(ears.run())
        try:
            await ears.wait_ready()
            yield ears
        finally:
            ears.close()
            keeping.cancel()


class SharedEars:
    """Made by `shared_ears`. Belongs to one event loop."""

    def __init__(self, spec: SharedSpec, limits: SharedLimits) -> None:
        self.info = spec.info
        self.spec = spec
        self.limits = limits
        self.rtf = 0.0
        self.listening = Listening(most=limits.most, behind_s=limits.behind_s)
        self._live: dict[int, _Utterance] = {}
        self._ids = itertools.count(1)
        self._child: _Child | None = None
        self._failures = 0
        self._opened = False
        """A child has loaded: one that refuses the model after that breaks what was there."""
        self._why: AntiphonError | None = None
        self._changed = asyncio.Event()

    @property
    def slots(self) -> int:
        return self.listening.slots

    @property
    def busy(self) -> int:
        return self.listening.busy

    @property
    def processes(self) -> tuple[int, ...]:
        """The id of the child's process, while there is one."""
        return (self._child.pid,) if self._child is not None and self._child.pid else ()

    def open(self, config: RecognizerConfig) -> EarsSession:
        check_language(self.info, config)
        return _Session(self, config, self.spec.check(config))

    # --- utterances ---------------------------------------------------------------------------------------------------

    def begin(self, utterance: _Utterance) -> int:
        """Its number here. Raises AtCapacity, or why no model is there."""
        if self._failures >= TRIES and self._why is not None:
            raise Unavailable(f"no decoder runs: {self._why.message}", reason="NO_DECODER", retry_after_s=RETRY_S)
        id = next(self._ids)
        self.listening.begin(id)
        self._live[id] = utterance
        return id

    def over(self, id: int) -> None:
        self._live.pop(id, None)
        self.listening.drop(id)

    def pump(self) -> None:
        """Tells who would come too late, and starts the decode that is due, if the child is free."""
        if self._child is None or not self._child.loaded:
            return
        now = time.monotonic()
        for late in self.listening.late(now, self._child.loaded_s):
            self._live[late].end(AtCapacity(TOO_MANY, retry_after_s=RETRY_S))
        id = self.listening.next(now)
        if id is not None:
            utterance = self._live[id]
            self._child.decode(utterance, last=self.listening.is_last(id))

    def decoded(self, utterance: _Utterance, said: Transcript, took_s: float, size: int, *, last: bool) -> None:
        now = time.monotonic()
        # What has no words may not have been decoded at all, and tells nothing of how long that takes.
        cost_s = took_s if said.words else max(took_s, self.listening.cost_s)
        over = self.listening.done(cost_s, sure=said.sure, last=last, now=now)
        self.rtf += 0.1 * (took_s / (size / UPLINK_RATE) - self.rtf) if size else 0.0
        utterance.hear(said, over=over)
        self.pump()

    def failed(self, utterance: _Utterance, error: AntiphonError) -> None:
        """The running decode came to nothing."""
        self.listening.lost()
        utterance.end(error)
        self.pump()

    # --- its child ----------------------------------------------------------------------------------------------------

    async def wait_ready(self) -> None:
        while self._child is None or not self._child.loaded:
            if self._why is not None and self._failures >= TRIES:
                raise self._why
            self._changed.clear()
            await self._changed.wait()

    async def run(self) -> None:
        """One child after another, until cancelled, or until the model is one that cannot be loaded."""
        while True:
            child = self._child = _Child(self)
            why = await child.run()
            self._child = None
            self._failures = TRIES if child.refused else self._failures + 1
            self._why = why
            log.warning("decoder.lost", engine=self.info.name, pid=child.pid, why=why.message)
            self._changed.set()
            if self._failures >= TRIES:
                for utterance in list(self._live.values()):
                    utterance.end(why)
            if child.refused:
                if self._opened:
                    raise why
                return
            await asyncio.sleep(BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1])

    def loaded(self, cost_s: float) -> None:
        self._opened = True
        self._failures = 0
        self._why = None
        self.listening.cost_s = self.listening.cost_s or cost_s
        self._changed.set()
        self.pump()

    def check(self, now: float) -> None:
        """Ends utterances that ended and whose final nobody will compute in time, though a model is there."""
        if self._child is None or not self._child.loaded:
            return
        since, loaded_s = self.listening.oldest_end(), self._child.loaded_s
        if since is not None and now - max(since, loaded_s) > self.limits.stall_s + self.limits.behind_s:
            for utterance in list(self._live.values()):
                ended_s = utterance.ended_s
                if ended_s is not None and now - max(ended_s, loaded_s) > self.limits.stall_s:
                    utterance.end(TimedOut("the final was not there in time", retry_after_s=RETRY_S))

    def close(self) -> None:
        """Ends all there is at once."""
        for utterance in list(self._live.values()):
            utterance.end(None)
        if self._child is not None:
            self._child.kill()


class _Session:
    def __init__(self, ears: SharedEars, config: RecognizerConfig, warnings: tuple[str, ...]) -> None:
        self.warnings = warnings
        self.ears = ears
        self.phrases = config.phrases
        self.language = "" if config.language == ANY else config.language
        """As given, or once it was detected for sure."""
        self._given = bool(self.language) or not ears.info.detection
        self._live: set[_Utterance] = set()

    @property
    def detected(self) -> str:
        """What was detected for sure, if that was wanted; a model of one language detects nothing."""
        return "" if self._given else self.language

    def begin_nowait(self, utterance: int, sample: int, sink: Sink) -> _Utterance:
        made = _Utterance(self, utterance, sample, sink)
        self._live.add(made)
        return made

    def close_nowait(self) -> None:
        for utterance in list(self._live):
            utterance.cancel_nowait()

    def over(self, utterance: _Utterance) -> None:
        self._live.discard(utterance)


class _Utterance:
    """Its audio since the last cut, and what is understood of it."""

    def __init__(self, session: _Session, utterance: int, sample: int, sink: Sink) -> None:
        self.session = session
        self.language = session.language
        self.ended_s: float | None = None
        self._utterance = utterance
        self._first = sample
        self._sink = sink
        self._audio = bytearray()
        self._agreement = Agreement(sample, session.ears.spec.cuts)
        self._said: tuple[str, int] = ("", 0)
        self._live = True
        self._id = session.ears.begin(self)

    def clip(self) -> tuple[bytes, int]:
        """What is to be decoded, and where it begins."""
        return bytes(self._audio), self._first

    def push_nowait(self, pcm: bytes) -> None:
        if not self._live or self.ended_s is not None or not pcm:
            return
        listening = self.session.ears.listening
        self._audio += pcm
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
        loud = float(np.mean(samples * samples)) > _SILENT**2
        listening.audio(self._id, len(samples), loud=loud, now=time.monotonic())
        if listening.behind(self._id) > LATE_S * UPLINK_RATE:
            self.end(
                AtCapacity(
                    "decoding fell too far behind; there is more speech than this model can follow",
                    retry_after_s=RETRY_S,
                )
            )
        else:
            self.session.ears.pump()

    def finish_nowait(self) -> None:
        if self._live and self.ended_s is None:
            self.ended_s = time.monotonic()
            if self.session.ears.listening.finish(self._id, self.ended_s):
                self._finish(None)
            else:
                self.session.ears.pump()

    def cancel_nowait(self) -> None:
        self.end(None)

    def end(self, error: AntiphonError | None) -> None:
        """It is over without a final."""
        if self._live:
            self._close()
            if error is not None:
                self._sink(Failed(self._utterance, error))

    def hear(self, said: Transcript, *, over: bool) -> None:
        """A decode of what `clip` gave; `over`: the last one."""
        if not self._live:
            return
        words = [Heard(w.text, self._first + w.start, self._first + w.end, w.confidence) for w in said.words]
        self._learn(said, words)
        if over:
            self._finish(words)
            return
        if words or said.sure:
            self._agreement.hear(words)
        self._agreement.trim(self._first + len(self._audio) // BYTES_PER_SAMPLE)
        gone = self._agreement.cut - self._first
        del self._audio[: gone * BYTES_PER_SAMPLE]
        self._first += gone
        news = (self._agreement.text, self._agreement.stable)
        if news != self._said and (news[0] or self._said[0]):
            self._said = news
            self._sink(Partial(self._utterance, *news, self.session.detected))

    def _learn(self, said: Transcript, words: list[Heard]) -> None:
        """A language that was detected for sure is the session's from now on."""
        long = bool(words) and words[-1].end - words[0].start >= SURE_S * UPLINK_RATE
        if not self.language and long and said.language and said.probability >= SURE:
            self.language = said.language
            self.session.language = self.session.language or said.language

    def _finish(self, words: list[Heard] | None) -> None:
        self._agreement.settle(words)
        heard = self._agreement.words
        text = self._agreement.text
        self._close()
        sure = sum(w.confidence for w in heard) / len(heard) if heard else 0.0
        words_ = tuple(Word(w.text.strip(), w.start, w.end, w.confidence) for w in heard)
        self._sink(Final(self._utterance, text, sure, words_, self.session.detected))

    def _close(self) -> None:
        self._live = False
        self._audio = bytearray()
        self.session.over(self)
        self.session.ears.over(self._id)


class _Child:
    """One process, and the clip that it is at."""

    def __init__(self, ears: SharedEars) -> None:
        self.loaded = False
        self.loaded_s = 0.0
        self.refused = False
        self.pid = 0
        self._ears = ears
        self._since = time.monotonic()
        self._job = 0
        self._done = 0
        """Decodes that had words: the first after a load may take longer than any other."""
        self._at: tuple[_Utterance, int, bool] | None = None
        self._why: AntiphonError | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._killed = False

    def decode(self, utterance: _Utterance, *, last: bool) -> None:
        pcm, _ = utterance.clip()
        self._job += 1
        self._at = (utterance, len(pcm) // BYTES_PER_SAMPLE, last)
        self._since = time.monotonic()
        session = utterance.session
        data = pipe.encode(pipe.Decode(self._job, pcm, utterance.language, session.phrases, last))
        stdin = self._process.stdin if self._process is not None else None
        if stdin is not None and not stdin.is_closing():
            # uvloop raises where the pipe broke and it has not said so yet; `run` notices.
            with contextlib.suppress(RuntimeError, OSError):
                stdin.write(data)

    def kill(self) -> None:
        self._killed = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def run(self) -> AntiphonError:
        """The process from its start to its end, and why it ended."""
        try:
            spec = self._ears.spec
            process, stdin, stdout = await children.spawn(
                "asr.shared_child", spec.factory, spec.options, HF_HUB_OFFLINE="1"
            )
        except OSError as error:
            return Unavailable(f"{self._ears.info.name} does not start: {error}", reason="NO_DECODER")
        self._process = process
        self.pid = process.pid
        if self._killed:
            process.kill()
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch())
                await self._read(stdout)
                watching.cancel()
        finally:
            stdin.close()
            if process.returncode is None and not self.refused:
                process.kill()
            await asyncio.shield(process.wait())
        why = self._why or Unavailable(
            f"the decoder was lost: it ended with {process.returncode}", reason="NO_DECODER", retry_after_s=RETRY_S
        )
        self.loaded = False
        at, self._at = self._at, None
        if at is not None:
            self._ears.failed(at[0], why)
        return why

    async def _watch(self) -> None:
        """Ends one that hangs."""
        limits = self._ears.limits
        while True:
            now = time.monotonic()
            waited = now - self._since
            if not self.loaded and waited > limits.load_s:
                self._hung(f"it did not load within {limits.load_s:g} s")
            elif self._at is not None and waited > (stall_s := self._stall_s()):
                self._hung(f"a decode took more than {stall_s:.2g} s")
            self._ears.check(now)
            await asyncio.sleep(TICK_S)

    def _stall_s(self) -> float:
        """How long a decode may take now."""
        most = self._ears.limits.stall_s
        cost_s = self._ears.listening.cost_s
        return min(most, max(STALL_LEAST_S, STALL_TIMES * cost_s)) if self._done and cost_s else most

    def _hung(self, why: str) -> None:
        if self._why is None:
            self._why = TimedOut(f"the decoder was ended: {why}", retry_after_s=RETRY_S)
            self.kill()

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        async for body in children.bodies(stdout):
            self._take(pipe.from_child(body))

    def _take(self, message: pipe.FromChild) -> None:
        match message:
            case pipe.Loaded():
                self.loaded, self.loaded_s = True, time.monotonic()
                self._ears.loaded(message.cost_s)
            case pipe.Refused():
                self.refused = True
                self._why = message.error()
            case pipe.Decoded() if self._at is not None and message.job == self._job:
                (utterance, size, last), self._at = self._at, None
                self._done += bool(message.words)
                self._ears.decoded(utterance, message.transcript(), message.took_s, size, last=last)
            case pipe.Failed() if self._at is not None and message.job == self._job:
                (utterance, _, _), self._at = self._at, None
                self._ears.failed(utterance, message.error())
