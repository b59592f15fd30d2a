"""Where the agent's audio goes: LiveKit's AudioSource, or a listener in memory.

What the AudioSource does (libwebrtc's `AudioTrackSource::InternalSource`, as of livekit 1.1.21): a native task takes
10 ms out of its queue every 10 ms and hands them to the encoder. `capture_frame` returns when no more than
`queue_size_ms` waits, and must not be called again before. `clear_queue` empties the queue at once: what it leaves in
flight is at most the 10 ms that the task took last, the encoder's frame of 20 ms, and the network's and the listener's
jitter buffers. There is no way to ask the queue how long it is: `queued_duration` is reckoned from what was captured
and when, and so is `queued` here, with dry spells counted right; by the task's step both are up to 10 ms ahead.

A capture is handed to a thread of the library's own: one that is under way while the queue is emptied may land after.
It is emptied once more then.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from base.audio import BYTES_PER_SAMPLE
from orchestrator.transports.livekit.playout import Piece


class Sink(Protocol):
    """A queue of audio that is played as time goes by."""

    rate: int

    def queued(self) -> int:
        """Samples that were put and not played."""
        ...

    async def put(self, piece: Piece) -> None:
        """It counts as queued from when this is called. One at a time."""
        ...

    def clear_nowait(self) -> None:
        """Nothing is queued any more."""
        ...


class SourceSink:
    """`capture` and `clear` are an AudioSource's, for PCM at `rate`."""

    def __init__(
        self,
        rate: int,
        capture: Callable[[bytes], Awaitable[None]],
        clear: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate = rate
        self._capture = capture
        self._clear = clear
        self._clock = clock
        self._dry_s = 0.0
        self._capturing = self._cleared = False

    def queued(self) -> int:
        return max(0, round((self._dry_s - self._clock()) * self.rate))

    async def put(self, piece: Piece) -> None:
        now = self._clock()
        self._dry_s = max(now, self._dry_s) + len(piece.pcm) / BYTES_PER_SAMPLE / self.rate
        self._capturing, self._cleared = True, False
        try:
            await self._capture(piece.pcm)
        finally:
            self._capturing = False
            if self._cleared:
                self._clear()

    def clear_nowait(self) -> None:
        self._dry_s = 0.0
        self._cleared = self._capturing
        self._clear()
