"""What every transport does, whatever is under it: the fake, a client that holds, one that cannot, one that is mute."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest

from orchestrator.messages import (
    AudioInput,
    Interrupt,
    Notice,
    SessionStart,
    SessionStarted,
    TextInput,
    parse_client,
    server_decoder,
)
from orchestrator.ports import Transport
from orchestrator.transports.livekit.line import Line
from orchestrator.transports.livekit.playout import Playout
from orchestrator.transports.livekit.transport import LiveKitTransport
from orchestrator.transports.memory import Listener, MemoryTransport
from tests.support.grpc_client import CallClient, call_of, grpc_serving
from tests.support.livekit import livekit_server
from tests.support.rooms import MemorySink, SinkIncoming, agent_in, room_client
from tests.support.transports import RecordingHub, RecordingSide, SocketClient, client_of, serving, until

pytestmark = pytest.mark.contract

FRAME = 960
VOICE = np.random.default_rng(7).integers(-9000, 9000, FRAME * 100, dtype=np.int16).astype("<i2").tobytes()


@dataclass
class Rig:
    """A transport with its listener; the same verbs for all."""

    transport: Transport
    listener: Listener
    side: RecordingSide
    reports: bool
    say: Callable[[object], object]
    leave: Callable[[], object]
    messages: Callable[[], list[object]]
    closed: Callable[[], tuple[int, str] | None]

    def play(self, turn: int, first: int, frames: int) -> None:
        for n in range(first, first + frames):
            at = n * FRAME
            self.transport.play_nowait(turn, at, VOICE[at * 2 : (at + FRAME) * 2])

    async def arrived(self, samples: int) -> None:
        await until(lambda: self.listener.queued == samples, "audio did not arrive")

    async def reported(self, turn: int, samples: int) -> None:
        if self.reports:
            await until(lambda: (turn, samples) in self.side.played, f"played {turn}, {samples}")

    async def silent(self) -> None:
        """Holding: nothing more is heard, however much time passes."""
        await until(lambda: self.listener.held or not self.listener.queued)
        assert self.listener.advance(FRAME * 5) == b""


async def told(rig: Rig, message: object) -> None:
    done = rig.say(message)
    if asyncio.iscoroutine(done):
        await done


def memory_rig(holds: bool, reports: bool) -> Rig:
    transport, side = MemoryTransport(holds=holds, acknowledges=reports), RecordingSide()
    transport.attach(side)
    return Rig(
        transport,
        transport.listener,
        side,
        reports,
        transport.say,
        transport.leave,
        lambda: list(transport.messages),
        lambda: transport.closed,
    )


def socket_rig(client: SocketClient, transport: Transport, side: RecordingSide, reports: bool) -> Rig:
    def closed() -> tuple[int, str] | None:
        return (client.ws.close_code, "") if client.ws.close_code is not None else None

    return Rig(
        transport,
        client.listener,
        side,
        reports,
        client.send,
        client.ws.close,
        lambda: list(client.messages),
        closed,
    )


def call_rig(client: CallClient, transport: Transport, side: RecordingSide, reports: bool) -> Rig:
    return Rig(
        transport,
        client.listener,
        side,
        reports,
        client.send,
        client.leave,
        lambda: list(client.messages),
        client.close_code,
    )


@asynccontextmanager
async def sink_rig() -> AsyncIterator[Rig]:
    """LiveKit's transport, with a sink in memory under it and a line that ends here."""
    side, sink = RecordingSide(), MemorySink()
    messages: list[object] = []

    async def publish(data: bytes) -> None:
        messages.append(server_decoder.decode(data))

    line = Line(publish, speaks=True)
    # All is in the sink that may be: what is gathered, and when, is test_playout's matter.
    transport = LiveKitTransport(line, sink, playout=Playout(sink.rate, low_s=9.0, queue_s=9.0))
    transport.attach(side)
    sink.moved = transport.changed_nowait
    incoming = SinkIncoming(line, transport, side)
    tasks = [asyncio.create_task(transport.speak()), asyncio.create_task(line.write())]
    tasks[1].add_done_callback(lambda _: incoming.lost_nowait())

    def say(message: object) -> None:
        data = msgspec.json.encode(message)
        incoming.take(len(data), parse_client, data)

    def closed() -> tuple[int, str] | None:
        return line.closing if tasks[1].done() else None

    try:
        yield Rig(transport, sink.listener, side, True, say, incoming.lost_nowait, lambda: messages, closed)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def room_rig() -> AsyncIterator[Rig]:
    """A real room: what is heard there passes by itself, and is for the tests of real rooms to look at."""
    hub = RecordingHub()
    async with (
        livekit_server() as server,
        room_client(server, "contract") as client,
        agent_in(server, "contract", hub),
    ):
        await until(lambda: client.agent() is not None)
        await client.send(SessionStart(greeting=False))
        await until(lambda: bool(client.got(SessionStarted)))
        _start, transport, _peer, side = hub.opened[0]
        nobody = Listener(transport.output_rate, holds=False, report=lambda _turn, _samples: None)
        leave = client.room.disconnect
        yield Rig(transport, nobody, side, True, client.send, leave, lambda: client.messages, lambda: client.closed)


