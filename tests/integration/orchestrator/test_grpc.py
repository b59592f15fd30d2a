"""The gRPC transport over a real channel: what bad clients get, and what their neighbours do not notice."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from antiphon.lines.grpc import wire
from antiphon.lines.line import Closed
from base import rpc
from base.errors import AntiphonError, AtCapacity, BadRequest, Denied, Internal, NotFound, TimedOut, Unavailable
from orchestrator.access import networks
from orchestrator.connection import Limits
from orchestrator.messages import (
    AudioInput,
    ClientMessage,
    CloseCode,
    Error,
    Hold,
    InputState,
    Notice,
    Played,
    SessionEnd,
    SessionStart,
    SessionStarted,
    State,
    TextInput,
)
from orchestrator.ports import Peer, Transport
from orchestrator.transports.grpc.servicer import ConversationServicer
from pb.antiphon.v1 import conversation_pb2 as pb
from pb.antiphon.v1 import conversation_pb2_grpc
from tests.support.grpc_client import METHOD, SMALL_WINDOW, CallClient, call_of, code_of, grpc_channel, grpc_serving
from tests.support.house import house
from tests.support.transports import RecordingHub, RecordingSide, fill, started, until

pytestmark = pytest.mark.integration

FRAME = bytes(1920)


@pytest.fixture
def hub() -> RecordingHub:
    return RecordingHub()


@pytest.fixture
async def address(hub: RecordingHub) -> AsyncIterator[str]:
    async with grpc_serving(hub) as address:
        yield address


async def error_of(client: CallClient, count: int = 1) -> Error:
    await until(lambda: len(client.got(Error)) >= count, f"error {count} did not come: {client.messages}")
    found = client.got(Error)[count - 1]
    assert isinstance(found, Error)
    return found


async def ended(client: CallClient) -> AntiphonError | None:
    await until(lambda: client.over, "the call did not end")
    return client.failure


async def still_works(client: CallClient, hub: RecordingHub, session: int = -1) -> None:
    side = hub.opened[session][3]
    before = len(side.messages)
    await client.send(TextInput(text="still here"))
    await until(lambda: len(side.messages) == before + 1)


# --- what is wrong is answered ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "reason", "where"),
    [
        (pb.ConverseRequest(), "UNKNOWN_TYPE", "message"),
        (pb.ConverseRequest(text=pb.TextInput()), "MALFORMED", "text"),
        (pb.ConverseRequest(text=pb.TextInput(text="a" * 100_000)), "MALFORMED", "text"),
        (pb.ConverseRequest(input=pb.InputState()), "MALFORMED", ""),
        (pb.ConverseRequest(played=pb.Played(samples=2**64 - 1)), "MALFORMED", "samples"),
        (pb.ConverseRequest(session_start=pb.SessionStart()), "WRONG_STATE", ""),
        (pb.ConverseRequest(audio=pb.AudioInput(data=b"odd")), "ODD_AUDIO", ""),
        (pb.ConverseRequest(audio=pb.AudioInput(data=bytes(32_002))), "AUDIO_TOO_LONG", ""),
        (pb.ConverseRequest(audio=pb.AudioInput(data=FRAME, sample=2**62)), "SAMPLE_AHEAD", ""),
        (pb.ConverseRequest(audio=pb.AudioInput(data=FRAME, sample=2**64 - 1)), "SAMPLE_AHEAD", ""),
        (pb.ConverseRequest.FromString(b"\xf2\x3f\x03abc"), "UNKNOWN_TYPE", "message"),
    ],
)
async def test_a_bad_message_is_answered_and_forgiven(
    address: str, hub: RecordingHub, request_: pb.ConverseRequest, reason: str, where: str
) -> None:
    async with call_of(address) as client:
        await client.write(request_)
        error = await error_of(client)
        assert (error.reason, error.where, error.fatal) == (reason, where, False)
        await still_works(client, hub)
        assert not hub.opened[0][3].audio


async def test_what_comes_before_session_start_is_told_to_wait(address: str, hub: RecordingHub) -> None:
    async with call_of(address, start=False) as client:
        await client.send_audio(0, FRAME)
        await client.send(TextInput(text="hello"))
        assert [(await error_of(client, n)).code for n in (1, 2)] == ["wrong_state"] * 2
        await client.send(SessionStart())
        await until(lambda: bool(client.got(SessionStarted)))
        await still_works(client, hub)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (pb.SessionStart(input_rate=11_025), "BAD_SAMPLE_RATE"),
        (pb.SessionStart(output_rate=1), "BAD_SAMPLE_RATE"),
        (pb.SessionStart(encoding=7), "BAD_ENCODING"),  # type: ignore[arg-type]
        (pb.SessionStart(protocol=99), "BAD_PROTOCOL"),
    ],
)
async def test_a_format_that_does_not_exist_may_be_corrected(
    address: str, hub: RecordingHub, start: pb.SessionStart, reason: str
) -> None:
    async with call_of(address, start=False) as client:
        await client.write(pb.ConverseRequest(session_start=start))
        error = await error_of(client)
        assert (error.reason, error.fatal) == (reason, False)
        await client.send(SessionStart())
        await until(lambda: bool(client.got(SessionStarted)))


async def test_audio_that_names_no_place_begins_where_the_session_goes_on(address: str, hub: RecordingHub) -> None:
    hub.next_input_sample = 32_000
    async with call_of(address) as client:
        for _ in range(2):
            await client.send(AudioInput(data=base64.b64encode(bytes(640)).decode()))
        await until(lambda: [s for s, _ in hub.opened[0][3].audio] == [32_000, 32_320])


async def test_errors_themselves_are_limited(address: str, hub: RecordingHub) -> None:
    async with call_of(address) as client:
        for _ in range(300):
            await client.write(pb.ConverseRequest())
        await still_works(client, hub)
        assert 20 <= len(client.got(Error)) < 60


# --- how a call ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refusal",
    [
        AtCapacity("full", retry_after_s=3.0),
        Unavailable("no voice", reason="NO_VOICE"),
        Denied("no key", reason="KEY_MISSING"),
        Internal("oops", reason="FAULT"),
    ],
)
async def test_a_refusal_is_a_rich_status(refusal: AntiphonError) -> None:
    async with grpc_serving(RecordingHub(refusal)) as address, grpc_channel(address) as channel:
        call = conversation_pb2_grpc.ConversationStub(channel).Converse()
        await call.write(wire.request_of(SessionStart()))
        assert wire.message_from(await call.read()) == Error(
            code=refusal.code,
            message=refusal.message,
            fatal=True,
            reason=refusal.reason,
            retry_after_s=refusal.retry_after_s,
        )
        assert isinstance(wire.message_from(await call.read()), Closed)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call.read()
        assert failed.value.code() is getattr(grpc.StatusCode, refusal.grpc_code)
        details = dict(failed.value.trailing_metadata() or ())["grpc-status-details-bin"]
        status = status_pb2.Status.FromString(details)
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        assert status.details[0].Unpack(info)
        assert (info.reason, info.domain, status.message) == (refusal.reason, "antiphon", refusal.message)
        if refusal.retry_after_s is not None:
            assert status.details[1].Unpack(retry)
            assert retry.retry_delay.ToSeconds() == refusal.retry_after_s


@pytest.mark.parametrize("refusal", [NotFound("resume token is stale"), BadRequest("voice 'x' does not exist")])
async def test_a_wrong_request_leaves_room_for_another_try(refusal: AntiphonError) -> None:
    hub = RecordingHub(refusal)
    async with grpc_serving(hub) as address, call_of(address, start=False) as client:
        await client.send(SessionStart(resume="stale"))
        error = await error_of(client)
        assert (error.code, error.fatal) == (refusal.code, False)
        hub.refusal = None
        await client.send(SessionStart())
        await until(lambda: bool(client.got(SessionStarted)))


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (CloseCode.ENDED, type(None), ""),
        (CloseCode.GOING_AWAY, Unavailable, "GOING_AWAY"),
        (CloseCode.RESUMED_ELSEWHERE, BadRequest, "RESUMED_ELSEWHERE"),
        (CloseCode.TRY_LATER, AtCapacity, "AT_CAPACITY"),
        (CloseCode.INTERNAL, Internal, "FAULT"),
    ],
)
async def test_the_status_says_what_a_close_code_says(
    address: str, hub: RecordingHub, code: CloseCode, kind: type[Any], reason: str
) -> None:
    async with call_of(address) as client:
        hub.opened[0][1].close_nowait(code, "because")
        failure = await ended(client)
        assert isinstance(failure, kind)
        assert client.close_code() == (code, "because")
        if failure is not None:
            assert (failure.reason, failure.message) == (reason, "because")


async def test_without_session_start_the_call_ends(hub: RecordingHub) -> None:
    limits = Limits(start_s=0.1)
    async with grpc_serving(hub, limits) as address:
        async with call_of(address, start=False) as client:
            failure = await ended(client)
            assert isinstance(failure, TimedOut)
            assert failure.reason == "NO_SESSION"
        async with call_of(address, start=False) as client:
            await client.call.done_writing()
            assert (failure := await ended(client)) is not None
            assert failure.reason == "NO_SESSION"
    async with grpc_serving(hub, Limits(start_s=0.3)) as address, call_of(address) as client:
        over = asyncio.get_running_loop().time() + 0.5
        await until(lambda: asyncio.get_running_loop().time() > over)
        await still_works(client, hub)


async def test_garbage_ends_its_own_call_with_words(address: str, hub: RecordingHub) -> None:
    async with call_of(address) as neighbour, grpc_channel(address) as channel:
        for garbage in (b"\xff\xff\xff\xff", b"\x0a\x05ab", bytes(range(256)) * 4):
            call = channel.stream_stream(METHOD, lambda raw: raw, lambda raw: raw)()
            await call.write(wire.request_of(SessionStart()).SerializeToString())
            await call.read()
            await call.write(garbage)
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await call.read()
            assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert rpc.error_from_rpc(failed.value).reason == "MALFORMED"
            await until(lambda: len(hub.opened[-1][3].lost) == 1)
        await still_works(neighbour, hub, 0)
        assert not neighbour.got(Error)


async def test_garbage_at_the_moment_of_the_first_answer_ends_its_call_as_well(address: str, hub: RecordingHub) -> None:
    async with grpc_channel(address) as channel:
        for _ in range(20):
            call = channel.stream_stream(METHOD, lambda raw: raw, lambda raw: raw)()
            await call.write(wire.request_of(SessionStart()).SerializeToString())
            await call.write(b"\xff\xff\xff\xff")
            assert await code_of(call) is grpc.StatusCode.INVALID_ARGUMENT
    await until(lambda: all(len(side.lost) == 1 for *_, side in hub.opened))


async def test_a_message_too_big_to_look_at_ends_the_call(address: str, hub: RecordingHub) -> None:
    anything = (("grpc.max_send_message_length", -1),)
    async with call_of(address) as neighbour, call_of(address, options=anything) as client:
        with contextlib.suppress(grpc.aio.AioRpcError):
            await client.write(pb.ConverseRequest(text=pb.TextInput(text="x" * (4 << 20))))
        assert isinstance(await ended(client), AtCapacity | Internal)
        await until(lambda: len(hub.opened[1][3].lost) == 1)
        await still_works(neighbour, hub, 0)


async def test_a_flood_is_ended_and_the_neighbour_hears_nothing(address: str, hub: RecordingHub) -> None:
    async with call_of(address) as neighbour, call_of(address) as flooder:

        async def flood() -> None:
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                for n in range(10_000):
                    await flooder.send(Played(turn=1, samples=n))

        flooding = asyncio.create_task(flood())
        for n in range(50):
            await neighbour.send_audio(n * 320, bytes(640))
        await ended(flooder)
        error = await error_of(flooder)
        # The status may be lost to who was writing: grpc/grpc#36066.
        assert (error.code, error.reason, error.fatal) == ("at_capacity", "RATE_LIMITED", True)
        assert flooder.close_code() == (CloseCode.POLICY, error.message)
        await flooding
        await until(lambda: len(hub.opened[1][3].lost) == 1)
        await until(lambda: [s for s, _ in hub.opened[0][3].audio] == [n * 320 for n in range(50)])
        await still_works(neighbour, hub, 0)
        assert not neighbour.got(Error)


async def test_a_fault_in_the_session_ends_the_call_with_words(address: str, hub: RecordingHub) -> None:
    async with call_of(address) as client, call_of(address) as neighbour:

        def broken(message: object) -> None:
            raise RuntimeError("my secret")

        hub.opened[0][3].message_nowait = broken  # type: ignore[method-assign]
        await client.send(TextInput(text="hello"))
        failure = await ended(client)
        assert isinstance(failure, Internal)
        assert "my secret" not in failure.message
        await until(lambda: len(hub.opened[0][3].lost) == 1)
        await still_works(neighbour, hub, 1)


async def test_a_client_that_vanishes_is_lost_once(address: str, hub: RecordingHub) -> None:
    async with call_of(address) as client:
        client.call.cancel()
        await until(lambda: len(hub.opened[0][3].lost) == 1)
    async with call_of(address):
        pass  # its whole channel goes
    await until(lambda: len(hub.opened[1][3].lost) == 1)


class Conversing(RecordingSide):
    """Answers a text after a while of thinking, and ends when it is told to."""

    transport: Transport

    def message_nowait(self, message: ClientMessage) -> None:
        super().message_nowait(message)
        if isinstance(message, TextInput):
            self.transport.send_nowait(State(state="thinking"))
            asyncio.get_running_loop().call_later(1.5, self.answer)
        elif isinstance(message, SessionEnd):
            self.transport.close_nowait(CloseCode.ENDED, "over")

    def answer(self) -> None:
        self.transport.send_nowait(Notice(code="answer", message="here it is"))
        self.transport.send_nowait(State(state="idle"))


class ConversingHub(RecordingHub):
    def open_nowait(self, start: SessionStart, transport: Transport, peer: Peer) -> RecordingSide:
        side = Conversing()
        side.transport = transport
        self.opened.append((start, transport, peer, side))
        transport.send_nowait(started(start))
        return side


async def test_a_client_that_closes_its_side_is_answered_to_the_end() -> None:
    """As grpcurl does: everything is sent at once, then only listened."""
    hub = ConversingHub()
    async with grpc_serving(hub) as address, call_of(address) as client:
        await client.send(TextInput(text="hello"))
        await client.call.done_writing()
        assert await ended(client) is None
        assert [n.code for n in client.got(Notice) if isinstance(n, Notice)] == ["answer"]
        assert hub.opened[0][3].messages == [TextInput(text="hello"), InputState(state="released"), SessionEnd()]


# --- who does not read -----------------------------------------------------------------------------------------------


async def test_a_client_that_stops_reading_is_ended_and_the_neighbour_hears_nothing(hub: RecordingHub) -> None:
    async with (
        grpc_serving(hub, Limits(stalled_s=0.5)) as address,
        call_of(address) as neighbour,
        call_of(address, reads=False, options=SMALL_WINDOW) as deaf,
    ):
        await until(lambda: len(hub.opened) == 2)
        transport, side = hub.opened[1][1], hub.opened[1][3]
        _, least = await fill(transport)
        assert least < 960
        await until(lambda: side.lost == [transport])
        await still_works(neighbour, hub, 0)
        # Whenever it reads again, it is told.
        reading = asyncio.create_task(deaf.read())
        failure = await ended(deaf)
        assert isinstance(failure, TimedOut)
        assert failure.reason == "NOT_READING"
        await reading


async def test_a_client_whose_backlog_grows_is_ended(hub: RecordingHub, address: str) -> None:
    async with call_of(address) as neighbour, call_of(address, reads=False, options=SMALL_WINDOW):
        await until(lambda: len(hub.opened) == 2)
        transport, side = hub.opened[1][1], hub.opened[1][3]
        for n in range(3_000):
            transport.send_nowait(Notice(code="much", message=f"{n} " + "x" * 1_000))
        await still_works(neighbour, hub, 0)
        assert transport.room() <= 14_400
        assert hub.opened[1][1].statistics().control <= 1_000  # type: ignore[attr-defined]
        del side


async def test_a_hold_overtakes_what_waits_and_little_is_under_way_to_who_tells(
    hub: RecordingHub, address: str
) -> None:
    """gRPC itself would take four megabytes: what is on its way is bounded by the listener's own word."""
    async with call_of(address, reads=False) as client:
        await until(lambda: len(hub.opened) == 1)
        transport = hub.opened[0][1]
        transport.play_nowait(1, 0, FRAME)
        await client.send(Played(turn=1, samples=0))
        await until(lambda: (1, 0) in hub.opened[0][3].played)
        sample = 960
        for _ in range(300):
            while transport.room() >= 960:
                transport.play_nowait(1, sample, FRAME)
                sample += 960
            await asyncio.sleep(0.001)
        assert sample <= 48_000 * 0.6 + 960
        transport.hold_nowait(1)
        reading = asyncio.create_task(client.read())
        await until(lambda: bool(client.got(Hold)))
        assert sum(len(f.pcm) // 2 for f in client.frames) <= sample
        await client.send(Played(turn=1, samples=sample))
        await until(lambda: transport.room() > 13_000)
        reading.cancel()


# --- who calls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "peer"),
    [
        ((), Peer("grpc", "127.0.0.1")),
        ((("authorization", "Bearer abc "),), Peer("grpc", "127.0.0.1", key="abc")),
        ((("authorization", "Basic abc"),), Peer("grpc", "127.0.0.1")),
        ((("x-forwarded-for", "10.0.0.9"),), Peer("grpc", "proxy:127.0.0.1", proxied=True)),
        ((("x-real-ip", "10.0.0.9"),), Peer("grpc", "proxy:127.0.0.1", proxied=True)),
        ((("forwarded", "for=10.0.0.9"),), Peer("grpc", "proxy:127.0.0.1", proxied=True)),
    ],
)
async def test_the_peer_is_what_channel_and_metadata_say(
    address: str, hub: RecordingHub, metadata: tuple[tuple[str, str], ...], peer: Peer
) -> None:
    async with call_of(address, metadata=metadata):
        assert hub.opened[0][2] == peer


