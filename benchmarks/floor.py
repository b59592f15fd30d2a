"""The floor: a bare `websockets` server that does no more than hear and hum. `python -m benchmarks.floor DETECTOR`.

Each 20 ms frame that it receives goes through the same VAD as ours; each 20 ms it sends a 20 ms frame of a tone. No
sessions, no recogniser, no voice, no protocol. What an orchestrator costs is told as a multiple of this.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from typing import Any, cast

import numpy as np
import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from base.audio import UPLINK_RATE, from_float
from orchestrator.detection import Detection, detection
from orchestrator.messages import Audio, pack_audio, unpack_audio
from orchestrator.settings import OrchestratorSettings

RATE = 48_000
FRAME = RATE // 50
FRAME_S = 0.02


def tone() -> bytes:
    n = np.arange(FRAME)
    return from_float((0.3 * np.sin(2 * np.pi * 440 / RATE * n)).astype(np.float32))


async def converse(connection: ServerConnection, detector: Detection) -> None:
    async with asyncio.TaskGroup() as tasks:
        humming = tasks.create_task(hum(connection))
        vad = detector.make()
        async for message in connection:
            if isinstance(message, bytes):
                audio = unpack_audio(message)
                vad.push(audio.sample, audio.pcm)
        humming.cancel()


async def hum(connection: ServerConnection) -> None:
    loop = asyncio.get_running_loop()
    pcm, sample, due = tone(), 0, loop.time()
    with contextlib.suppress(ConnectionClosed):
        while True:
            await connection.send(pack_audio(Audio(1, sample, pcm)))
            sample += FRAME
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))


async def main() -> None:
    assert UPLINK_RATE // 50 * 50 == UPLINK_RATE
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    detector = detection(OrchestratorSettings(detector=cast("Any", sys.argv[1] if sys.argv[1:] else "webrtc")))
    async with serve(lambda connection: converse(connection, detector), "127.0.0.1", 0, compression=None) as server:
        host, port = next(iter(server.sockets)).getsockname()[:2]
        sys.stdout.write(json.dumps({"ready": f"{host}:{port}", "kind": "floor"}) + "\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
