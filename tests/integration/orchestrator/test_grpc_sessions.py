"""Whole sessions over gRPC: as over WebSocket, to the sample, and from one to the other and back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from antiphon.client import Reconnected, Reconnecting
from antiphon.lines.grpc import wire
from base import rpc
from base.errors import Denied, Unavailable
from benchmarks.speech import synthetic_speech
from orchestrator.messages import SessionStart, SessionStarted, State, TextInput, TurnEnded, TurnFinished
from pb.antiphon.v1 import conversation_pb2 as pb
from pb.antiphon.v1 import conversation_pb2_grpc
from tests.integration.orchestrator.test_bad_input import COUNT, street
from tests.support.grpc_client import METHOD, SMALL_WINDOW, call_of, code_of, grpc_channel
from tests.support.house import House, house, until
from tests.support.user import Cable, User, cable, raw, user

pytestmark = pytest.mark.integration


def door(here: House) -> str:
    return f"grpc://{here.grpc}"


async def reference(here: House, text: str) -> bytes:
    """What is heard of it over WebSocket."""
    async with user(here.url, at_once=True) as listener:
        return listener.heard((await listener.asks(text)).turn)


async def test_a_conversation_is_the_same_to_the_sample() -> None:
    async with house() as here:
        whole = await reference(here, COUNT)
        async with user(door(here), speaks=True, phrases=["hello there", ""]) as u:
            finished = await u.asks(COUNT)
            assert (finished.reason, finished.heard) == ("complete", COUNT)
            assert u.heard(finished.turn) == whole
            assert u.written(finished.turn).strip() == COUNT
            assert u.all_marks()
            await u.speaks(0.4)
            assert (await u.wait(TurnEnded, transcript="hello there")).reason in ("silence", "complete", "unfinished")
            assert (await u.finished(heard="hello there")).reason == "complete"
            # A noise holds the reply, which goes on exactly where it was.
            u.session.ask(COUNT)
            await until(lambda: len([t for t in u.all(TurnEnded) if t.transcript == COUNT]) == 2, "the second turn")
            last = u.all(TurnEnded)[-1].turn
            await u.hears(0.3, last)
            u.microphone.say_nowait(synthetic_speech(0.5))
            await u.wait(State, state="barged_in")
            finished = await u.finished(turn=last)
            assert (finished.reason, finished.heard) == ("complete", COUNT)
            assert u.heard(last) == whole
            assert not u.player.jumps
            assert not u.errors()
        await here.wait_free()


@pytest.mark.parametrize("holds", [True, False])
async def test_an_interruption_stops_and_history_keeps_what_was_heard(holds: bool) -> None:
    async with house() as here, user(door(here), hold=holds) as u:
        u.session.ask(COUNT)
        await u.hears(0.4, 1)
        u.session.interrupt()
        finished = await u.finished(turn=1)
        assert finished.reason == "interrupt"
        assert finished.unheard
        assert COUNT.startswith(finished.heard)


async def lose(u: User, here: House, line: Cable) -> None:
    """Cuts the line; returns when both ends have noticed."""
    line.cut()
    await u.wait(Reconnecting)
    await here.wait_metric("antiphon_sessions_connected", 0)


@pytest.mark.parametrize("holds", [True, False])
async def test_a_reply_goes_on_from_what_was_heard_when_the_line_is_back(holds: bool) -> None:
    async with house() as here:
        whole = await reference(here, COUNT)
        async with (
            cable(f"http://{here.grpc}") as line,
            user(line.url.replace("http://", "grpc://"), hold=holds) as u,
        ):
            u.session.ask(COUNT)
            await u.hears(0.4, 1)
            await lose(u, here, line)
            line.plug()
            assert (await u.wait(Reconnected)).started.resumed
            finished = await u.finished(turn=1)
            assert (finished.reason, finished.heard, finished.unheard) == ("complete", COUNT, "")
            if holds:
                assert u.heard(1) == whole
                assert not u.player.jumps
            else:
                assert len(u.heard(1)) >= len(whole)


@pytest.mark.parametrize("first_is_grpc", [True, False])
async def test_a_session_goes_on_over_the_other_transport(first_is_grpc: bool) -> None:
    async with house() as here:
        one, other = (door(here), here.url) if first_is_grpc else (here.url, door(here))
        whole = await reference(here, COUNT)
        async with user(one) as first:
            first.session.ask(COUNT)
            await first.hears(0.4, 1)
            async with user(other, resume=first.started.resume) as second:
                assert second.started.resumed
                assert second.started.session == first.started.session
                finished = await second.finished(turn=1)
                assert (finished.reason, finished.heard) == ("complete", COUNT)
                began = next(at for at in range(0, len(whole), 2) if second.heard(1)[at : at + 2] != b"\0\0") // 2
                assert 0 < (began - 1) * 2 <= len(first.heard(1))
                await here.wait_metric("antiphon_sessions_connected", 1)
                assert not first.all(Reconnected), "it must not take the session back"
        assert await here.metric("antiphon_sessions_opened") == 2


async def test_a_client_that_leaves_takes_its_work_along_after_its_grace() -> None:
    async with street() as s:
        for leaves in ("cancel", "cut", "vanish"):
            async with cable(f"http://{s.here.grpc}") as line, call_of(line.url.removeprefix("http://")) as client:
                await client.send(TextInput(text=COUNT))
                await until(lambda client=client: client.frames, "its audio")
                if leaves == "cancel":
                    client.call.cancel()
                elif leaves == "cut":
                    line.cut()
            await s.here.wait_metric("antiphon_sessions", 1)


async def garbage(here: House) -> None:
    async with grpc_channel(here.grpc) as channel:
        for nothing in (b"\xff" * 100, b"\x0a\x05ab"):
            call = channel.stream_stream(METHOD, lambda raw: raw, lambda raw: raw)()
            await call.write(wire.request_of(SessionStart(greeting=False)).SerializeToString())
            await call.write(nothing)
            assert await code_of(call) is grpc.StatusCode.INVALID_ARGUMENT


async def flood(here: House) -> None:
    async with call_of(here.grpc) as flooder:
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            for _ in range(5_000):
                await flooder.write(pb.ConverseRequest(text=pb.TextInput(text="again")))
        await until(lambda: flooder.over, "the end of the flood")


async def deafness(here: House) -> None:
    async with call_of(here.grpc, reads=False, options=SMALL_WINDOW, acknowledges=False) as deaf:
        await deaf.send(TextInput(text="word " * 200))
        await here.wait_metric("antiphon_sessions_connected", 2)


@pytest.mark.parametrize("does", [garbage, flood, deafness])
async def test_a_bad_client_harms_nobody_else(does: Callable[[House], Awaitable[None]]) -> None:
    """A neighbour hears every sample."""
    async with street() as s:
        await does(s.here)


async def test_a_key_is_taken_from_the_metadata_or_the_message(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first-key\n", encoding="utf-8")
    async with house(access_key_file=str(file), grace_s=0.2, key="first-key") as here:
        async with user(door(here), at_once=True, key="first-key") as u:
            assert (await u.asks("hello")).heard == "hello"
        async with call_of(here.grpc, metadata=(("authorization", "Bearer first-key"),)) as client:
            assert client.got(SessionStarted)
        for key, reason in (("", "KEY_MISSING"), ("third-key", "KEY_UNKNOWN")):
            with pytest.raises(Denied) as refused:
                async with user(door(here), key=key):
                    pass
            assert refused.value.reason == reason
        await here.wait_free()


async def test_drained_it_serves_no_more_and_stopped_it_says_so() -> None:
    async with house() as here, rpc.channel(here.grpc) as channel, call_of(here.grpc) as client:
        assert await _serving(channel)
        await here.drain()
        assert not await _serving(channel)
        with pytest.raises(Unavailable, match="shutting down"):
            async with user(door(here)):
                pass
        await here.close()
        await until(lambda: client.over, "the end of the call")
        assert isinstance(client.failure, Unavailable)
        assert client.failure.reason == "GOING_AWAY"
        assert client.close_code() == (1001, "the server stops")


async def _serving(channel: grpc.aio.Channel) -> bool:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    request = health_pb2.HealthCheckRequest(service="antiphon.v1.Conversation")
    answer = await health_pb2_grpc.HealthStub(channel).Check(request)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def test_all_at_once_as_grpcurl_does_it() -> None:
    """Messages, and then the client's side is closed: the answer comes to its end, and the call ends with OK."""
    async with house() as here, rpc.channel(here.grpc) as channel:

        async def sent():  # type: ignore[no-untyped-def]
            yield pb.ConverseRequest(session_start=pb.SessionStart(greeting=pb.Greeting(on=False)))
            yield pb.ConverseRequest(text=pb.TextInput(text="hello"))

        call = conversation_pb2_grpc.ConversationStub(channel).Converse(sent())
        got = [wire.message_from(response) async for response in call]
        assert await call.code() is grpc.StatusCode.OK
        assert [m.heard for m in got if isinstance(m, TurnFinished)] == ["hello"]
        await here.wait_free()


async def test_the_greeting_is_heard_before_a_closed_side_ends_the_call() -> None:
    async with house() as here, rpc.channel(here.grpc) as channel:

        async def sent():  # type: ignore[no-untyped-def]
            yield pb.ConverseRequest(session_start=pb.SessionStart(greeting=pb.Greeting(text="good day")))

        call = conversation_pb2_grpc.ConversationStub(channel).Converse(sent())
        got = [wire.message_from(response) async for response in call]
        assert [m.heard for m in got if isinstance(m, TurnFinished)] == ["good day"]


async def test_an_unknown_key_of_a_session_is_not_fatal_and_raw_clients_live_on() -> None:
    async with house() as here:
        async with call_of(here.grpc, start=False) as client:
            await client.send(SessionStart(resume="forged"))
            await until(lambda: client.messages, "the error")
            await client.send(SessionStart(greeting=False))
            await until(lambda: client.got(SessionStarted), "the session")
        async with raw(here.url) as other:
            await other.start()