async def test_a_trusted_proxy_tells_the_address(hub: RecordingHub) -> None:
    metadata = (("x-forwarded-for", "198.51.100.7, 192.0.2.7"),)
    trusted = networks(["127.0.0.1"], "trusted_proxies")
    async with grpc_serving(hub, trusted=trusted) as address, call_of(address, metadata=metadata):
        assert hub.opened[0][2] == Peer("grpc", "192.0.2.7", proxied=True)


# --- cancelled -------------------------------------------------------------------------------------------------------


async def test_cancelled_at_any_moment_it_leaves_nothing(hub: RecordingHub) -> None:
    before = asyncio.all_tasks()
    async with grpc_serving(hub) as address, grpc_channel(address) as channel:
        stub = conversation_pb2_grpc.ConversationStub(channel)

        async def converse() -> None:
            call = stub.Converse()
            try:
                await call.write(wire.request_of(SessionStart()))
                for n in range(20):
                    await call.write(pb.ConverseRequest(audio=pb.AudioInput(data=bytes(640), sample=n * 320)))
                await call.read()
                await asyncio.sleep(0.01)
            finally:
                call.cancel()

        for moment in [*range(40), *range(40, 200, 20)]:
            talk = asyncio.create_task(converse())
            for _ in range(moment):
                await asyncio.sleep(0)
            talk.cancel()
            await asyncio.wait([talk])
        await until(lambda: all(len(side.lost) == 1 for *_, side in hub.opened), "all to be lost")
        assert hub.opened
    await until(lambda: asyncio.all_tasks() <= before, "all tasks to end")


