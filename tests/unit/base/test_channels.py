import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from base.channels import Channel, ChannelClosed, ChannelFull, Policy

pytestmark = pytest.mark.unit


class ChannelMachine(RuleBasedStateMachine):
    """A channel against a list, for the policies that never wait."""

    def __init__(self):
        super().__init__()
        self.policy = None
        self.model = []
        self.count = 0

    @precondition(lambda self: self.policy is None)
    @rule(policy=st.sampled_from(list(Policy)), capacity=st.integers(1, 4))
    def make(self, policy, capacity):
        self.policy, self.capacity = policy, capacity
        self.channel = Channel("c", capacity, policy)
        self.lost = self.refused = 0

    @precondition(lambda self: self.policy is not None)
    @rule()
    def put(self):
        self.count += 1
        full = len(self.model) == self.capacity
        if full and self.policy is not Policy.DROP_OLDEST:
            with pytest.raises(ChannelFull, match="is full"):
                self.channel.put_nowait(self.count)
            self.refused += 1
            return
        dropped = self.channel.put_nowait(self.count)
        assert dropped == (self.model.pop(0) if full else None)
        self.lost += full
        self.model.append(self.count)

    @precondition(lambda self: self.policy is not None)
    @rule()
    def get(self):
        assert self.channel.get_nowait() == (self.model.pop(0) if self.model else None)

    @precondition(lambda self: self.policy is not None)
    @rule()
    def clear(self):
        assert self.channel.clear() == len(self.model)
        self.model = []

    @invariant()
    def statistics_are_true(self):
        if self.policy is not None:
            s = self.channel.statistics()
            assert (s.length, s.dropped, s.rejected) == (len(self.model), self.lost, self.refused)
            assert s.high_water <= s.capacity == self.capacity


TestChannel = ChannelMachine.TestCase


async def turns(n=5):
    for _ in range(n):
        await asyncio.sleep(0)


async def test_put_waits_for_a_place_and_get_for_an_item():
    channel = Channel("c", 1)
    await channel.put(1)
    putting = asyncio.ensure_future(channel.put(2))
    await turns()
    assert not putting.done()
    assert await channel.get() == 1
    await putting
    assert await channel.get() == 2
    getting = asyncio.ensure_future(channel.get())
    await turns()
    assert not getting.done()
    channel.put_nowait(3)
    assert await getting == 3


async def test_a_cancelled_waiter_passes_its_turn_on():
    channel = Channel("c", 1)
    first, second = (asyncio.ensure_future(channel.get()) for _ in range(2))
    await turns()
    channel.put_nowait(1)
    first.cancel()
    await turns()
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_after_close_what_is_there_is_taken_and_then_everyone_is_told():
    channel = Channel("c", 2)
    channel.put_nowait(1)
    channel.put_nowait(2)
    putting = asyncio.ensure_future(channel.put(3))
    await turns()
    channel.close()
    with pytest.raises(ChannelClosed):
        await putting
    assert [await channel.get(), await channel.get()] == [1, 2]
    with pytest.raises(ChannelClosed):
        await channel.get()
    with pytest.raises(ChannelClosed):
        channel.put_nowait(4)


def test_a_channel_needs_a_place():
    with pytest.raises(ValueError, match="at least 1"):
        Channel("c", 0)