KINDS = {
    "memory": (True, True),
    "memory-copy": (False, True),
    "memory-mute": (False, False),
    "websocket": (True, True),
    "websocket-copy": (False, True),
    "websocket-mute": (False, False),
    "grpc": (True, True),
    "grpc-copy": (False, True),
    "grpc-mute": (False, False),
    "livekit-sink": (False, True),
}
ROOM = "livekit"


@pytest.fixture(params=list(KINDS))
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == ROOM:
        async with room_rig() as made:
            yield made
        return
    if request.param == "livekit-sink":
        async with sink_rig() as made:
            yield made
        return
    holds, reports = KINDS[request.param]
    if request.param.startswith("memory"):
        yield memory_rig(holds, reports)
        return
    hub = RecordingHub()
    if request.param.startswith("grpc"):
        async with grpc_serving(hub) as address, call_of(address, holds=holds, acknowledges=reports) as caller:
            _start, transport, _peer, side = hub.opened[0]
            yield call_rig(caller, transport, side, reports)
        return
    async with (
        serving(hub) as server,
        client_of(server, holds=holds, acknowledges=reports) as client,
    ):
        _start, transport, _peer, side = hub.opened[0]
        yield socket_rig(client, transport, side, reports)


in_a_room_too = pytest.mark.parametrize("rig", [*KINDS, ROOM], indirect=True)


def expected(samples: int) -> bytes:
    return VOICE[: samples * 2]


async def test_plays_what_it_was_given_and_tells_how_much_was_heard(rig: Rig) -> None:
    rig.play(1, 0, 10)
    await rig.arrived(10 * FRAME)
    rig.listener.advance(10 * FRAME)
    assert bytes(rig.listener.heard[1]) == expected(10 * FRAME)
    assert not rig.listener.jumps
    await rig.reported(1, 10 * FRAME)


@pytest.mark.parametrize("held_at", [0, 1, 480, FRAME, 4711])
async def test_a_hold_is_silent_and_a_resume_goes_on_at_the_very_sample(rig: Rig, held_at: int) -> None:
    rig.play(1, 0, 8)
    await rig.arrived(8 * FRAME)
    rig.listener.advance(held_at)
    rig.transport.hold_nowait(1)
    await rig.silent()
    await rig.reported(1, held_at)
    rig.transport.resume_nowait(1, held_at)
    await rig.arrived(8 * FRAME - held_at)
    await until(lambda: not rig.listener.held)
    rig.play(1, 8, 4)
    await rig.arrived(12 * FRAME - held_at)
    rig.listener.advance(20 * FRAME)
    assert bytes(rig.listener.heard[1]) == expected(12 * FRAME)
    assert not rig.listener.jumps


async def test_what_is_played_into_a_hold_is_heard_after_it(rig: Rig) -> None:
    rig.play(1, 0, 3)
    await rig.arrived(3 * FRAME)
    rig.listener.advance(FRAME)
    rig.transport.hold_nowait(1)
    await rig.silent()
    rig.play(1, 3, 3)
    assert rig.listener.advance(FRAME) == b""
    rig.transport.resume_nowait(1, FRAME)
    await rig.arrived(5 * FRAME)
    await until(lambda: not rig.listener.held)
    rig.listener.advance(9 * FRAME)
    assert bytes(rig.listener.heard[1]) == expected(6 * FRAME)
    assert not rig.listener.jumps


async def test_many_false_alarms_lose_and_repeat_nothing(rig: Rig) -> None:
    rig.play(1, 0, 12)
    await rig.arrived(12 * FRAME)
    for alarm in range(6):
        rig.listener.advance(1000)
        heard = (alarm + 1) * 1000
        rig.transport.hold_nowait(1)
        await rig.silent()
        rig.transport.resume_nowait(1, heard)
        await rig.arrived(12 * FRAME - heard)
        await until(lambda: not rig.listener.held)
    rig.listener.advance(12 * FRAME)
    assert bytes(rig.listener.heard[1]) == expected(12 * FRAME)
    assert not rig.listener.jumps


