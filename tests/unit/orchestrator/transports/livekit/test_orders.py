"""What a client that holds is told of the sound that is on its way to it."""

from __future__ import annotations

from orchestrator import messages as m
from orchestrator.transports.livekit.line import Line
from orchestrator.transports.livekit.transport import LiveKitTransport
from tests.support.rooms import MemorySink
from tests.support.transports import RecordingSide

FRAME = bytes(1920)


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


async def test_who_does_not_hold_is_told_nothing() -> None:
    told = Told(obeyed=False)
    told.transport.play_nowait(1, 0, FRAME)
    told.transport.hold_nowait(1)
    told.transport.resume_nowait(1, 0)
    told.transport.clear_nowait(1)
    assert await told.orders() == []
