"""What every responder keeps to, the fakes and the real ones alike."""

import asyncio
from contextlib import aclosing, asynccontextmanager
from datetime import datetime

import pytest

from orchestrator.conversation.commands import Cause, Interruption
from orchestrator.conversation.history import Item, Role
from orchestrator.ports import Adjust, Context, Done, Text, ToolCall, ToolResult
from orchestrator.responders.client import ClientResponder
from orchestrator.responders.echo import EchoResponder
from orchestrator.responders.eliza import ElizaResponder
from orchestrator.responders.openai import OpenAIResponder
from orchestrator.responders.tour import TourResponder
from tests.support.openai_server import DONE, event, openai_server
from tests.support.responders import StillProgress

pytestmark = pytest.mark.contract


@asynccontextmanager
async def openai():
    async with openai_server(event("Hello "), event("there."), DONE) as server:
        yield OpenAIResponder(url=server.url, model="m")


@asynccontextmanager
async def client():
    brain = ClientResponder()
    brain.named_nowait(1)
    brain.delta_nowait(1, "Hello.")
    brain.end_nowait(1)
    yield brain


def simple(make):
    @asynccontextmanager
    async def made():
        yield make()

    return made


RESPONDERS = {
    "tour": simple(lambda: TourResponder(now=lambda: datetime(2026, 11, 21, 15, 4))),
    "eliza": simple(ElizaResponder),
    "echo": simple(EchoResponder),
    "openai": openai,
    "client": client,
}


@pytest.fixture(params=RESPONDERS)
async def brain(request):
    async with RESPONDERS[request.param]() as made:
        await made.warm()
        yield made
        await made.close()


def context(cause=Cause.USER, turn=1, **more):
    return Context(session="s", turn=turn, cause=cause, progress=StillProgress(), voices=("a", "b"), **more)


def user(*texts):
    return tuple(Item(Role.USER, text) for text in texts)


def keeps_the_form(deltas):
    assert all(isinstance(d, Text | ToolCall | ToolResult | Adjust | Done) for d in deltas)
    assert [i for i, d in enumerate(deltas) if isinstance(d, Done)] == [len(deltas) - 1]


@pytest.mark.parametrize(
    "history",
    [
        (),
        user(""),
        user("hello"),
        user("what time is it", "schön \U0001f600 \u4f60\u597d \u202etxet"),
        user("x" * 20_000),
    ],
    ids=["empty", "silence", "plain", "unicode", "long"],
)
async def test_a_reply_is_deltas_and_one_done_at_its_end(brain, history):
    async with asyncio.timeout(20):
        keeps_the_form([d async for d in brain.reply(history, context())])


async def test_a_greeting_keeps_the_form(brain):
    async with asyncio.timeout(20):
        keeps_the_form([d async for d in brain.reply((), context(Cause.GREETING))])


async def test_a_reply_after_an_interruption_keeps_the_form(brain):
    history = (Item(Role.ASSISTANT, "One, two,", turn=1, cut=True), Item(Role.USER, "wait"))
    told = context(interruption=Interruption(1, "One, two,", " three, four."))
    async with asyncio.timeout(20):
        keeps_the_form([d async for d in brain.reply(history, told)])


async def test_a_reply_may_be_closed_after_its_first_delta(brain):
    async with asyncio.timeout(20), aclosing(brain.reply(user("hello"), context())) as deltas:
        await anext(deltas)


async def test_a_reply_may_be_cancelled_at_any_await(brain):
    for steps in range(12):
        task = asyncio.ensure_future(_drain(brain, steps))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(task, return_exceptions=True)


async def _drain(brain, turn):
    async with aclosing(brain.reply(user("hello"), context(turn=turn))) as deltas:
        async for _ in deltas:
            pass
