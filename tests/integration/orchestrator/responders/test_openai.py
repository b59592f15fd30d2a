import asyncio
import json
from contextlib import aclosing

import pytest

from orchestrator import brain_errors as errors
from orchestrator.conversation.commands import Cause
from orchestrator.conversation.history import Item, Role
from orchestrator.ports import Context, Done, Text, ToolCall
from orchestrator.responders.openai import OpenAIResponder, discover
from tests.support.openai_server import DONE, event, openai_server

pytestmark = pytest.mark.integration

HISTORY = (Item(Role.USER, "Hello?"),)


class Progress:
    def __init__(self):
        self.loading = asyncio.Event()

    false_alarms = 0

    async def wait_heard(self):
        return

    def loading_nowait(self):
        self.loading.set()


def context(cause=Cause.USER, **more):
    return Context(session="s", turn=1, cause=cause, progress=Progress(), **more)


async def ask(server, *, ctx=None, **options):
    brain = OpenAIResponder(url=server.url, model="m", **options)
    try:
        return [delta async for delta in brain.reply(HISTORY, ctx or context())]
    finally:
        await brain.close()


async def test_text_comes_in_order_and_ends_with_done():
    usage = b'data: {"choices": [], "usage": {"total_tokens": 7}}\n\n'
    end = b'data: {"choices": [{"delta": {}, "finish_reason": "length"}]}\n\n'
    async with openai_server(
        event("", role="assistant"), event("Good "), event("morning."), end, usage, DONE
    ) as server:
        assert await ask(server, key="k") == [Text("Good "), Text("morning."), Done("length", {"total_tokens": 7})]
    assert server.requests[0]["stream"] is True
    assert server.requests[0]["model"] == "m"
    assert server.requests[0]["messages"][-1] == {"role": "user", "content": "Hello?"}
    assert server.headers[0]["Authorization"] == "Bearer k"


async def test_bytes_may_be_split_anywhere():
    data = b": hi\r\n" + event("schön").replace(b"\n", b"\r\n") + event("<thi") + event("nk>x</think>!") + DONE
    pieces = [x for i in range(len(data)) for x in (data[i : i + 1], 0.0)]
    async with openai_server(*pieces) as server:
        said = await ask(server)
    assert "".join(d.text for d in said if isinstance(d, Text)) == "schön!"


async def test_instructions_replace_the_default_prompt_and_a_greeting_is_asked_for():
    async with openai_server(event("Hi."), DONE) as server:
        await ask(server, ctx=context(Cause.GREETING, instructions="You are a pirate."))
    sent = server.requests[0]["messages"]
    assert sent[0] == {"role": "system", "content": "You are a pirate."}
    assert "Greet" in sent[-1]["content"]


async def test_tool_calls_are_handed_on():
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    async with openai_server(event(tool_calls=[call]), DONE) as server:
        assert await ask(server) == [ToolCall("c", "f", "{}"), Done("stop", {})]


async def test_closing_the_iterator_closes_the_request():
    async with openai_server(event("One."), asyncio.Event()) as server:
        brain = OpenAIResponder(url=server.url, model="m")
        async with aclosing(brain.reply(HISTORY, context())) as deltas:
            assert await anext(deltas) == Text("One.")
        async with asyncio.timeout(10):
            await server.closed.wait()
        await brain.close()


async def test_a_model_that_says_nothing_for_long_is_said_to_be_loading():
    gate = asyncio.Event()
    ctx = context()
    async with openai_server(gate, event("Ready."), DONE) as server:
        asked = asyncio.ensure_future(ask(server, ctx=ctx, loading_s=0.01))
        async with asyncio.timeout(10):
            await ctx.progress.loading.wait()
        gate.set()
        assert Text("Ready.") in await asked


async def test_a_model_that_reasons_is_not_loading():
    gate = asyncio.Event()
    ctx = context()
    async with openai_server(event(reasoning="hm"), gate, event("Yes."), DONE) as server:
        brain = OpenAIResponder(url=server.url, model="m", loading_s=0.3)
        async with aclosing(brain.reply(HISTORY, ctx)) as deltas:
            first = asyncio.ensure_future(anext(deltas))
            await asyncio.wait({first}, timeout=0.6)
            assert not ctx.progress.loading.is_set()
            gate.set()
            assert await first == Text("Yes.")
        await brain.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.ModelRejected),
        (401, errors.ModelRefused),
        (404, errors.ModelMissing),
        (429, errors.ModelBusy),
        (500, errors.ModelUnreachable),
        (503, errors.ModelBusy),
    ],
)
async def test_each_status_has_its_error_with_the_servers_words(status, kind):
    async with openai_server() as server:
        server.status, server.error = status, json.dumps({"error": {"message": "because of reasons"}})
        with pytest.raises(kind, match=f"{status}.*because of reasons") as caught:
            await ask(server)
    assert caught.value.spoken.endswith(".")


async def test_an_error_body_that_is_no_json_is_shown():
    async with openai_server() as server:
        server.status, server.error = 500, "<h1>oops</h1>"
        with pytest.raises(errors.ModelUnreachable, match="oops"):
            await ask(server)


@pytest.mark.parametrize("garbage", [b"data: nope\n\n", b"data: " + b"x" * (1 << 21)])
async def test_garbage_is_told_from_silence(garbage):
    async with openai_server(garbage, DONE) as server:
        with pytest.raises(errors.ModelGarbled):
            await ask(server)


async def test_an_error_in_the_stream_is_an_error():
    async with openai_server(event("Well, "), b'data: {"error": {"message": "CUDA out of memory"}}\n\n') as server:
        with pytest.raises(errors.ModelGarbled, match="CUDA out of memory"):
            await ask(server)


async def test_a_stream_that_breaks_off_is_an_error():
    async with openai_server(event("Well, "), None) as server:
        with pytest.raises(errors.ModelUnreachable):
            await ask(server)


async def test_silence_has_a_bound():
    async with openai_server(event("Well, "), asyncio.Event()) as server:
        with pytest.raises(errors.ModelSlow, match="silent"):
            await ask(server, timeout_s=0.2)


async def test_no_word_at_all_is_an_error():
    async with openai_server(event("<think>hm</think>"), DONE) as server:
        with pytest.raises(errors.ModelSilent):
            await ask(server)


async def test_nothing_listens_there():
    brain = OpenAIResponder(url="http://127.0.0.1:9/v1", model="m")
    with pytest.raises(errors.ModelUnreachable, match=r"127\.0\.0\.1:9"):
        await brain.warm()
    await brain.close()


async def test_what_runs_on_this_machine_is_found():
    async with openai_server() as server:
        base = server.url.removesuffix("/v1")
        found = await discover(ollama=base, llama_cpp=base)
        assert [(e.kind, e.models) for e in found] == [("ollama", ("llama3.2", "qwen3")), ("llama.cpp", ("gguf",))]
        assert await discover(ollama="http://127.0.0.1:9", llama_cpp="http://127.0.0.1:9") == []
