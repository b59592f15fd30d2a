"""A track's frames, straight from LiveKit's library to who hears them: docs/decisions/0014-livekit-frames.md.

The SDK's AudioStream costs each frame three turns of the loop, and each stream of a process is given the frames of all.
Here the library's thread takes what is this stream's, and the loop has one callback for it. What is relied on of the
SDK is `FfiQueue.subscribe(loop, filter_fn)`, which its own text streams use this way, and the messages of its protocol
(tests/integration/orchestrator/transports/test_livekit_frames.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient, FfiHandle
from livekit.rtc._proto import audio_frame_pb2, ffi_pb2

from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE

FRAME_BYTES = UPLINK_RATE // 50 * BYTES_PER_SAMPLE
FRAMES = 50
"""That wait for the loop at most; the oldest is dropped then."""
CLOSE_S = 3.0


class TrackFrames:
    """20 ms of 16 kHz mono at a time, whatever the track's own rate and channels: the library converts.

    `take` is called on the loop, for all that waited in one turn of it. Raises ConnectionError when the track is gone.
    """

    def __init__(self, track: rtc.Track, take: Callable[[bytes], None], loop: asyncio.AbstractEventLoop) -> None:
        self._over = asyncio.Event()
        self._fault: Exception | None = None
        self._take: Callable[[bytes], None] | None = take
        self._loop = loop
        self._waiting: deque[bytes] = deque(maxlen=FRAMES)
        self._due = False
        self._stream = 0
        self._early: list[Any] | None = []
        """Events from before we know which are ours: the library may tell of frames before it has answered."""
        self._knowing = threading.Lock()
        self._ended = asyncio.Event()
        self._queue: Any = FfiClient.instance.queue.subscribe(loop, filter_fn=self._event)
        try:
            made = FfiClient.instance.request(_request(track)).new_audio_stream.stream
        except AssertionError as error:  # how the SDK says that the track is gone
            self._unsubscribe()
            raise ConnectionError("the track is gone") from error
        self._handle = FfiHandle(made.handle.id)
        with self._knowing:
            self._stream = made.handle.id
            for news in self._early or ():
                self._hear(news)
            self._early = None

    async def wait(self) -> None:
        """Until the track is over. Raises what `take` raised, which ends it."""
        await self._over.wait()
        if self._fault is not None:
            raise self._fault

    async def close(self) -> None:
        """Nothing is taken any more from when this is called."""
        self._take = None
        self._handle.dispose()
        try:
            # What the library still has for us is taken, and given back, until it says that there is no more.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._ended.wait()
        finally:
            self._unsubscribe()

    def _unsubscribe(self) -> None:
        FfiClient.instance.queue.unsubscribe(self._queue)

    # --- on the library's thread ------------------------------------------------------------------------------------

    def _event(self, event: Any) -> bool:
        """Whether the queue is to have it: never, all is done here."""
        if event.WhichOneof("message") != "audio_stream_event":
            return False
        if self._early is not None:
            with self._knowing:
                if self._early is not None:
                    self._early.append(event.audio_stream_event)
                    return False
        self._hear(event.audio_stream_event)
        return False

    def _hear(self, news: Any) -> None:
        if news.stream_handle != self._stream:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed
            if news.HasField("frame_received"):
                self._waiting.append(_pcm(news.frame_received.frame))
                if not self._due:
                    self._due = True
                    self._loop.call_soon_threadsafe(self._give)
            elif news.HasField("eos"):
                self._loop.call_soon_threadsafe(self._end)

    # --- on the loop ------------------------------------------------------------------------------------------------

    def _give(self) -> None:
        self._due = False
        while self._waiting:
            pcm = self._waiting.popleft()
            if self._take is not None and len(pcm) == FRAME_BYTES:
                try:
                    self._take(pcm)
                except Exception as error:
                    self._take, self._fault = None, error
                    self._over.set()

    def _end(self) -> None:
        self._ended.set()
        self._over.set()


def _request(track: rtc.Track) -> Any:
    request = ffi_pb2.FfiRequest()
    asked = request.new_audio_stream
    asked.track_handle = track._ffi_handle.handle
    asked.type = audio_frame_pb2.AudioStreamType.AUDIO_STREAM_NATIVE
    asked.sample_rate, asked.num_channels, asked.frame_size_ms = UPLINK_RATE, 1, 20
    asked.queue_size_frames = 0
    return request


def _pcm(frame: Any) -> bytes:
    """A copy of it; the library's own is given back."""
    info = frame.info
    pcm = ctypes.string_at(info.data_ptr, info.num_channels * info.samples_per_channel * BYTES_PER_SAMPLE)
    FfiHandle(frame.handle.id).dispose()
    return pcm
