"""A conversation through LiveKit, all of it as a user has it: `up --livekit`, a room, speech in, speech out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from base.audio import UPLINK_RATE, StreamResampler
from orchestrator import messages as m
from tests.support import livekit
from tests.support.livekit import LiveKitServer
from tests.support.rooms import RATE, RoomClient, room_client
from tests.support.speech import speaking
from tests.support.system import System, running, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LIMIT_S = 60.0
MOST_BYTES = 250_000_000
"""Of an orchestrator with LiveKit loaded, by the design."""
TIME = "what time is it"


def server_of(system: System, temporary: Path) -> LiveKitServer:
    """The one that `up` runs, with the key that it made."""
    url = system.wait_event(lambda e: e["event"] == "up", "address")["livekit"]
    (folder,) = temporary.glob("antiphon-livekit-*")
    key, _, secret = (folder / "livekit-keys.yaml").read_text().strip().partition(": ")
    return LiveKitServer(folder, int(url.rpartition(":")[2]), 0, 0, key, secret)


async def wait_for(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never came: {what}") from None


async def say(client: RoomClient, pcm: bytes) -> None:
    """16 kHz, with silence around it."""
    pause = bytes(UPLINK_RATE)
    resampler = StreamResampler(UPLINK_RATE, RATE)
    await client.speak(resampler.process(pause + pcm + pause + pause) + resampler.flush())


async def test_a_question_in_a_room_is_answered_there(tmp_path: Path, report: Callable[[str], None]) -> None:
    livekit.require()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    flags = ["--livekit", "--livekit-port", "0", "--livekit-server", str(livekit.binary())]
    env = {"TMPDIR": str(temporary), "ANTIPHON_ORCHESTRATOR_FINAL_MS": "5000"}
    with running(tmp_path, *flags, **env) as system, speaking() as speech:
        question = speech(TIME)
        server = await asyncio.to_thread(server_of, system, temporary)
        ready = lambda: json.loads(system.read("/readyz")).get("livekit") == "registered"  # noqa: E731
        assert await asyncio.to_thread(until, ready), system.said()
        async with room_client(server, "kitchen", "anna") as client:
            await client.publish_microphone()
            await client.send(m.SessionStart(phrases=[TIME, "thank you"]))
            await wait_for(lambda: client.got(m.SessionStarted), "session_started")
            await wait_for(lambda: client.level() > 100, "the greeting's sound")
            await wait_for(lambda: client.got(m.TurnFinished), "the greeting's end")
            turns = len(client.got(m.TurnEnded))
            await say(client, question)
            await wait_for(lambda: len(client.got(m.TurnEnded)) > turns, "the end of the question")
            heard = client.got(m.TurnEnded)[-1]
            report(f"{TIME!r} was heard as {heard.transcript!r}")
            assert heard.transcript
            await wait_for(lambda: any(f.turn == heard.turn for f in client.got(m.TurnFinished)), "the answer's end")
            assert next(f for f in client.got(m.TurnFinished) if f.turn == heard.turn).reason == "complete"
            assert system.metric("antiphon_livekit_rooms") == 1
            memory = psutil.Process(system.pid("orchestrator")).memory_info().rss
            report(f"the orchestrator has {memory / 1e6:.0f} MB, with a room")
            assert memory < MOST_BYTES
        await wait_for(lambda: system.metric("antiphon_livekit_registered") == 1, "it is registered still")
        assert await asyncio.to_thread(system.stop) == 0
        assert not await asyncio.to_thread(system.wait_gone)
