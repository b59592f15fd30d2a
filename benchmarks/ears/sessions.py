"""Plays clips through real sessions in real time: the orchestrator's own hub and sessions, over a recogniser that its
registry knows. What answers is a brain that thinks for a while and says nothing, as one does that is still being asked:
who goes on speaking meanwhile takes the turn back, as in the product.

A frame leaves the microphone when its last sample was heard.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from asr.vad import FrameVad, SpeechEnded, SpeechStarted, VadEvent
from base.audio import UPLINK_RATE
from benchmarks import speech
from benchmarks.ears.clips import Clip, spread_words
from benchmarks.ears.oracle import Spoken, spoken
from benchmarks.ears.scoring import Heard, Truth
from orchestrator import messages as m
from orchestrator.clients.workers import Workers, wanted_ears
from orchestrator.conversation.history import Item
from orchestrator.downlink import Ticker
from orchestrator.hub import SessionHub
from orchestrator.ports import Context, Delta, Done, Peer, VoiceChoice
from orchestrator.session import Services
from orchestrator.settings import OrchestratorSettings
from registry.directory import directory
from registry.store import Store

FRAME = UPLINK_RATE // 50
SETTLE_S = 2.4
"""After a clip's last word, at least, before the next clip: longer than a turn waits for its end."""
FINISH_S = 2.0
"""After the last clip."""
THINKS_S = 1.0
WORKER_S = 60.0


@dataclass(frozen=True, slots=True)
class Script:
    """One session: clips of one speaker, one after another."""

    name: str
    pcm: bytes
    truths: tuple[Truth, ...]
    words: tuple[Spoken, ...]
    """What the oracle hears."""


@dataclass(slots=True)
class Played:
    script: Script
    heard: Heard
    late_s: float = 0.0
    """The latest frame: how much later than due."""


def scripts(clips: Sequence[Clip]) -> list[Script]:
    """A session for each speaker, the longest first. Pure."""
    speakers: dict[str, list[Clip]] = {}
    for clip in clips:
        speakers.setdefault(clip.speaker, []).append(clip)
    made = [_script(name or "the speaker", of) for name, of in speakers.items()]
    return sorted(made, key=lambda script: -len(script.pcm))


def _script(name: str, clips: Sequence[Clip]) -> Script:
    """Where a clip ends too soon after its last word, the silence of a room follows."""
    pcm = bytearray()
    truths, ends = [], []
    for number, clip in enumerate(clips):
        begins = len(pcm) / 2 / UPLINK_RATE
        pcm += clip.pcm
        rest_s = clip.seconds - clip.speech[-1][1]
        pcm += speech.room(max(0.0, SETTLE_S - rest_s), seed=number)
        ends += [(word, begins + end) for word, end in clip.words or spread_words(clip.text, clip.speech)]
        truths.append(
            Truth(
                clip.name,
                begins,
                len(pcm) / 2 / UPLINK_RATE,
                clip.text,
                tuple((begins + start, begins + end) for start, end in clip.speech),
                tuple((word, begins + end) for word, end in clip.words),
                clip.condition,
            )
        )
    pcm += speech.room(FINISH_S, seed=len(clips))
    return Script(name, bytes(pcm), tuple(truths), spoken(tuple(ends)))


class Thinker:
    """See the module."""

    name = "thinker"

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        await asyncio.sleep(THINKS_S)
        yield Done()

    async def warm(self) -> None:
        pass

    async def close(self) -> None:
        pass


class Watched(FrameVad):
    """A session's detector, and all it told."""

    def __init__(self, inner: FrameVad) -> None:
        self._inner = inner
        self.spans: dict[int, tuple[float, float]] = {}
        """Of each utterance, in seconds; one that goes on has no end yet."""

    @property
    def speaking(self) -> bool:
        return self._inner.speaking

    @property
    def loudest_dbfs(self) -> float:  # type: ignore[override]
        return self._inner.loudest_dbfs

    def set_trigger(self, frames: int) -> None:
        self._inner.set_trigger(frames)

    def set_over_reply(self, over: bool) -> None:
        self._inner.set_over_reply(over)

    def relearn_noise(self) -> None:
        self._inner.relearn_noise()

    def push(self, sample: int, pcm: bytes) -> list[VadEvent]:
        news = self._inner.push(sample, pcm)
        for each in news:
            at_s = each.sample / UPLINK_RATE
            if isinstance(each, SpeechStarted):
                self.spans[each.utterance] = (at_s, float("inf"))
            elif isinstance(each, SpeechEnded):
                self.spans[each.utterance] = (self.spans[each.utterance][0], at_s)
            else:  # dismissed: it was taken back before it could begin a turn
                del self.spans[each.utterance]
        return news


