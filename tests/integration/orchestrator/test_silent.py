"""Whoever connects and asks for nothing is not kept; whoever talks is."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from orchestrator import http_door
from orchestrator.app import orchestrator
from orchestrator.settings import OrchestratorSettings

pytestmark = pytest.mark.integration

LIMIT_S = 30.0
HALF = b"GET /v1/converse HTTP/1.1\r\nHost: localhost\r\nUpgrade: webso"


async def closed(host: str, port: str, sent: bytes) -> None:
    """Returns when such a connection was closed from there."""
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    async with asyncio.timeout(LIMIT_S):
        try:
            assert await reader.read() == b""
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
