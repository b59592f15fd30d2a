"""The Python client against the server's own transports."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import msgspec
import numpy as np
import pytest

from antiphon.client import Event, Reconnected, Reconnecting, Session, SessionLost, connect
from base.errors import AntiphonError, AtCapacity, BadRequest, Denied, NotFound, Unavailable
from orchestrator.connection import ClientTransport
from orchestrator.messages import (
    ClientMessage,
    InputState,
    Interrupt,
    Notice,
    SessionEnd,
    SessionStart,
    SessionStarted,
    TextInput,
    TurnFinished,
)
from orchestrator.ports import Hub, Peer, Transport
from tests.support.grpc_client import grpc_serving
from tests.support.transports import RecordingHub, RecordingSide, serving, started, until

pytestmark = pytest.mark.integration

LIMIT_S = 20.0


@asynccontextmanager
async def over_websocket(hub: Hub) -> AsyncIterator[str]:
    async with serving(hub) as server:
        yield str(server.make_url("/"))


@asynccontextmanager
async def over_grpc(hub: Hub) -> AsyncIterator[str]:
    async with grpc_serving(hub) as address:
        yield f"grpc://{address}"


Door = Callable[[Hub], AbstractAsyncContextManager[str]]


@pytest.fixture(params=[over_websocket, over_grpc])
def door(request: pytest.FixtureRequest) -> Door:
    """Gives the address of a server."""
    return cast(Door, request.param)


class ClosingSide(RecordingSide):
    """Takes part in the goodbye, as a session does."""

    transport: Transport

    def message_nowait(self, message: ClientMessage) -> None:
        super().message_nowait(message)
        if isinstance(message, SessionEnd):
            self.transport.close_nowait(1000, "the session is over")


class ResumingHub(RecordingHub):
    """A session that goes on at input sample 4,800 when it is resumed; `stale` knows no session any more."""

    stale: AntiphonError | None = None

    def open_nowait(self, start: SessionStart, transport: Transport, peer: Peer) -> RecordingSide:
        if self.refusal is not None:
            raise self.refusal
        if start.resume and self.stale is not None:
            raise self.stale
        side = ClosingSide()
        side.transport = transport
        self.opened.append((start, transport, peer, side))
        transport.send_nowait(msgspec.structs.replace(started(start), next_input_sample=4_800 if start.resume else 0))
        return side

    @property
    def transport(self) -> ClientTransport:
        return cast(ClientTransport, self.opened[-1][1])

    @property
    def side(self) -> RecordingSide:
        return self.opened[-1][3]


def tone(start: int, samples: int) -> bytes:
    return ((np.arange(start, start + samples) % 30_000) + 1).astype("<i2").tobytes()


async def collect(session: Session, into: list[Event]) -> None:
    async for event in session.events():
        into.append(event)


async def test_a_session_carries_everything_both_ways(door: Door) -> None:
    hub = ResumingHub()
    async with door(hub) as url, connect(url, voice="en-gb") as session:
        assert session.started is not None
        events: list[Event] = []
        listening = asyncio.create_task(collect(session, events))
        start, transport, _, side = hub.opened[0]
        assert (start.voice, start.hold, start.output_rate) == ("en-gb", True, 48_000)
        session.send_audio(tone(0, 320))
        session.send_audio(tone(320, 640))
        session.ask("hello")
        session.mute()
        session.interrupt()
        await until(lambda: len(side.audio) == 3 and len(side.messages) == 3)
        assert b"".join(pcm for _, pcm in side.audio) == tone(0, 960)
        assert [sample for sample, _ in side.audio] == [0, 320, 640]
        assert side.messages == [TextInput(text="hello"), InputState(state="muted"), Interrupt()]
        transport.send_nowait(Notice(code="x", message="y"))
        await until(lambda: Notice(code="x", message="y") in events)
        assert isinstance(events[0], SessionStarted)
        listening.cancel()
    await until(lambda: SessionEnd() in side.messages)


async def test_holds_to_the_sample_and_tells_what_was_played(door: Door) -> None:
    hub = ResumingHub()
    async with door(hub) as url, connect(url) as session:
        hub.transport.play_nowait(0, 0, tone(0, 9_600))
        await until(lambda: session.player.waiting == 9_600)
        heard = session.player.read(1_000)
        hub.transport.hold_nowait(0)
        await until(lambda: session.player.held)
        await until(lambda: hub.side.played[-1:] == [(0, 1_000)])
        assert session.player.read(500) == bytes(1_000)
        hub.transport.resume_nowait(0, 1_000)
        await until(lambda: not session.player.held)
        heard += session.player.read(2_000)
        hub.transport.clear_nowait(0)
        await until(lambda: hub.side.played[-1:] == [(0, 3_000)])
        assert heard == tone(0, 3_000)
        assert session.player.read(100) == bytes(200)


async def test_a_lost_connection_is_taken_up_again_where_it_was(door: Door) -> None:
    hub = ResumingHub()
    async with door(hub) as url, connect(url) as session:
        events: list[Event] = []
        listening = asyncio.create_task(collect(session, events))
        hub.transport.play_nowait(0, 0, tone(0, 4_800))
        await until(lambda: session.player.waiting == 4_800)
        heard = session.player.read(1_000)
        hub.transport.close_nowait(1001, "the server restarts")
        await until(lambda: any(isinstance(e, Reconnected) for e in events))
        assert any(isinstance(e, Reconnecting) for e in events)
        assert hub.opened[1][0].resume == "token"
        # What was played last is the first thing that it is told.
        await until(lambda: bool(hub.side.played))
        assert hub.side.played[0] == (0, 1_000)
        hub.transport.resume_nowait(0, 1_000)
        hub.transport.play_nowait(0, 1_000, tone(1_000, 3_800))
        await until(lambda: session.player.waiting == 3_800)
        assert heard + session.player.read(3_800) == tone(0, 4_800)
        session.send_audio(tone(0, 320))
        await until(lambda: bool(hub.side.audio))
        assert hub.side.audio[0][0] == 4_800
        listening.cancel()


async def test_a_session_that_is_gone_says_so(door: Door) -> None:
    hub = ResumingHub()
    async with door(hub) as url, connect(url) as session:
        hub.stale = NotFound("this token is of no session here", reason="RESUME_UNKNOWN")
        hub.transport.close_nowait(1001, "gone")
        with pytest.raises(SessionLost, match="no session here"):
            async with asyncio.timeout(LIMIT_S):
                await collect(session, [])


async def test_the_end_of_the_session_ends_the_events(door: Door) -> None:
    hub = ResumingHub()
    finished = TurnFinished(turn=0, heard="", unheard="", samples=0, reason="completed")
    async with door(hub) as url, connect(url) as session:
        hub.transport.send_nowait(finished)
        hub.transport.close_nowait(1000, "over")
        events: list[Event] = []
        async with asyncio.timeout(LIMIT_S):
            await collect(session, events)
        assert events[-1] == finished


@pytest.mark.parametrize("refusal", [AtCapacity("all 3 sessions are taken"), Denied("no"), BadRequest("voice 'x'")])
async def test_a_refusal_is_the_servers_own_word(door: Door, refusal: AntiphonError) -> None:
    async with door(RecordingHub(refusal)) as url:
        with pytest.raises(type(refusal), match=refusal.message):
            async with connect(url):
                pass


async def test_nobody_there_is_said_in_one_line() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="nothing answers at ws://127"):
            async with connect(f"127.0.0.1:{nobody.getsockname()[1]}"):
                pass


async def test_nobody_there_over_grpc_is_said_in_one_line() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match=r"nothing answers at grpc://127.*`antiphon up` starts") as refused:
            async with connect(f"grpc://127.0.0.1:{nobody.getsockname()[1]}"):
                pass
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("url", ["grpc://", "grpc://x", "grpc://x:1/path", "grpc://x:99999", "grpc://[::1"])
async def test_what_is_no_address_over_grpc_is_told_what_one_looks_like(url: str) -> None:
    with pytest.raises(BadRequest, match="looks like grpc://127"):
        async with connect(url):
            pass


async def test_another_kind_of_server_is_said_in_one_readable_line() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\x00\x1b[2J" + bytes(range(256)))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable) as refused:
            async with connect(f"127.0.0.1:{port}"):
                pass
    assert refused.value.message.startswith(f"what answers at ws://127.0.0.1:{port}/v1/converse is no web server: ")
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 250


async def test_the_callers_own_error_stays_what_it_is(door: Door) -> None:
    async with door(ResumingHub()) as url:
        with pytest.raises(ZeroDivisionError):
            async with connect(url):
                raise ZeroDivisionError


async def test_cancelled_at_any_moment_nothing_is_left(door: Door) -> None:
    before = asyncio.all_tasks()
    async with door(ResumingHub()) as url:

        async def use() -> None:
            async with connect(url) as session:
                session.send_audio(tone(0, 320))
                await collect(session, [])

        for steps in [*range(0, 60, 3), 200]:
            task = asyncio.ensure_future(use())
            for _ in range(steps):
                await asyncio.sleep(0)
            if steps == 200:
                await asyncio.sleep(0.05)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            mine = {t for t in asyncio.all_tasks() - before if "antiphon.client" in repr(t) or "Session." in repr(t)}
            assert not mine
    await until(lambda: asyncio.all_tasks() <= before)
