"""The workers an orchestrator knows: placement over the registry's live snapshot, one gRPC channel an address."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio

from base import log as logs
from base import rpc
from base.errors import AntiphonError, NotFound
from base.language import ANY, closeness, matches
from orchestrator.ports import VoiceChoice
from registry.directory import Directory
from registry.placement import Candidate, Wanted, choose
from registry.records import ModelState, WorkerKind, WorkerRecord

log = logs.get_logger("workers")

MOST_CHANNELS = 64
"""Idle channels kept open to workers that are still there."""


@dataclass(slots=True)
class _Shared:
    channel: grpc.aio.Channel
    users: int = 0


class Workers:
    """Made and closed in the event loop that uses it."""

    def __init__(self, directory: Directory, token: rpc.Token = rpc.NONE) -> None:
        self._directory = directory
        self._token = token
        self._channels: dict[str, _Shared] = {}
        self._random = random.Random()

    async def close(self) -> None:
        channels, self._channels = list(self._channels.values()), {}
        for shared in channels:
            await shared.channel.close()

    @asynccontextmanager
    async def channel(self, address: str) -> AsyncIterator[grpc.aio.Channel]:
        """The channel to `address`, shared by all who use it. It outlives them while a worker is known to be there."""
        shared = self._channels.get(address)
        if shared is None:
            shared = self._channels[address] = _Shared(rpc.channel(address, self._token))
        shared.users += 1
        try:
            yield shared.channel
        finally:
            shared.users -= 1
            await self._tidy()

    async def _tidy(self) -> None:
        """Closes what nobody uses and nobody is likely to: a restarted worker has another address."""
        known = {worker.address for worker in self._directory.snapshot()}
        idle = [a for a, shared in self._channels.items() if not shared.users]
        gone = [a for a in idle if a not in known] or idle[: max(0, len(idle) - MOST_CHANNELS)]
        for shared in [self._channels.pop(address) for address in gone]:
            await shared.channel.close()

    @property
    def channels(self) -> int:
        return len(self._channels)

    def find(self, wanted: Wanted, exclude: Collection[str] = ()) -> Candidate | None:
        """The best worker for `wanted` whose `identity` is not excluded, and its model that does it."""
        for candidate in choose(self._directory.snapshot(), wanted, self._random.random):
            if identity(candidate.worker) not in exclude:
                return candidate
        return None

    async def wait_for(self, wanted: Wanted, *, timeout_s: float, exclude: Collection[str] = ()) -> Candidate | None:
        """`find`, waiting up to `timeout_s` for one to appear."""
        await self._directory.wait_for(lambda _: self.find(wanted, exclude) is not None, timeout_s)
        return self.find(wanted, exclude)

    def fits(self, who: Candidate, wanted: Wanted) -> bool:
        """Whether the worker, as it is known now, does what is wanted with the same model, and stays.

        One whose model failed does where nobody else's has not.
        """
        found = choose(self._directory.snapshot(), wanted, self._random.random)
        return any(
            identity(c.worker) == identity(who.worker) and c.model.id == who.model.id and c.failed == found[0].failed
            for c in found
        )

    def loading(self, who: Candidate) -> bool:
        """Whether the worker, as it is known now, does not have the model in memory yet."""
        return any(
            model.id == who.model.id and model.state not in (ModelState.READY, ModelState.FAILED)
            for worker in self._directory.snapshot()
            if identity(worker) == identity(who.worker)
            for model in worker.models
        )

    def failed(self, worker: WorkerRecord, error: AntiphonError) -> None:
        """For the log: reasons only, since a message may quote what was said."""
        log.warning("worker_failed", worker=worker.id, code=error.code, reason=error.reason)

    # --- what there is ------------------------------------------------------------------------------------------------

    def of(self, kind: WorkerKind) -> tuple[WorkerRecord, ...]:
        return tuple(w for w in self._directory.snapshot() if w.kind is kind and not w.draining)

    def check_voice(self, choice: VoiceChoice) -> None:
        """Raises NotFound for a model, voice or language that none of the workers there are can speak."""
        if not self.of(WorkerKind.TTS) or self.find(wanted_voice(choice)) is not None:
            return
        models = sorted({model.id for w in self.of(WorkerKind.TTS) for model in w.models})
        if choice.model and choice.model not in models:
            raise NotFound(
                f"model {choice.model!r} is not here; one of: {', '.join(models)}",
                reason="MODEL_UNKNOWN",
                where="model",
            )
        if choice.voice and self.find(wanted_voice(VoiceChoice(voice=choice.voice))) is not None:
            by = f" in model {choice.model!r}" if choice.model else ""
            raise NotFound(
                f"voice {choice.voice!r} does not speak {choice.language!r}{by}; name no voice, or its own language",
                reason="VOICE_LANGUAGE",
                where="voice",
            )
        if choice.voice:
            known = self.voices(choice.language)[:12] or self.voices("")[:12]
            raise NotFound(
                f"voice {choice.voice!r} is not here; `antiphon voices` lists them, such as {', '.join(known)}",
                reason="VOICE_UNKNOWN",
                where="voice",
            )
        raise NotFound(
            f"nobody here speaks {choice.language!r}; one of: {', '.join(self.speaks()[:40])}",
            reason="LANGUAGE_UNKNOWN",
            where="language",
        )

    def can_speak(self, choice: VoiceChoice) -> bool:
        return self.find(wanted_voice(choice)) is not None

    def check_ear(self, ear: str) -> None:
        """Raises NotFound for a model that none of the workers there are can listen with."""
        models = sorted({model.id for w in self.of(WorkerKind.ASR) for model in w.models})
        if ear and models and ear not in models:
            raise NotFound(
                f"ear {ear!r} is not here; one of: {', '.join(models)}, or empty for any",
                reason="EAR_UNKNOWN",
                where="ear",
            )

    def can_hear(self, language: str, ear: str = "") -> bool:
        """Whether somebody hears the language; of "*", whether somebody tells languages apart. `ear`: with it."""
        return self.find(wanted_ears(language, detects=language == ANY, model=ear)) is not None

    def ears(self, language: str, ear: str = "") -> Wanted:
        """Whom to ask to hear the language: for "*" who tells languages apart, where there is anybody who does."""
        detects = wanted_ears(language, detects=True, model=ear)
        return detects if language == ANY and self.find(detects) is not None else wanted_ears(language, model=ear)

    def gives_partials(self, language: str, ear: str = "") -> bool:
        """Whether whoever hears the language says what it understands while somebody speaks. True while unknown."""
        who = self.find(self.ears(language, ear))
        return who is None or "partials" in who.model.features

    def hears(self) -> list[str]:
        return sorted({lang for w in self.of(WorkerKind.ASR) for model in w.models for lang in model.languages})

    def speaks(self) -> list[str]:
        return sorted({lang for w in self.of(WorkerKind.TTS) for model in w.models for lang in model.languages})

    def voices(self, language: str) -> tuple[str, ...]:
        """Ids of the voices for `language` (any, if empty): the closest first, else in the workers' order.

        So the first is the one with which a worker speaks the language when it is told none.
        """
        found = (
            (max((closeness(language, tag) for tag in voice.languages), default=0) if language else 1, voice.id)
            for w in self.of(WorkerKind.TTS)
            for model in w.models
            for voice in model.voices
        )
        near = sorted((one for one in found if one[0]), key=lambda one: -one[0])
        return tuple(dict.fromkeys(id for _, id in near))

    def language_of(self, voice: str, language: str) -> str:
        """`language` if the voice speaks it or is not known, else the voice's own first."""
        name = voice.partition("+")[0]
        tags = [
            tag
            for w in self.of(WorkerKind.TTS)
            for model in w.models
            for v in model.voices
            if v.id.lower() == name.lower()
            for tag in v.languages
        ]
        return language if not tags or any(matches(language, tag) for tag in tags) else tags[0]

    def default_voice(self, language: str) -> str:
        return next(iter(self.voices(language)), "")

    def facts(self, language: str) -> dict[str, str]:
        """What is running, for a responder to tell."""
        return {
            "tts": _engines(self.of(WorkerKind.TTS)),
            "asr": _engines(self.of(WorkerKind.ASR)),
            "hears": "yes" if self.find(self.ears(language)) else "no",
        }


