"""Hears the user's microphone for one session: which track that is, whether it is muted, and its frames.

A track may come late, be muted, go, come again or be another one; media time goes on. A user without one can type.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from orchestrator.messages import InputState
from orchestrator.ports import ClientSide
from orchestrator.transports.livekit.media_time import MediaTime


class Published(Protocol):
    """A microphone that somebody publishes, as it is now. `track` is None until we have it."""

    sid: str
    muted: bool
    track: Any

    def subscribe(self) -> None: ...


class Frames(Protocol):
    async def wait(self) -> None:
        """Until the track is over. Raises what `take` raised."""
        ...


class Tracks(Protocol):
    def microphone(self, identity: str) -> Published | None: ...

    def listening(self, track: Any, take: Callable[[bytes], None]) -> AbstractAsyncContextManager[Frames]:
        """`take` is given frames until the block, or the track, is over."""
        ...


class Microphone:
    """One visit's. `hear_nowait` names the session, `look_nowait` is called whenever a track changed."""

    def __init__(
        self, tracks: Tracks, identity: str, tasks: asyncio.TaskGroup, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tracks = tracks
        self._identity = identity
        self._tasks = tasks
        self._clock = clock
        self._side: ClientSide | None = None
        self._time = MediaTime(0)
        self._track: Any = None
        self._reading: asyncio.Task[None] | None = None
        self._muted: bool | None = None
        self.sid = ""

    def hear_nowait(self, side: ClientSide, *, resumed: bool) -> None:
        """From now on for `side`. A session of before may believe that the microphone is muted."""
        self._side = side
        self._time = MediaTime(side.next_input_sample)
        self._muted = None if resumed else False
        self.look_nowait()

    def look_nowait(self) -> None:
        found = self._tracks.microphone(self._identity)
        self.sid = "" if found is None else found.sid
        if found is not None:
            found.subscribe()
        if self._side is None:
            return
        if found is not None and found.muted != self._muted:
            self._muted = found.muted
            self._side.message_nowait(InputState(state="muted" if found.muted else "open"))
        track = None if found is None else found.track
        if track is not self._track:
            self._stop()
            self._track = track
            if track is not None:
                self._reading = self._tasks.create_task(self._read(track))

    def end_nowait(self) -> None:
        """Nobody hears any more, whatever happens to the tracks."""
        self._side = None
        self._stop()

    def _stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._reading = self._track = None

    async def _read(self, track: Any) -> None:
        self._time.restart()
        with contextlib.suppress(ConnectionError):  # it went before we had it
            async with self._tracks.listening(track, self._take) as frames:
                await frames.wait()

    def _take(self, pcm: bytes) -> None:
        now = self._clock()
        if self._side is not None:
            self._side.audio_nowait(self._time.frame(now), pcm, now)
