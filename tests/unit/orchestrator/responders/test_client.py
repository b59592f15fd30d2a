import pytest

from base.channels import ChannelFull
from orchestrator.brain_errors import ModelSlow
from orchestrator.conversation.commands import Cause
from orchestrator.ports import Context, Done, Text
from orchestrator.responders.client import WAITING_DELTAS, ClientResponder
from tests.support.responders import StillProgress

pytestmark = pytest.mark.unit


def context(turn, cause=Cause.USER):
    return Context(session="s", turn=turn, cause=cause, progress=StillProgress())


async def collect(brain, turn, cause=Cause.USER):
    return [delta async for delta in brain.reply((), context(turn, cause))]


async def test_deltas_of_the_turn_are_the_reply_even_when_they_come_first():
    brain = ClientResponder()
    brain.named_nowait(3)
    brain.delta_nowait(3, "Guten ", "de")
    brain.delta_nowait(3, "Tag.")
    brain.end_nowait(3)
    assert await collect(brain, 3) == [Text("Guten ", "de"), Text("Tag."), Done()]


async def test_deltas_of_an_old_turn_are_ignored_and_counted():
    brain = ClientResponder()
    brain.named_nowait(3)
    brain.delta_nowait(2, "old")
    brain.delta_nowait(3, "new")
    brain.delta_nowait(2, "late")
    brain.end_nowait(2)
    brain.end_nowait(3)
    brain.delta_nowait(3, "after its end")
    assert await collect(brain, 3) == [Text("new"), Done()]
    assert brain.ignored == 3


async def test_deltas_of_a_turn_that_was_not_named_yet_are_ignored_and_silence_nobody():
    brain = ClientResponder()
    brain.named_nowait(1)
    for turn in (2, 2**32 - 1):
        brain.delta_nowait(turn, "nobody asked")
        brain.end_nowait(turn)
    brain.delta_nowait(1, "asked")
    brain.end_nowait(1)
    assert await collect(brain, 1) == [Text("asked"), Done()]
    brain.named_nowait(2)
    brain.delta_nowait(2, "asked again")
    brain.end_nowait(2)
    assert await collect(brain, 2) == [Text("asked again"), Done()]
    assert brain.ignored == 4


async def test_there_is_no_greeting_of_its_own():
    assert await collect(ClientResponder(), 1, Cause.GREETING) == [Done()]


async def test_a_client_that_says_nothing_is_an_error_with_a_bound():
    with pytest.raises(ModelSlow, match="turn 4"):
        await collect(ClientResponder(timeout_s=0.01), 4)


def test_a_flood_is_refused():
    brain = ClientResponder()
    brain.named_nowait(1)
    for _ in range(WAITING_DELTAS):
        brain.delta_nowait(1, "x")
    with pytest.raises(ChannelFull):
        brain.delta_nowait(1, "x")
