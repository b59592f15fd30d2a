"""Audio -> fence -> pacing -> playhead -> transport, for one session (skeleton; signatures are fixed)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from orchestrator.conversation.chunker import Chunk
from orchestrator.conversation.events import Event
from orchestrator.ports import SynthEvent, SynthSink, Transport


class Ticker:
    """One a process."""

    def __init__(self, period_s: float = 0.02) -> None:
        raise NotImplementedError

    async def run(self) -> None:
        raise NotImplementedError

    def tick(self, now: float) -> None:
        raise NotImplementedError

    def add(self, downlink: Downlink) -> None:
        raise NotImplementedError

    def remove(self, downlink: Downlink) -> None:
        raise NotImplementedError

    def statistics(self) -> Mapping[str, float]:
        raise NotImplementedError


class Downlink(SynthSink):
    def __init__(
        self,
        *,
        ticker: Ticker,
        post: Callable[[Event], None],
        credit: Callable[[int, int], None],
        clock: Callable[[], float] = time.monotonic,
        mark: Callable[[int, int, int, int, bool], None] | None = None,
    ) -> None:
        raise NotImplementedError

    def attach_nowait(self, transport: Transport) -> None:
        raise NotImplementedError

    def detach_nowait(self) -> None:
        raise NotImplementedError

    def begin_nowait(self, turn: int) -> None:
        raise NotImplementedError

    def wrote_nowait(self, turn: int, text: str) -> None:
        raise NotImplementedError

    def chunk_nowait(self, turn: int, chunk: Chunk) -> None:
        raise NotImplementedError

    def finished_writing_nowait(self, turn: int) -> None:
        raise NotImplementedError

    def synth_nowait(self, event: SynthEvent) -> None:
        raise NotImplementedError

    def hold_nowait(self, turn: int) -> None:
        raise NotImplementedError

    def resume_nowait(self, turn: int) -> None:
        raise NotImplementedError

    def stop_nowait(self, turn: int) -> None:
        raise NotImplementedError

    def fail_nowait(self, turn: int, code: str, message: str) -> None:
        raise NotImplementedError

    def played_nowait(self, turn: int, samples: int) -> None:
        raise NotImplementedError

    async def wait_heard(self, turn: int) -> None:
        raise NotImplementedError

    def statistics(self) -> Mapping[str, float]:
        raise NotImplementedError
