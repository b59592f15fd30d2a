"""The WebSocket transport against clients that misbehave: each is told why, its neighbour hears nothing of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestServer

from base.errors import AntiphonError, AtCapacity, BadRequest, Denied, NotFound, Unavailable
from orchestrator.connection import Limits
from orchestrator.messages import (
    HEADER,
    Audio,
    AudioInput,
    Error,
    Hold,
    Notice,
    SessionStart,
    SessionStarted,
    TextInput,
    pack_audio,
    unpack_audio,
)
from orchestrator.transports.websocket import serve_websocket
from tests.support.transports import RecordingHub, SocketClient, client_of, fill, serving, until

pytestmark = pytest.mark.integration

FRAME = bytes(1920)


@pytest.fixture
def hub() -> RecordingHub:
    return RecordingHub()


@pytest.fixture
async def server(hub: RecordingHub) -> AsyncIterator[TestServer]:
    async with serving(hub) as server:
        yield server


async def error_of(client: SocketClient, count: int = 1) -> Error:
    await until(lambda: len(client.got(Error)) >= count, f"error {count} did not come: {client.messages}")
    found = client.got(Error)[count - 1]
    assert isinstance(found, Error)
    return found


async def closed_with(client: SocketClient) -> int | None:
    await until(lambda: client.ws.close_code is not None, "it was not closed")
    return client.ws.close_code


async def still_works(client: SocketClient, hub: RecordingHub, session: int = -1) -> None:
    side = hub.opened[session][3]
    before = len(side.messages)
    await client.send(TextInput(text="still here"))
    await until(lambda: len(side.messages) == before + 1)


BAD_TEXT = [
    ("{", "NOT_JSON", ""),
    ('{"type": "sing"}', "UNKNOWN_TYPE", "type"),
    ('{"type": "text", "text": 5}', "MALFORMED", "text"),
    (json.dumps({"type": "text", "text": "a" * 100_000}), "MALFORMED", "text"),
    ('{"type": "played", "turn": "x", "samples": 1}', "MALFORMED", "turn"),
    ('{"type": "session_start"}', "WRONG_STATE", ""),
    ('{"type": "audio", "data": "????"}', "NOT_BASE64", "data"),
    ('{"type": "audio", "data": "AAAA"}', "ODD_AUDIO", ""),
    ('{"type": "audio", "data": "AAAAAA==", "sample": 4611686018427387904}', "SAMPLE_AHEAD", ""),
]

BAD_BINARY = [
    (b"\x01\x02", "BAD_REQUEST"),
    (HEADER.pack(9, 0, 0, 0, 0) + FRAME, "BAD_REQUEST"),
    (pack_audio(Audio(4, 0, FRAME)), "BAD_REQUEST"),
    (pack_audio(Audio(0, 0, b"odd")), "ODD_AUDIO"),
    (pack_audio(Audio(0, 0, bytes(32_002))), "AUDIO_TOO_LONG"),
    (pack_audio(Audio(0, 2**62, FRAME)), "SAMPLE_AHEAD"),
    (pack_audio(Audio(0, 2**64 - 1, FRAME)), "SAMPLE_AHEAD"),
]


@pytest.mark.parametrize(("text", "reason", "where"), BAD_TEXT)
async def test_bad_text_is_answered_and_forgiven(
    server: TestServer, hub: RecordingHub, text: str, reason: str, where: str
) -> None:
    async with client_of(server) as client:
        await client.ws.send_str(text)
        error = await error_of(client)
        assert (error.reason, error.where, error.fatal) == (reason, where, False)
        await still_works(client, hub)


@pytest.mark.parametrize(("data", "reason"), BAD_BINARY)
async def test_bad_binary_is_answered_and_forgiven(
    server: TestServer, hub: RecordingHub, data: bytes, reason: str
) -> None:
    async with client_of(server) as client:
        await client.ws.send_bytes(data)
        error = await error_of(client)
        assert (error.reason, error.fatal) == (reason, False)
        await still_works(client, hub)
        assert not hub.opened[0][3].audio


async def test_an_offset_far_ahead_is_answered(server: TestServer, hub: RecordingHub) -> None:
    async with client_of(server) as client:
        await client.send_audio(0, bytes(640))
        await client.send_audio(2**62, bytes(640))
        assert (await error_of(client)).reason == "SAMPLE_AHEAD"
        await client.send_audio(320, bytes(640))
        await until(lambda: [s for s, _ in hub.opened[0][3].audio] == [0, 320])


async def test_audio_that_names_no_place_begins_where_the_session_goes_on(
    server: TestServer, hub: RecordingHub
) -> None:
    hub.next_input_sample = 32_000
    async with client_of(server) as client:
        for _ in range(2):
            await client.send(AudioInput(data=base64.b64encode(bytes(640)).decode()))
        await until(lambda: [s for s, _ in hub.opened[0][3].audio] == [32_000, 32_320])


async def test_what_comes_before_session_start_is_told_to_wait(server: TestServer, hub: RecordingHub) -> None:
    async with client_of(server, start=False) as client:
        await client.send_audio(0, FRAME)
        await client.send(TextInput(text="hello"))
        assert [(await error_of(client, n)).code for n in (1, 2)] == ["wrong_state"] * 2
        await client.send(SessionStart())
        await until(lambda: bool(client.got(SessionStarted)))
        await still_works(client, hub)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [("input_rate", 11_025, "BAD_SAMPLE_RATE"), ("output_rate", 1, "BAD_SAMPLE_RATE"),
     ("encoding", "opus", "BAD_ENCODING"), ("protocol", 99, "BAD_PROTOCOL")],
)  # fmt: skip
async def test_a_format_that_does_not_exist_may_be_corrected(
    server: TestServer, hub: RecordingHub, field: str, value: Any, reason: str
) -> None:
    async with client_of(server, start=False) as client:
        await client.ws.send_json({"type": "session_start", field: value})
        error = await error_of(client)
        assert (error.reason, error.fatal) == (reason, False)
        assert str(value) in error.message
        await client.send(SessionStart())
        await until(lambda: bool(client.got(SessionStarted)))


async def test_without_session_start_the_connection_is_closed(hub: RecordingHub) -> None:
    async with serving(hub, Limits(start_s=0.05)) as server, client_of(server, start=False) as client:
        error = await error_of(client)
        assert (error.code, error.fatal) == ("timed_out", True)
        assert await closed_with(client) == 1008
    async with serving(hub, Limits(start_s=0.2)) as server, client_of(server) as client:
        loop = asyncio.get_running_loop()
        over = loop.time() + 0.3
        await until(lambda: loop.time() > over)
        await still_works(client, hub)


@pytest.mark.parametrize(
    ("refusal", "code"),
    [(AtCapacity("full", retry_after_s=3.0), 1013), (Unavailable("no voice"), 1013), (Denied("no key"), 1008),
     (AntiphonError("oops"), 1011)],
)  # fmt: skip
async def test_a_refusal_says_why_and_closes(refusal: AntiphonError, code: int) -> None:
    async with serving(RecordingHub(refusal)) as server, client_of(server, start=False) as client:
        await client.send(SessionStart())
        error = await error_of(client)
        assert (error.code, error.message, error.fatal) == (refusal.code, refusal.message, True)
        assert error.retry_after_s == refusal.retry_after_s
        assert await closed_with(client) == code


@pytest.mark.parametrize("refusal", [NotFound("resume token is stale"), BadRequest("voice 'x' does not exist")])
async def test_a_wrong_request_leaves_room_for_another_try(refusal: AntiphonError) -> None:
    hub = RecordingHub(refusal)
    async with serving(hub) as server, client_of(server, start=False) as client:
        await client.send(SessionStart(resume="stale"))
        error = await error_of(client)
        assert (error.code, error.fatal) == (refusal.code, False)
        hub.refusal = None
        await client.send(SessionStart())
        await until(lambda: bool(client.got(SessionStarted)))


async def test_a_flood_is_closed_and_the_neighbour_hears_nothing(server: TestServer, hub: RecordingHub) -> None:
    async with client_of(server) as neighbour, client_of(server) as flooder:

        async def flood() -> None:
            with contextlib.suppress(ConnectionError):
                for n in range(10_000):
                    await flooder.ws.send_json({"type": "played", "turn": 1, "samples": n})

        flooding = asyncio.create_task(flood())
        for n in range(50):
            await neighbour.send_audio(n * 320, bytes(640))
            await asyncio.sleep(0)
        error = await error_of(flooder)
        assert (error.code, error.reason, error.fatal) == ("at_capacity", "RATE_LIMITED", True)
        assert await closed_with(flooder) == 1008
        await flooding
        await until(lambda: len(hub.opened[1][3].lost) == 1)
        await until(lambda: [s for s, _ in hub.opened[0][3].audio] == [n * 320 for n in range(50)])
        await still_works(neighbour, hub, 0)
        assert not neighbour.got(Error)


async def test_errors_themselves_are_limited(server: TestServer, hub: RecordingHub) -> None:
    async with client_of(server) as client:
        for _ in range(300):
            await client.ws.send_str("nonsense")
        await still_works(client, hub)
        assert 20 <= len(client.got(Error)) < 60


async def test_a_message_too_big_to_look_at_closes(server: TestServer, hub: RecordingHub) -> None:
    async with client_of(server) as client:
        with contextlib.suppress(ConnectionError):
            await client.ws.send_bytes(bytes((1 << 20) + 100))
        assert await closed_with(client) == 1009
        await until(lambda: len(hub.opened[0][3].lost) == 1)


async def test_a_fault_in_the_session_ends_the_connection_with_words(server: TestServer, hub: RecordingHub) -> None:
    async with client_of(server) as client, client_of(server) as neighbour:

        def broken(message: object) -> None:
            raise RuntimeError("a bug")

        hub.opened[0][3].message_nowait = broken
        await client.send(TextInput(text="hello"))
        assert (await error_of(client)).code == "internal"
        assert await closed_with(client) == 1011
        await still_works(neighbour, hub, 1)


async def test_pings_are_answered(server: TestServer) -> None:
    async with ClientSession() as http, http.ws_connect(server.make_url("/v1/converse"), autoping=False) as ws:
        await ws.ping(b"are you there")
        message = await ws.receive()
        assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"are you there")


async def test_a_client_that_vanishes_is_lost_once(server: TestServer, hub: RecordingHub) -> None:
    async with client_of(server) as client:
        connection = client.ws.get_extra_info("socket")
        assert connection is not None
        transport = client.ws._response.connection.transport
        transport.abort()
        await until(lambda: len(hub.opened[0][3].lost) == 1)


async def deaf(server: TestServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that has said session_start and reads nothing, with little room for what it is sent."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (server.host, server.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    writer.write(
        b"GET /v1/converse HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + b"A" * 22 + b"==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    start = b'{"type":"session_start","output_rate":48000}'
    writer.write(bytes([0x81, 0x80 | len(start), 0, 0, 0, 0]) + start)
    writer.transport.pause_reading()
    return reader, writer


async def test_a_client_that_stops_reading_is_closed_and_the_neighbour_hears_nothing(hub: RecordingHub) -> None:
    async with serving(hub, Limits(stalled_s=0.5)) as server, client_of(server) as neighbour:
        _reader, writer = await deaf(server)
        await until(lambda: len(hub.opened) == 2)
        transport, side = hub.opened[1][1], hub.opened[1][3]
        _, least = await fill(transport)
        assert least < 960
        await until(lambda: side.lost == [transport])
        await still_works(neighbour, hub, 0)
        writer.close()


async def test_a_client_whose_backlog_grows_is_closed(server: TestServer, hub: RecordingHub) -> None:
    async with client_of(server) as neighbour:
        _reader, writer = await deaf(server)
        await until(lambda: len(hub.opened) == 2)
        transport, side = hub.opened[1][1], hub.opened[1][3]
        for n in range(3000):
            transport.send_nowait(Notice(code="much", message=f"{n} " + "x" * 1000))
        await until(lambda: side.lost == [transport])
        await still_works(neighbour, hub, 0)
        writer.close()


async def test_a_hold_overtakes_the_audio_that_waits(server: TestServer, hub: RecordingHub) -> None:
    reader, writer = await deaf(server)
    await until(lambda: len(hub.opened) == 1)
    transport = hub.opened[0][1]
    transport.holds = True
    sent, _ = await fill(transport)
    transport.hold_nowait(1)
    writer.transport.resume_reading()
    before_hold = 0
    async with asyncio.timeout(10):
        while True:
            opcode, size = await reader.readexactly(2)
            length = int.from_bytes(await reader.readexactly(2), "big") if size == 126 else size
            payload = await reader.readexactly(length)
            if opcode & 15 == 1 and json.loads(payload)["type"] == Hold.__struct_config__.tag:
                break
            before_hold += len(unpack_audio(payload).pcm) // 2 if opcode & 15 == 2 else 0
    assert before_hold < sent - 9600, "most of the 300 ms that waited should have been overtaken"
    writer.close()


async def test_cancelled_at_any_moment_it_leaves_nothing(hub: RecordingHub) -> None:
    handlers: list[asyncio.Task[Any]] = []

    async def converse(ws: ClientWebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError):
            await ws.send_str('{"type": "session_start"}')
            for n in range(20):
                await ws.send_bytes(pack_audio(Audio(0, n * 320, bytes(640))))
                await asyncio.sleep(0)

    async def handler(request: Any) -> Any:
        task = asyncio.current_task()
        assert task is not None
        handlers.append(task)
        return await serve_websocket(request, hub)

    app = web.Application()
    app.router.add_get("/v1/converse", handler)
    async with TestServer(app) as server, ClientSession() as http:
        for moment in range(40):
            ws = await http.ws_connect(server.make_url("/v1/converse"))
            talk = asyncio.create_task(converse(ws))
            for _ in range(moment):
                await asyncio.sleep(0)
            handlers[-1].cancel()
            await talk
            await ws.close()
        await until(lambda: all(h.done() for h in handlers))
    assert hub.opened
    assert all(len(side.lost) == 1 for *_, side in hub.opened)
    left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    assert not left, left
