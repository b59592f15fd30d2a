import asyncio

import pytest

from orchestrator.conversation.events import Asked, FinalHeard, Interrupted, PartialHeard, Said, TransportLost
from orchestrator.inbox import Inbox

pytestmark = pytest.mark.unit


async def get(inbox: Inbox):
    return await inbox.get(None, lambda: 0.0)


async def test_events_come_in_order():
    inbox = Inbox(4)
    inbox.post_nowait(Asked("a"))
    inbox.post_nowait(Interrupted())
    assert [await get(inbox), await get(inbox)] == [Asked("a"), Interrupted()]


async def test_a_newer_partial_takes_the_place_of_a_waiting_one_of_its_utterance():
    inbox = Inbox(4)
    inbox.post_nowait(PartialHeard(1, "one"))
    inbox.post_nowait(PartialHeard(2, "other"))
    inbox.post_nowait(Interrupted())
    inbox.post_nowait(PartialHeard(1, "one two"))
    assert [await get(inbox) for _ in range(3)] == [PartialHeard(1, "one two"), PartialHeard(2, "other"), Interrupted()]
    assert len(inbox) == 0


async def test_text_is_refused_when_full_and_everything_else_still_fits():
    inbox = Inbox(2)
    assert inbox.post_nowait(Asked("a"))
    assert inbox.post_nowait(Said("b"))
    assert not inbox.post_nowait(Asked("c"))
    assert not inbox.post_nowait(Said("d"))
    for event in (Interrupted(), TransportLost(), FinalHeard(1, "x")):
        assert inbox.post_nowait(event)
    assert inbox.refused == 2
    assert [await get(inbox) for _ in range(5)] == [
        Asked("a"),
        Said("b"),
        Interrupted(),
        TransportLost(),
        FinalHeard(1, "x"),
    ]


async def test_a_deadline_in_the_past_comes_before_what_waits():
    inbox = Inbox(2)
    inbox.post_nowait(Interrupted())
    assert await inbox.get(1.0, lambda: 2.0) is None
    assert await inbox.get(3.0, lambda: 2.0) == Interrupted()


async def test_waiting_ends_with_the_deadline_or_the_event():
    inbox = Inbox(2)
    clock = asyncio.get_running_loop().time
    assert await inbox.get(clock() + 0.01, clock) is None
    waiting = asyncio.ensure_future(inbox.get(clock() + 60, clock))
    await asyncio.sleep(0)
    inbox.post_nowait(Interrupted())
    assert await waiting == Interrupted()