async def test_a_hold_does_not_concern_a_later_turn(rig: Rig) -> None:
    rig.play(1, 0, 2)
    await rig.arrived(2 * FRAME)
    rig.listener.advance(FRAME)
    rig.transport.hold_nowait(1)
    await rig.silent()
    rig.play(2, 0, 4)
    assert rig.transport.room() > 0
    await rig.arrived(4 * FRAME)
    rig.listener.advance(10 * FRAME)
    assert bytes(rig.listener.heard[1]) == expected(FRAME)
    assert bytes(rig.listener.heard[2]) == expected(4 * FRAME)


@pytest.mark.parametrize("held_first", [False, True])
async def test_clear_drops_the_rest_of_the_turn_and_the_next_one_is_heard_whole(rig: Rig, held_first: bool) -> None:
    rig.play(1, 0, 8)
    await rig.arrived(8 * FRAME)
    rig.listener.advance(1500)
    if held_first:
        rig.transport.hold_nowait(1)
        await rig.silent()
    rig.transport.clear_nowait(1)
    await rig.arrived(0)
    await rig.reported(1, 1500)
    rig.transport.resume_nowait(1, 1500)
    rig.play(2, 0, 4)
    await rig.arrived(4 * FRAME)
    await until(lambda: not rig.listener.held)
    rig.listener.advance(10 * FRAME)
    assert bytes(rig.listener.heard[1]) == expected(1500)
    assert bytes(rig.listener.heard[2]) == expected(4 * FRAME)


async def test_hold_before_any_sound_and_resume_without_hold_do_no_harm(rig: Rig) -> None:
    rig.transport.hold_nowait(1)
    rig.transport.hold_nowait(1)
    rig.transport.resume_nowait(1, 0)
    rig.transport.resume_nowait(1, 0)
    rig.play(1, 0, 2)
    await rig.arrived(2 * FRAME)
    await until(lambda: not rig.listener.held)
    rig.listener.advance(2 * FRAME)
    assert bytes(rig.listener.heard[1]) == expected(2 * FRAME)


@in_a_room_too
async def test_room_is_at_most_300_ms_and_what_cannot_be_overtaken_counts(rig: Rig) -> None:
    assert 0 < rig.transport.room() <= 14_400
    rig.transport.hold_nowait(1)
    if not rig.transport.holds:
        assert rig.transport.room() == 0
    rig.transport.resume_nowait(1, 0)
    await until(lambda: rig.transport.room() > 13_000)


@in_a_room_too
async def test_messages_reach_the_session_and_the_client(rig: Rig) -> None:
    await told(rig, TextInput(text="hello"))
    await told(rig, Interrupt())
    rig.transport.send_nowait(Notice(code="steady_noise", message="There is steady noise."))
    await until(lambda: len(rig.side.messages) == 2)
    assert rig.side.messages == [TextInput(text="hello"), Interrupt()]
    await until(lambda: any(isinstance(m, Notice) for m in rig.messages()))


@pytest.mark.parametrize("rig", [kind for kind in KINDS if kind != "livekit-sink"], indirect=True)
async def test_audio_reaches_the_session_in_frames_of_16_khz(rig: Rig) -> None:
    """Over LiveKit it is a track: see tests/integration/orchestrator/transports/test_livekit.py."""
    await told(rig, AudioInput(data=base64.b64encode(VOICE[:640]).decode(), sample=320))
    await until(lambda: len(rig.side.audio) == 1)
    sample, pcm = rig.side.audio[0]
    assert (sample, pcm) == (320, VOICE[:640])


@in_a_room_too
async def test_a_client_that_leaves_is_lost_once(rig: Rig) -> None:
    done = rig.leave()
    if asyncio.iscoroutine(done):
        await done
    await until(lambda: rig.side.lost == [rig.transport])
    rig.transport.play_nowait(1, 0, VOICE[:1920])
    rig.transport.send_nowait(Notice(code="late", message="nobody reads this"))
    rig.transport.close_nowait(1000, "over")
    await asyncio.sleep(0)
    assert rig.side.lost == [rig.transport]


@in_a_room_too
async def test_close_says_its_last_words_and_why(rig: Rig) -> None:
    rig.transport.send_nowait(Notice(code="bye", message="Until next time."))
    rig.transport.close_nowait(1001, "the server stops")
    await until(lambda: rig.closed() is not None)
    assert (rig.closed() or (0, ""))[0] == 1001
    await until(lambda: any(isinstance(m, Notice) and m.code == "bye" for m in rig.messages()), "the last words")
    await until(lambda: rig.side.lost == [rig.transport])
