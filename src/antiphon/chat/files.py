"""`chat --wav`: files as the user's voice, in real time, and what is heard into a file."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from antiphon import pace
from antiphon.chat.exchange import Outcome
from antiphon.chat.watch import Watched
from antiphon.client import Session
from antiphon.wavs import read_wav
from base.audio import BYTES_PER_SAMPLE, FRAMES_PER_SECOND


class FileMicrophone:
    """A microphone that is always open: silence, or what `say` was given."""

    def __init__(self, rate: int, send: Callable[[bytes], None]) -> None:
        self._size = rate // FRAMES_PER_SECOND * BYTES_PER_SAMPLE
        self._send = send
        self._frames: deque[bytes] = deque()
        self._spoken = asyncio.Event()

    async def say(self, pcm: bytes) -> None:
        """Returns when the last frame of it has been sent."""
        size = self._size
        self._frames.extend(pcm[i : i + size].ljust(size, b"\0") for i in range(0, len(pcm), size))
        self._spoken.clear()
        if self._frames:
            await self._spoken.wait()

    async def run(self) -> None:
        async for _ in pace.frames_by_clock():
            self._send(self._frames.popleft() if self._frames else bytes(self._size))
            if not self._frames:
                self._spoken.set()


class Writer(Protocol):
    @property
    def samples(self) -> int: ...

    def write(self, pcm: bytes) -> None: ...


class Keeper:
    """Writes what was heard, from its first sound to its last; the silence between stays."""

    def __init__(self, file: Writer | None) -> None:
        self._file = file
        self._silence = 0

    def heard(self, pcm: bytes) -> None:
        if self._file is None:
            return
        if not any(pcm):
            self._silence += len(pcm) if self._file.samples else 0
            return
        self._file.write(bytes(self._silence))
        self._silence = 0
        self._file.write(pcm)


async def talk(session: Session, exchange: Watched, microphone: FileMicrophone, files: Sequence[Path]) -> Outcome:
    """One file after another, each once the reply to the last was heard. The worst outcome of all."""
    worst = Outcome.ANSWERED
    for path in files:
        pcm = await asyncio.to_thread(read_wav, path, session.start.input_rate)
        exchange.begin()
        await microphone.say(pcm)
        exchange.said()
        outcome = await exchange.wait_over()
        worst = outcome if outcome is not Outcome.ANSWERED else worst
    return worst
