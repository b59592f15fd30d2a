"""The workers an orchestrator knows: placement over the registry's live snapshot, one gRPC channel an address."""

from __future__ import annotations

import random
from collections.abc import Iterable

import grpc.aio

from base import log as logs
from base import rpc
from base.errors import AntiphonError, NotFound
from base.language import matches
from orchestrator.ports import VoiceChoice
from registry.directory import Directory
from registry.placement import Wanted, choose
from registry.records import ModelState, WorkerKind, WorkerRecord

log = logs.get_logger("workers")


class Workers:
    """Made and closed in the event loop that uses it."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._random = random.Random()

    async def close(self) -> None:
        channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            await channel.close()

    def channel(self, address: str) -> grpc.aio.Channel:
        """The shared channel to `address`; not the caller's to close."""
        if address not in self._channels:
            self._channels[address] = rpc.channel(address)
        return self._channels[address]

    def find(self, wanted: Wanted, exclude: frozenset[str] = frozenset()) -> WorkerRecord | None:
        """The best worker for `wanted` whose `identity` is not excluded."""
        for candidate in choose(self._directory.snapshot(), wanted, self._random.random):
            if identity(candidate.worker) not in exclude:
                return candidate.worker
        return None

    async def wait_for(
        self, wanted: Wanted, *, timeout_s: float, exclude: frozenset[str] = frozenset()
    ) -> WorkerRecord | None:
        """`find`, waiting up to `timeout_s` for one to appear."""
        await self._directory.wait_for(lambda _: self.find(wanted, exclude) is not None, timeout_s)
        return self.find(wanted, exclude)

    def fits(self, worker: WorkerRecord, wanted: Wanted) -> bool:
        """Whether the worker, as it is known now, can do what is wanted and stays."""
        return any(
            identity(c.worker) == identity(worker) and not c.worker.draining
            for c in choose(self._directory.snapshot(), wanted, self._random.random)
        )

    def failed(self, worker: WorkerRecord, error: AntiphonError) -> None:
        log.warning("worker_failed", worker=worker.id, code=error.code, reason=error.reason, message=error.message)

    # --- what there is ------------------------------------------------------------------------------------------------

    def of(self, kind: WorkerKind) -> tuple[WorkerRecord, ...]:
        return tuple(w for w in self._directory.snapshot() if w.kind is kind and not w.draining)

    def check_voice(self, choice: VoiceChoice) -> None:
        """Raises NotFound for a voice or language that none of the workers there are can speak."""
        if not self.of(WorkerKind.TTS):
            return
        if self.find(wanted_voice(choice)) is not None:
            return
        if choice.voice and self.find(wanted_voice(VoiceChoice(voice=choice.voice))) is not None:
            raise NotFound(
                f"voice {choice.voice!r} does not speak {choice.language!r}; name no voice, or its own language",
                reason="VOICE_LANGUAGE",
            )
        if choice.voice:
            known = ", ".join(sorted(self.voices(choice.language))[:12])
            raise NotFound(
                f"voice {choice.voice!r} is not here; `antiphon voices` lists them, such as {known}",
                reason="VOICE_UNKNOWN",
            )
        raise NotFound(
            f"nobody here speaks {choice.language!r}; one of: {', '.join(self.speaks()[:40])}",
            reason="LANGUAGE_UNKNOWN",
        )

    def can_hear(self, language: str) -> bool:
        return self.find(Wanted(kind=WorkerKind.ASR, language=language)) is not None

    def hears(self) -> list[str]:
        return sorted({lang for w in self.of(WorkerKind.ASR) for model in w.models for lang in model.languages})

    def speaks(self) -> list[str]:
        return sorted({lang for w in self.of(WorkerKind.TTS) for model in w.models for lang in model.languages})

    def voices(self, language: str) -> tuple[str, ...]:
        """Ids of the voices for `language`, in the workers' order."""
        found = (
            voice.id
            for w in self.of(WorkerKind.TTS)
            for model in w.models
            for voice in model.voices
            if not language or any(matches(language, tag) for tag in voice.languages)
        )
        return tuple(dict.fromkeys(found))

    def default_voice(self, language: str) -> str:
        return next(iter(self.voices(language)), "")

    def facts(self, language: str) -> dict[str, str]:
        """What is running, for a responder to tell."""
        return {
            "tts": _engines(self.of(WorkerKind.TTS)),
            "asr": _engines(self.of(WorkerKind.ASR)),
            "hears": "yes" if self.can_hear(language) else "no",
        }


def wanted_voice(choice: VoiceChoice) -> Wanted:
    """A voice may name a variant of itself after a plus sign ("en-us+f3"); whoever has the voice has its variants."""
    voice = choice.voice.partition("+")[0]
    return Wanted(kind=WorkerKind.TTS, model=choice.model, voice=voice, language=choice.language)


def identity(worker: WorkerRecord) -> str:
    """One life of one worker: restarted, it is another."""
    return f"{worker.id}@{worker.epoch}"


def _engines(workers: Iterable[WorkerRecord]) -> str:
    names = dict.fromkeys(m.engine for w in workers for m in w.models if m.state is not ModelState.FAILED)
    return ", ".join(names)