class Microphone:
    """A client that has no loudspeaker, and writes down what it is told. `begun_s`: when its first sample was."""

    holds = True
    acknowledges = False
    lead_s = 0.2
    output_rate = 48_000

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.begun_s = 0.0
        self.heard = Heard()

    def send_nowait(self, message: m.ServerMessage) -> None:
        at_s = self._clock() - self.begun_s
        match message:
            case m.Transcript():
                self.heard.transcripts.append((at_s, message.utterance, message.text))
            case m.TurnEnded():
                self.heard.turns.append((at_s, message.reason))
            case m.Error():
                self.heard.errors.append(f"{message.code}: {message.message}")
            case m.Notice(code="recognition_failed" | "cannot_hear"):
                self.heard.errors.append(message.message)

    def room(self) -> int:
        return 0

    def play_nowait(self, turn: int, sample: int, pcm: bytes) -> None:
        raise AssertionError("nobody speaks here")

    def hold_nowait(self, turn: int) -> None:
        pass

    def resume_nowait(self, turn: int, sample: int) -> None:
        pass

    def clear_nowait(self, turn: int) -> None:
        pass

    def close_nowait(self, code: int, reason: str) -> None:
        pass


class House:
    """A hub of sessions with one recogniser and one detector. Made by `house`."""

    def __init__(self, hub: SessionHub, made: list[Watched], clock: Callable[[], float]) -> None:
        self._hub = hub
        self._made = made
        self._clock = clock

    async def play(self, script: Script, mode: str, *, language: str = "en", oracle: bool = False) -> Played:
        """One session, in as long as it takes."""
        microphone = Microphone(self._clock)
        start = m.SessionStart(
            greeting=False,
            language=language,
            hold=True,
            phrases=[script.name] if oracle else [],
            endpointing=m.Endpointing(mode="fixed" if mode == "fixed" else "adaptive"),
        )
        side = self._hub.open_nowait(start, microphone, Peer("bench"))
        watched = self._made.pop()
        microphone.begun_s = self._clock()
        played = Played(script, microphone.heard)
        for sample in range(0, len(script.pcm) // 2 - FRAME + 1, FRAME):
            due = microphone.begun_s + (sample + FRAME) / UPLINK_RATE
            await asyncio.sleep(max(0.0, due - self._clock()))
            now = self._clock()
            played.late_s = max(played.late_s, now - due)
            side.audio_nowait(sample, script.pcm[2 * sample : 2 * (sample + FRAME)], now)
        side.message_nowait(m.SessionEnd())
        microphone.heard.speech = dict(watched.spans)
        return played


@asynccontextmanager
async def house(store: Store, detector: Callable[[], FrameVad], language: str = "en") -> AsyncIterator[House]:
    """Waits until the recogniser is known. Raises TimeoutError."""
    clock = time.monotonic
    made: list[Watched] = []

    def watched() -> FrameVad:
        made.append(Watched(detector()))
        return made[-1]

    settings = OrchestratorSettings(grace_s=0.0, max_sessions=1_000)
    async with directory(store) as known, asyncio.TaskGroup() as tasks:
        workers = Workers(known)
        ticker = Ticker()
        services = Services(
            workers=workers,
            ticker=ticker,
            responder=lambda name: Thinker(),
            detector=watched,
            observe=lambda line: None,
            usual=VoiceChoice(language=language),
        )
        hub = SessionHub(settings, services, clock)
        ticking = tasks.create_task(ticker.run())
        running = tasks.create_task(hub.run())
        try:
            async with asyncio.timeout(WORKER_S):
                while not workers.can_hear(language):
                    await workers.wait_for(wanted_ears(language), timeout_s=1.0)
            yield House(hub, made, clock)
        finally:
            hub.close()
            await running
            ticking.cancel()
            await workers.close()


def oracle_words(all_scripts: Sequence[Script]) -> Mapping[str, tuple[Spoken, ...]]:
    return {script.name: script.words for script in all_scripts}
