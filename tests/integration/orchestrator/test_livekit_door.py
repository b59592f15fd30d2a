"""The orchestrator with LiveKit and without: what it loads, what it says, what it refuses to start with."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from base.errors import Misconfigured
from orchestrator.app import orchestrator
from orchestrator.key_file import KeyFile
from orchestrator.keys import KeyRecord
from orchestrator.settings import OrchestratorSettings
from tests.support import livekit
from tests.support.dispatch import Rooms, create, dispatch, until
from tests.support.house import plainly
from tests.support.livekit import livekit_server

pytestmark = pytest.mark.integration

LIMIT_S = 60.0
SRC = Path(__file__).resolve().parents[3] / "src"
NOBODY = "127.0.0.1:1"
"""No registry: the orchestrator serves without, and has no voice."""


async def facts(address: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"http://{address}/readyz") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def metric(address: str, name: str) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"http://{address}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).rpartition(" ")[2])


WITHOUT = f"""
import asyncio, sys
from orchestrator.app import orchestrator
from orchestrator.key_file import KeyFile
from orchestrator.keys import KeyRecord
from orchestrator.settings import OrchestratorSettings

async def main():
    async with orchestrator(OrchestratorSettings(port=0, grpc_port=0, registry={NOBODY!r})):
        print([name for name in sys.modules if name.split(".")[0] == "livekit"])

asyncio.run(main())
"""


def test_without_a_key_nothing_of_livekit_is_loaded() -> None:
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT], env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert said.stdout.strip() == "[]", said.stderr


async def test_a_key_without_what_talks_to_livekit_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file = tmp_path / "keys"
    key_file.write_text(f"APIkey: {'s' * 40}\n")
    for name in [n for n in sys.modules if n.startswith("orchestrator.dispatch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "livekit.protocol", None)
    settings = OrchestratorSettings(port=0, grpc_port=0, registry=NOBODY, livekit_key_file=str(key_file))
    with pytest.raises(Misconfigured, match=r"\./antiphon install livekit"):
        async with plainly(), orchestrator(settings):
            pass


async def test_it_says_whether_it_is_registered_and_serves_meanwhile() -> None:
    livekit.require()
    async with livekit_server(start=False) as server, asyncio.timeout(LIMIT_S):
        server.key_file.write_text(f"{server.key}: {server.secret}\n")
        settings = OrchestratorSettings(
            port=0, grpc_port=0, registry=NOBODY, livekit_url=server.url, livekit_key_file=str(server.key_file)
        )
        async with orchestrator(settings) as serving:
            assert (await facts(serving.address))["livekit"] == "connecting"
            await server.start()
            while (await facts(serving.address))["livekit"] != "registered":
                await asyncio.sleep(0.05)
            assert await metric(serving.address, "antiphon_livekit_registered") == 1
            # Drained it is there still, and what comes is another's.
            await serving.drain()
            async with dispatch(server, other := Rooms()) as second:
                await until(lambda: second.is_registered)
                await create(server, "kitchen")
                await until(lambda: other.joined == ["kitchen"])
            assert await metric(serving.address, "antiphon_livekit_accepted") == 0


async def test_a_room_counts_as_a_session_of_the_key_behind_it_and_ends_with_it(tmp_path: Path) -> None:
    livekit.require()
    from orchestrator.messages import Error, SessionStart, SessionStarted
    from tests.support.rooms import room_client

    file = KeyFile(tmp_path / "keys.json")
    key, record = file.add(lambda id, digest: KeyRecord(id, digest, "site", time.time(), sessions=1))
    async with livekit_server() as server, asyncio.timeout(LIMIT_S), aiohttp.ClientSession() as http:
        settings = OrchestratorSettings(
            port=0,
            grpc_port=-1,
            registry=NOBODY,
            livekit_url=server.url,
            livekit_key_file=str(server.key_file),
            keys_file=str(file.path),
        )
        async with orchestrator(settings) as serving:
            while (await facts(serving.address))["livekit"] != "registered":
                await asyncio.sleep(0.05)

            async def token() -> str:
                asked = http.post(
                    f"http://{serving.address}/v1/token", json={}, headers={"Authorization": f"Bearer {key}"}
                )
                async with asked as answer:
                    return str((await answer.json())["participant_token"])

            async with (
                room_client(server, token=await token()) as first,
                room_client(server, token=await token()) as second,
            ):
                for client, kind in ((first, SessionStarted), (second, Error)):
                    await until(lambda client=client: client.agent() is not None)
                    while not client.got(kind):
                        await client.send(SessionStart(greeting=False))
                        await asyncio.sleep(0.2)
                refused = second.got(Error)[0]
                assert (refused.code, refused.reason, refused.fatal) == ("at_capacity", "TOO_MANY_SESSIONS", True)
                await until(lambda: second.agent_left)
                file.change(lambda keys: keys.revoked(record.id, time.time()))
                await until(lambda: first.agent_left)
                assert first.got(Error)[-1].reason == "KEY_REVOKED"


async def test_each_human_of_a_room_has_a_session_where_that_is_wanted_and_it_ends_with_them() -> None:
    livekit.require()
    from tests.support.rooms import room_client

    async with livekit_server() as server, asyncio.timeout(LIMIT_S):
        settings = OrchestratorSettings(
            port=0,
            grpc_port=0,
            registry=NOBODY,
            livekit_url=server.url,
            livekit_key_file=str(server.key_file),
            livekit_per_participant=True,
            grace_s=0.5,
        )

        async with orchestrator(settings) as serving:

            async def comes_to(**wanted: int) -> None:
                while any([await metric(serving.address, f"antiphon_{n}") != count for n, count in wanted.items()]):
                    await asyncio.sleep(0.05)

            await comes_to(livekit_registered=1)
            async with room_client(server, "kitchen", "anna", native=False):
                await comes_to(sessions=1, livekit_rooms=1, livekit_reserved=0)
                async with room_client(server, "kitchen", "ben", native=False):
                    await comes_to(sessions=2, livekit_rooms=2, livekit_reserved=0)
                await comes_to(sessions=1, livekit_rooms=1)
            await comes_to(sessions=0, livekit_rooms=0)
            assert await metric(serving.address, "antiphon_livekit_failed") == 0