# --- on the orchestrator ---------------------------------------------------------------------------------------------


async def test_reflection_describes_every_message_and_health_says_serving() -> None:
    async with house(tts=0, asr=0) as here, rpc.channel(here.grpc) as channel:
        assert await rpc.answers(channel, timeout_s=5.0)
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)

        async def asked() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            yield reflection_pb2.ServerReflectionRequest(file_containing_symbol="antiphon.v1.Conversation")

        answers = [answer async for answer in stub.ServerReflectionInfo(asked())]
        names = {s.name for s in answers[0].list_services_response.service}
        assert {"antiphon.v1.Conversation", "grpc.health.v1.Health"} <= names
        files = [FileDescriptorProto.FromString(f) for f in answers[1].file_descriptor_response.file_descriptor_proto]
        messages = {m.name for f in files for m in f.message_type}
        assert {"ConverseRequest", "SessionStart", "AudioOutput", "ReplyFinished"} <= messages


async def test_no_door_where_none_is_wanted() -> None:
    async with house(tts=0, asr=0, grpc_port=-1) as here:
        assert here.grpc == ""


def test_the_servicer_is_the_whole_service() -> None:
    methods = pb.DESCRIPTOR.services_by_name["Conversation"].methods
    assert [m.name for m in methods] == ["Converse"]
    assert callable(ConversationServicer.Converse)
