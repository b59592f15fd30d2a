"""What waits to be written: order, bounds, and what a clear takes away."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from orchestrator.messages import Audio
from orchestrator.outbox import AUDIO_BYTES, CONTROL_BYTES, CONTROL_MESSAGES, Outbox

pytestmark = pytest.mark.unit


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.box: Outbox[bytes] = Outbox()
        self.first: list[bytes] = []
        self.control: list[bytes] = []
        self.audio: list[Audio] = []
        self.count = 0

    @rule(size=st.integers(1, 5000), first=st.booleans())
    def put_control(self, size: int, first: bool) -> None:
        self.count += 1
        data = str(self.count).encode().ljust(size)
        assert self.box.put_control(data, len(data), first=first)
        (self.first if first else self.control).append(data)

    @rule()
    def drop_control(self) -> None:
        self.box.drop_control()
        self.first.clear()
        self.control.clear()

    @rule(turn=st.integers(0, 3), size=st.integers(1, 1000))
    def put_audio(self, turn: int, size: int) -> None:
        self.count += 1
        audio = Audio(turn, self.count, bytes(size * 2))
        assert self.box.put_audio(audio)
        self.audio.append(audio)

    @rule(turn=st.integers(0, 3))
    def drop(self, turn: int) -> None:
        self.box.drop_audio(turn)
        self.audio = [a for a in self.audio if a.turn != turn]

    @rule()
    def pop(self) -> None:
        item = self.box.pop()
        if self.first:
            assert item == self.first.pop(0)
        elif self.control:
            assert item == self.control.pop(0)
        elif self.audio:
            assert item == self.audio.pop(0)
        else:
            assert item is None

    @invariant()
    def counts(self) -> None:
        control = self.first + self.control
        assert len(self.box) == len(control) + len(self.audio)
        assert self.box.statistics().control == len(control)
        assert self.box.audio_bytes == sum(len(a.pcm) for a in self.audio)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=100, stateful_step_count=40)


@pytest.mark.parametrize("first", [False, True])
def test_control_is_bounded_in_messages_and_in_bytes(first: bool) -> None:
    box: Outbox[bytes] = Outbox()
    assert all(box.put_control(b"x", 1, first=n % 2 == 0) for n in range(CONTROL_MESSAGES))
    assert not box.put_control(b"x", 1, first=first)
    box.drop_control()
    assert box.put_control(bytes(CONTROL_BYTES), CONTROL_BYTES, first=first)
    assert not box.put_control(b"x", 1, first=not first)


def test_what_is_first_overtakes_other_control_and_keeps_its_own_order() -> None:
    box: Outbox[bytes] = Outbox()
    box.put_audio(Audio(1, 0, bytes(100)))
    for message, first in ((b"state", False), (b"hold", True), (b"reply", False), (b"clear", True)):
        box.put_control(message, len(message), first=first)
    assert [box.pop() for _ in range(4)] == [b"hold", b"clear", b"state", b"reply"]


def test_audio_is_bounded() -> None:
    box: Outbox[bytes] = Outbox()
    assert box.put_audio(Audio(1, 0, bytes(AUDIO_BYTES)))
    assert not box.put_audio(Audio(1, 0, b"xx"))
    box.drop_audio()
    assert box.put_audio(Audio(1, 0, b"xx"))


def test_statistics_tell_what_overtook() -> None:
    box: Outbox[bytes] = Outbox()
    box.put_audio(Audio(1, 0, bytes(100)))
    box.put_control(b"hold", 4)
    assert box.pop() == b"hold"
    assert box.statistics().overtaken == 1
    assert box.statistics().high_water_bytes == 104
