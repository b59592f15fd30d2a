"""A user in a room who holds: what is on its way is not heard, and is not lost."""

from __future__ import annotations

import msgspec
import numpy as np

from benchmarks.rooms.guest import Guest
from benchmarks.websocket import TEXT
from orchestrator import messages as m

BLOCK = 480
SILENCE = bytes(2 * BLOCK)


def sound(number: int) -> bytes:
    return np.full(BLOCK, 1000 + number, "<i2").tobytes()


class Hearing:
    def __init__(self) -> None:
        self.now = 0.0
        self.guest = Guest(m.SessionStart(hold=True), clock=lambda: self.now)
        self.guest.listening = True

    def told(self, message: m.ServerMessage) -> None:
        self.guest._take(TEXT, msgspec.json.encode(message))

    def hears(self, *blocks: bytes) -> list[bytes]:
        """What the loudspeaker takes of them."""
        before = len(self.guest.log.blocks)
        for block in blocks:
            self.now += 0.01
            self.guest.heard(block, self.now)
        return [each.pcm for each in self.guest.log.blocks[before:]]


def test_what_came_during_a_hold_is_heard_before_what_comes_after_it() -> None:
    hearing = Hearing()
    assert hearing.hears(sound(0)) == [sound(0)]
    hearing.told(m.Hold(turn=1))
    assert hearing.hears(sound(1), sound(2), SILENCE, SILENCE) == [SILENCE] * 4
    hearing.told(m.Resume(turn=1, sample=0))
    assert hearing.hears(SILENCE, sound(3), sound(4), SILENCE, sound(5)) == [
        sound(1),
        sound(2),
        sound(3),
        sound(4),
        sound(5),
    ]


def test_of_a_reply_that_is_cleared_nothing_more_is_heard_and_the_next_is() -> None:
    hearing = Hearing()
    hearing.told(m.Hold(turn=1))
    assert hearing.hears(sound(1)) == [SILENCE]
    hearing.told(m.Clear(turn=1))
    assert hearing.hears(sound(2), SILENCE, SILENCE, sound(3)) == [SILENCE, SILENCE, SILENCE, sound(3)]
