"""Whoever connects and asks for nothing is not kept; whoever talks is."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from antiphon.lan.files import certificates
from orchestrator import http_door
from orchestrator.app import orchestrator
from orchestrator.grpc_door import grpc_door
from orchestrator.settings import OrchestratorSettings
from tests.support.transports import RecordingHub

pytestmark = pytest.mark.integration

LIMIT_S = 30.0
HERE = [ipaddress.ip_address("127.0.0.1")]
HALF = b"GET /v1/converse HTTP/1.1\r\nHost: localhost\r\nUpgrade: webso"


async def closed(host: str, port: str, sent: bytes, told: bytes = b"") -> None:
    """Returns when such a connection was closed from there; it was told nothing but what matches `told`."""
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    async with asyncio.timeout(LIMIT_S):
        try:
            assert re.fullmatch(told, await reader.read(), re.DOTALL)
        except ConnectionError:
            pass
        finally:
            writer.close()


async def test_silence_and_half_a_request_are_closed_and_nobody_else() -> None:
    settings = OrchestratorSettings(port=0, grpc_port=-1, registry="127.0.0.1:1", request_s=0.2)
    async with orchestrator(settings) as serving, aiohttp.ClientSession() as http:
        host, port = serving.address.split(":")
        async with http.ws_connect(f"http://{serving.address}/v1/converse") as ws:
            await asyncio.gather(closed(host, port, b""), closed(host, port, HALF))
            # It has been there for longer than they were, has not said a word, and still may.
            await ws.send_json({"type": "session_start", "responder": "echo"})
            async with asyncio.timeout(LIMIT_S):
                assert (await ws.receive_json())["type"] == "session_started"


async def test_a_tls_handshake_that_is_never_done_is_closed(tmp_path: Path) -> None:
    files = await asyncio.to_thread(certificates, tmp_path, ["localhost"], HERE, datetime.now(UTC))
    settings = OrchestratorSettings(
        port=0, grpc_port=0, registry="127.0.0.1:1", request_s=0.2, tls_cert=str(files.cert), tls_key=str(files.key)
    )
    async with orchestrator(settings) as serving:
        host, port = serving.address.split(":")
        hello = b"\x16\x03\x01\x02\x00\x01"
        await asyncio.gather(closed(host, port, b""), closed(host, port, hello))


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
async def test_who_does_not_get_to_the_point_over_grpc_is_closed(sent: bytes) -> None:
    settings = OrchestratorSettings(grpc_port=0, request_s=0.2)
    async with grpc_door(settings, RecordingHub()) as door:
        host, port = door.address.split(":")
        await closed(host, port, sent, b".*")


async def test_who_calls_nothing_over_grpc_is_closed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.grpc_door.IDLE_S", 1.0)
    async with grpc_door(OrchestratorSettings(grpc_port=0), RecordingHub()) as door:
        host, port = door.address.split(":")
        await closed(host, port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5), b".*")


async def test_who_has_asked_once_and_is_silent_then_is_closed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_door, "KEEP_ALIVE_S", 0.3)
    settings = OrchestratorSettings(port=0, grpc_port=-1, registry="127.0.0.1:1")
    async with orchestrator(settings) as serving, aiohttp.ClientSession() as http:
        host, port = serving.address.split(":")
        async with http.ws_connect(f"http://{serving.address}/v1/converse") as ws:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(LIMIT_S):
                assert (await reader.read()).startswith(b"HTTP/1.1 200")  # and then its end
            writer.close()
            # A WebSocket may go on.
            await ws.send_json({"type": "session_start", "responder": "echo"})
            async with asyncio.timeout(LIMIT_S):
                assert (await ws.receive_json())["type"] == "session_started"