class Shunned:
    """Workers that one client leaves alone for a while, because they failed it or had no room. Of one session."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def shun(self, worker: WorkerRecord, seconds: float) -> None:
        self._until[identity(worker)] = self._clock() + seconds

    def now(self) -> frozenset[str]:
        """Their identities."""
        now = self._clock()
        self._until = {who: until for who, until in self._until.items() if until > now}
        return frozenset(self._until)


def wanted_voice(choice: VoiceChoice) -> Wanted:
    """A voice may name a variant of itself after a plus sign ("en-us+f3"); whoever has the voice has its variants."""
    voice = choice.voice.partition("+")[0]
    return Wanted(kind=WorkerKind.TTS, model=choice.model, voice=voice, language=choice.language)


def wanted_ears(language: str, *, detects: bool = False, model: str = "") -> Wanted:
    """`detects`: it tells languages apart."""
    features = frozenset({"detection"} if detects else ())
    return Wanted(kind=WorkerKind.ASR, model=model, language=language, features=features)


def identity(worker: WorkerRecord) -> str:
    """One life of one worker: restarted, it is another."""
    return f"{worker.id}@{worker.epoch}"


def _engines(workers: Iterable[WorkerRecord]) -> str:
    names = dict.fromkeys(m.engine for w in workers for m in w.models if m.state is not ModelState.FAILED)
    return ", ".join(names)
