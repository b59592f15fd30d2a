"""Access keys: whoever has none of them opens no session."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from asr.detectors.webrtc import WebRtcDetector
from asr.vad import FrameVad
from base.errors import Denied, Misconfigured
from orchestrator.app import orchestrator
from orchestrator.clients.workers import Workers
from orchestrator.gate import make_gate
from orchestrator.hub import SessionHub
from orchestrator.key_file import KeyFile
from orchestrator.keys import KeyRecord
from orchestrator.messages import CloseCode, Error, SessionStart, SessionStarted
from orchestrator.ports import Peer, VoiceChoice
from orchestrator.responders.echo import EchoResponder
from orchestrator.session import Services
from orchestrator.settings import OrchestratorSettings
from orchestrator.ticker import Ticker
from orchestrator.transports.memory import MemoryTransport
from registry.directory import Directory
from registry.stores.memory import MemoryStore
from tests.support.house import house, plainly, until
from tests.support.user import raw, user

pytestmark = pytest.mark.integration


@pytest.fixture
def keys(tmp_path: Path) -> str:
    file = tmp_path / "keys"
    file.write_text("\n  first-key \nsecond-key\n", encoding="utf-8")
    return str(file)


async def test_a_session_needs_one_of_the_keys(keys: str) -> None:
    async with house(access_key_file=keys, grace_s=0.2, key="first-key") as here:
        async with user(here.url, at_once=True, key="second-key") as u:
            assert (await u.asks("hello")).heard == "hello"
            token = u.started.resume
            async with raw(here.url) as thief:
                await thief.send(type="session_start", resume=token)
                assert (await thief.wait("error"))["reason"] == "KEY_MISSING"
                assert await thief.closed() == CloseCode.POLICY
        async with raw(here.url, Authorization="Bearer first-key") as client:
            await client.start()
        for key, reason in (("", "KEY_MISSING"), ("third-key", "KEY_UNKNOWN"), ("first-key ", "KEY_UNKNOWN")):
            with pytest.raises(Denied) as refused:
                async with user(here.url, key=key):
                    pass
            assert refused.value.reason == reason
        await here.wait_free()


async def test_a_session_that_left_livekit_ends_with_the_key_it_goes_on_with(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    key, record = file.add(lambda id, digest: KeyRecord(id, digest, "page", time.time()))
    settings = OrchestratorSettings(keys_file=str(file.path))
    gate = make_gate(settings, time.monotonic, time.time)
    workers = Workers(Directory(MemoryStore()))
    services = Services(
        workers=workers,
        ticker=Ticker(0.005),
        responder=lambda name: EchoResponder(),
        detector=lambda: FrameVad(WebRtcDetector(2)),
        observe=lambda line: None,
        usual=VoiceChoice(language="en"),
    )
    hub = SessionHub(settings, services, time.monotonic, gate=gate)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hub.run())
        await asyncio.sleep(0)
        room, socket = MemoryTransport(), MemoryTransport()
        hub.open_nowait(SessionStart(greeting=False), room, Peer("livekit", "room", admitted=True))
        room.advance(0)
        started = next(m for m in room.messages if isinstance(m, SessionStarted))
        resume = SessionStart(greeting=False, resume=started.resume)
        hub.open_nowait(resume, socket, Peer("websocket", "192.0.2.7", key=key))
        file.change(lambda keys: keys.revoked(record.id, time.time()))
        await gate.look()
        hub.expel_revoked()
        await until(lambda: hub.statistics().sessions == 0, "the session to end")
        socket.advance(0)
        assert [m.reason for m in socket.messages if isinstance(m, Error)] == ["KEY_REVOKED"]
        hub.close()


@pytest.mark.parametrize("content", ["\n \n", None])
async def test_a_file_without_a_key_is_a_mistake(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(Misconfigured, match="access_key_file"):
        async with plainly(), orchestrator(OrchestratorSettings(port=0, access_key_file=str(file))):
            pass
