"""What a client that holds is told of the sound that is on its way to it."""

from __future__ import annotations

from orchestrator import messages as m
from orchestrator.transports.livekit.line import Line
from orchestrator.transports.livekit.transport import LiveKitTransport
from tests.support.rooms import MemorySink
from tests.support.transports import RecordingSide

FRAME = bytes(1920)
STARTED = m.SessionStarted(
    session="s",
    protocol=1,
    resume="r",
    resumed=True,
    input_rate=48_000,
    output_rate=48_000,
    voice="en",
    language="en",
    hears=["en"],
    speaks=["en"],
    can_hear=True,
    responder="echo",
    grace_s=30.0,
    next_input_sample=0,
)


class Told:
    """A transport, and the orders that its client was sent."""

    def __init__(self, *, obeyed: bool) -> None:
        self.line = Line(self._publish, speaks=True)
        self.transport = LiveKitTransport(self.line, MemorySink(), obeyed=obeyed)
        self.transport.attach(RecordingSide())

    async def _publish(self, data: bytes) -> None:
        raise AssertionError("nobody writes here")

    async def orders(self) -> list[m.ServerMessage]:
        self.line.close_nowait(1000, "")
        found = []
        while isinstance(item := await self.line.next(), bytes):
            found.append(m.server_decoder.decode(item))
        return found


async def test_a_client_that_holds_is_told_before_its_sound_ends() -> None:
    told = Told(obeyed=True)
    told.transport.play_nowait(1, 0, FRAME)
    told.transport.hold_nowait(1)
    told.transport.resume_nowait(1, 0)
    told.transport.hold_nowait(1)
    told.transport.clear_nowait(1)
    assert await told.orders() == [
        m.Hold(turn=1),
        m.Resume(turn=1, sample=0),
        m.Hold(turn=1),
        m.Clear(turn=1),
    ]


async def test_the_next_turn_frees_a_client_that_holds() -> None:
    told = Told(obeyed=True)
    told.transport.play_nowait(1, 0, FRAME)
    told.transport.hold_nowait(1)
    told.transport.play_nowait(1, 960, FRAME)
    told.transport.play_nowait(2, 0, FRAME)
    told.transport.play_nowait(2, 960, FRAME)
    assert await told.orders() == [m.Hold(turn=1), m.Clear(turn=1)]


async def test_what_sets_out_ahead_is_kept_silent_until_it_is_to_sound() -> None:
    told = Told(obeyed=True)
    ahead = told.transport.ahead
    assert ahead is not None
    assert ahead.way_s > 0
    ahead.silent_nowait(2)
    told.transport.play_nowait(2, 0, FRAME)
    told.transport.play_nowait(2, 960, FRAME)
    ahead.aloud_nowait(2)
    told.transport.play_nowait(2, 1920, FRAME)
    assert await told.orders() == [m.Hold(turn=2), m.Resume(turn=2, sample=0)]


async def test_one_that_never_was_is_cleared_and_the_next_is_kept_silent_in_its_turn() -> None:
    told = Told(obeyed=True)
    ahead = told.transport.ahead
    assert ahead is not None
    ahead.silent_nowait(2)
    told.transport.play_nowait(2, 0, FRAME)
    told.transport.clear_nowait(2)
    ahead.silent_nowait(3)
    told.transport.play_nowait(3, 0, FRAME)
    ahead.silent_nowait(4)  # nobody cleared it
    assert await told.orders() == [m.Hold(turn=2), m.Clear(turn=2), m.Hold(turn=3), m.Clear(turn=3), m.Hold(turn=4)]


async def test_where_the_client_does_not_hold_nothing_sets_out_ahead() -> None:
    assert Told(obeyed=False).transport.ahead is None


async def test_a_transport_that_is_over_gives_no_orders() -> None:
    told = Told(obeyed=True)
    ahead = told.transport.ahead
    assert ahead is not None
    told.transport.lost_nowait()
    ahead.silent_nowait(2)
    ahead.aloud_nowait(2)
    assert await told.orders() == []


async def test_orders_wait_for_no_message_but_the_one_that_a_session_begins_with() -> None:
    told = Told(obeyed=True)
    told.transport.send_nowait(m.Notice(code="models", message="there are some"))
    told.transport.send_nowait(STARTED)
    told.transport.send_nowait(m.State(state="speaking"))
    told.transport.hold_nowait(1)
    told.transport.clear_nowait(1)
    orders = await told.orders()
    assert [type(order) for order in orders] == [m.SessionStarted, m.Hold, m.Clear, m.Notice, m.State]


async def test_who_does_not_hold_is_told_nothing() -> None:
    told = Told(obeyed=False)
    told.transport.play_nowait(1, 0, FRAME)
    told.transport.hold_nowait(1)
    told.transport.resume_nowait(1, 0)
    told.transport.clear_nowait(1)
    assert await told.orders() == []
