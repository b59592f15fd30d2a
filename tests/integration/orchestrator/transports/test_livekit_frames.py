"""What `frames.py` relies on of LiveKit's SDK: its events' filter, and what of them it reads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from orchestrator.transports.livekit.frames import FRAME_BYTES, TrackFrames
from tests.support.livekit import LiveKitServer, livekit_server
from tests.support.rooms import RATE, room_client
from tests.support.transports import PATIENCE_S, until

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[LiveKitServer]:
    async with livekit_server() as server:
        yield server


def tone(seconds: float, hz: float) -> bytes:
    t = np.arange(round(seconds * RATE)) / RATE
    return (9000 * np.sin(2 * np.pi * hz * t)).astype("<i2").tobytes()


def pitch(frames: list[bytes]) -> float:
    """Hertz of the loudest in most of what is loud: a frame that came late is made up by the jitter buffer."""
    found = []
    for pcm in frames:
        samples = np.frombuffer(pcm, dtype="<i2").astype(float)
        if np.abs(samples).mean() > 1000:
            found.append(float(np.argmax(np.abs(np.fft.rfft(samples)))) * 16_000 / len(samples))
    return float(np.median(found)) if found else 0.0


async def test_each_stream_is_given_its_own_tracks_frames_on_the_loop_until_it_is_closed(
    server: LiveKitServer,
) -> None:
    from livekit import rtc
    from livekit.rtc._ffi_client import FfiClient

    loop = asyncio.get_running_loop()
    before = len(FfiClient.instance.queue._subscribers)
    found: dict[str, rtc.RemoteTrack] = {}
    threads: set[int] = set()
    async with room_client(server, "frames", "listener", native=False) as listener:
        listener.room.on("track_subscribed", lambda track, _, who: found.__setitem__(who.identity, track))
        async with (
            room_client(server, "frames", "low", native=False) as low,
            room_client(server, "frames", "high", native=False) as high,
        ):
            await low.publish_microphone()
            await high.publish_microphone()
            await until(lambda: {"low", "high"} <= found.keys(), "the tracks did not come")
            heard: dict[str, list[bytes]] = {"low": [], "high": []}

            def take(who: str, pcm: bytes) -> None:
                threads.add(threading.get_ident())
                heard[who].append(pcm)

            streams = {
                who: TrackFrames(found[who], lambda pcm, who=who: take(who, pcm), loop)  # type: ignore[misc]
                for who in heard
            }
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(low.speak(tone(2.0, 300)))
                tasks.create_task(high.speak(tone(2.0, 1000)))
            await until(lambda: all(len(frames) > 50 for frames in heard.values()), "no frames")
            assert threads == {threading.get_ident()}
            assert {len(pcm) for frames in heard.values() for pcm in frames} == {FRAME_BYTES}
            assert pitch(heard["low"]) == pytest.approx(300, abs=50)
            assert pitch(heard["high"]) == pytest.approx(1000, abs=50)

            async with asyncio.timeout(PATIENCE_S):
                await streams["low"].close()
            count, others = len(heard["low"]), len(heard["high"])
            await until(lambda: len(heard["high"]) > others + 10, "the other one stopped as well")
            assert len(heard["low"]) == count

        # Whoever published it has left.
        async with asyncio.timeout(PATIENCE_S):
            await streams["high"].close()
    await until(lambda: len(FfiClient.instance.queue._subscribers) == before, "somebody still listens")


async def test_what_the_hearer_raises_comes_out_of_wait(server: LiveKitServer) -> None:
    found: asyncio.Queue[object] = asyncio.Queue()

    def take(pcm: bytes) -> None:
        raise ValueError("a fault of ours")

    async with (
        room_client(server, "faults", "listener", native=False) as listener,
        room_client(server, "faults", "speaker", native=False) as speaker,
    ):
        listener.room.on("track_subscribed", lambda track, *_: found.put_nowait(track))
        await speaker.publish_microphone()
        async with asyncio.timeout(PATIENCE_S):
            track = await found.get()
            stream = TrackFrames(track, take, asyncio.get_running_loop())  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="a fault of ours"):
                await stream.wait()
            await stream.close()


async def test_frames_that_come_before_the_library_has_answered_are_heard(
    server: LiveKitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are they kept for ever by the library, which wants each of them back."""
    from livekit.rtc._ffi_client import FfiClient

    found: asyncio.Queue[object] = asyncio.Queue()
    heard: list[bytes] = []
    library, loop = FfiClient.instance, asyncio.get_running_loop()
    ask = library.request
    came = threading.Event()

    def seen(event: Any) -> bool:
        if event.WhichOneof("message") == "audio_stream_event":
            came.set()
        return False

    def late(request: Any) -> Any:
        """The answer, once a frame came; who listens first is told of it first."""
        answer = ask(request)
        if answer.WhichOneof("message") == "new_audio_stream":
            after = library.queue.subscribe(loop, filter_fn=seen)
            assert came.wait(PATIENCE_S), "no frame came"
            library.queue.unsubscribe(after)
        return answer

    async with (
        room_client(server, "early", "listener", native=False) as listener,
        room_client(server, "early", "speaker", native=False) as speaker,
    ):
        listener.room.on("track_subscribed", lambda track, *_: found.put_nowait(track))
        await speaker.publish_microphone()
        async with asyncio.timeout(PATIENCE_S):
            track = await found.get()
        await speaker.speak(tone(0.2, 300))
        with monkeypatch.context() as patched:
            patched.setattr(library, "request", late)
            stream = TrackFrames(track, heard.append, loop)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert heard
        async with asyncio.timeout(PATIENCE_S):
            await stream.close()
