import asyncio
import json
from contextlib import aclosing, asynccontextmanager

import pytest

from orchestrator import brain_errors as errors
from orchestrator.conversation.commands import Cause
from orchestrator.conversation.history import Item, Role
from orchestrator.ports import Context, Done, Text, ToolCall
from orchestrator.responders.openai import Endpoint, OpenAIResponder, discover, look
from orchestrator.responders.openai.completions import ON_SCREEN
from tests.support.openai_server import DONE, end, event, openai_server

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
    async with asking(server, **options) as brain:
        return [delta async for delta in brain.reply(HISTORY, ctx or context())]


@asynccontextmanager
async def asking(server, *, url=None, model="m", **options):
    brain = OpenAIResponder(url=url or server.url, model=model, **options)
    try:
        yield brain
    finally:
        await brain.close()


async def said(brain):
    return "".join([d.text async for d in brain.reply(HISTORY, context()) if isinstance(d, Text)])


async def test_text_comes_in_order_and_ends_with_done():
    usage = b'data: {"choices": [], "usage": {"total_tokens": 7}}\n\n'
    async with openai_server(
        event("", role="assistant"), event("Good "), event("morning."), end("length"), usage, DONE
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


CALL = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}


async def test_tool_calls_are_handed_on():
    async with openai_server(event("Let me see."), event(tool_calls=[CALL]), DONE) as server:
        assert await ask(server) == [Text("Let me see."), ToolCall("c", "f", "{}"), Done("stop", {})]


async def test_nothing_but_a_call_of_a_tool_is_no_answer():
    async with openai_server(event(tool_calls=[CALL]), end("tool_calls"), DONE) as server:
        with pytest.raises(errors.ModelSilent, match="only called 'f'"):
            await ask(server)


async def test_nothing_but_code_is_said_to_be_on_the_screen():
    async with openai_server(event("```python\n"), event("print(1)\n```"), end("stop"), DONE) as server:
        *code, screen, done = await ask(server)
    assert "".join(d.text for d in code) == "```python\nprint(1)\n```"
    assert screen.text.strip() == ON_SCREEN
    assert done == Done("stop", {})


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
        (500, errors.ModelFailed),
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
        with pytest.raises(errors.ModelFailed, match="oops") as caught:
            await ask(server)
    assert "reach" not in caught.value.spoken, "it did answer"


@pytest.mark.parametrize("garbage", [b"data: nope\n\n", b"data: " + b"x" * (1 << 21)])
async def test_garbage_is_told_from_silence(garbage):
    async with openai_server(garbage, DONE) as server:
        with pytest.raises(errors.ModelGarbled):
            await ask(server)


async def test_an_error_in_the_stream_is_an_error():
    async with openai_server(event("Well, "), b'data: {"error": {"message": "CUDA out of memory"}}\n\n') as server:
        with pytest.raises(errors.ModelFailed, match="CUDA out of memory"):
            await ask(server)


async def test_an_error_in_place_of_a_stream_is_shown_in_the_servers_words():
    async with openai_server(b'{"error": {"message": "model requires more system memory"}}') as server:
        with pytest.raises(errors.ModelFailed, match="model requires more system memory"):
            await ask(server)


async def test_an_answer_that_is_not_streamed_is_taken():
    answer = {"choices": [{"message": {"content": "Good morning."}, "finish_reason": "stop"}], "usage": {"n": 2}}
    async with openai_server(json.dumps(answer, indent=1).encode()) as server:
        assert await ask(server) == [Text("Good morning."), Done("stop", {"n": 2})]


@pytest.mark.parametrize("breaks", [(None,), ()], ids=["connection", "stream"])
async def test_a_stream_that_breaks_off_is_an_error(breaks):
    async with openai_server(event("Well, "), *breaks) as server:
        with pytest.raises(errors.ModelBrokeOff):
            await ask(server)


async def test_what_breaks_off_after_the_answer_was_whole_does_not_matter():
    async with openai_server(event("Well."), end("stop"), None) as server:
        assert await ask(server) == [Text("Well."), Done("stop", {})]


async def test_silence_has_a_bound():
    async with openai_server(event("Well, "), asyncio.Event()) as server:
        with pytest.raises(errors.ModelSlow, match="silent"):
            await ask(server, timeout_s=0.2)


async def test_the_first_sign_of_life_may_take_longer():
    ping = b": loading\n\n"
    async with openai_server(ping, 0.4, ping, 0.4, event("Ready."), DONE) as server:
        assert Text("Ready.") in await ask(server, timeout_s=0.2)
        with pytest.raises(errors.ModelSlow, match=r"no sign of life for 0\.5 s"):
            await ask(server, timeout_s=0.2, start_timeout_s=0.5)


async def test_no_word_at_all_is_an_error():
    async with openai_server(event("<think>hm</think>"), DONE) as server:
        with pytest.raises(errors.ModelSilent):
            await ask(server)


async def test_a_model_that_thinks_until_its_limit_gets_advice():
    for thought in (event(reasoning="hm"), event("<think>hm"), event("")):
        async with openai_server(thought, end("length"), DONE) as server:
            with pytest.raises(errors.ModelCutShort, match=r"raise llm_max_tokens") as caught:
                await ask(server)
        assert caught.value.spoken.count(".") == 1


# --- what is learnt of an endpoint ---------------------------------------------------------------------------------

SECRET = (event("Okay, the user "), event("wants this. "), event("</thi"), event("nk>\n\nYes."), end("stop"), DONE)


async def test_a_model_that_begins_inside_a_thought_is_found_out_by_the_warm_up():
    async with openai_server(*SECRET) as server, asking(server) as brain:
        await brain.warm()
        assert await said(brain) == "Yes."
        assert await said(brain) == "Yes."
        await brain.warm()
    assert [r["max_tokens"] for r in server.requests] == [256, 400, 400, 1]


async def test_without_a_warm_up_its_first_reply_tells():
    async with openai_server(*SECRET) as server, asking(server) as brain:
        assert await said(brain) == "Okay, the user wants this. \n\nYes."
        assert await said(brain) == "Yes."


async def test_a_warm_up_that_has_not_answered_holds_the_reply():
    gate = asyncio.Event()
    async with openai_server(*SECRET) as server, asking(server) as brain:
        server.answers = [[gate, *SECRET], [*SECRET]]
        warming = asyncio.ensure_future(brain.warm())
        while not server.requests:
            await asyncio.sleep(0.01)
        assert await said(brain) == "Yes."
        gate.set()
        await warming


async def test_a_plain_model_is_held_only_until_the_warm_up_says_so():
    gate = asyncio.Event()
    async with openai_server() as server, asking(server) as brain:
        server.answers = [[event("Ready."), end("stop"), DONE], [event("One. "), gate, event("Two. "), gate, DONE]]
        async with aclosing(brain.reply(HISTORY, context())) as deltas:
            await brain.warm()
            assert await anext(deltas) == Text("One. ")


async def test_a_thought_that_does_not_end_within_the_warm_up_counts_as_one():
    async with openai_server(*SECRET) as server, asking(server) as brain:
        server.answers = [[event("Okay, the user wants one word, so "), end("length"), DONE]]
        await brain.warm()
        assert await said(brain) == "Yes."


async def test_a_model_that_turns_out_to_answer_at_once_is_not_held_again():
    plain = [event("One. "), event("Two."), end("stop"), DONE]
    async with openai_server(*plain) as server, asking(server) as brain:
        server.answers = [[*SECRET]]
        await brain.warm()
        assert [d async for d in brain.reply(HISTORY, context())][:-1] == [Text("One. Two.")]
        assert [d async for d in brain.reply(HISTORY, context())][:-1] == [Text("One. "), Text("Two.")]


async def test_an_endpoint_that_refuses_a_parameter_is_asked_again_without_it():
    async with openai_server(event("Yes."), DONE) as server, asking(server) as brain:
        server.refusals = [
            (400, '{"error": {"message": "Use \'max_completion_tokens\' instead.", "param": "max_tokens"}}'),
            (400, '{"error": {"message": "\'temperature\' does not support 0.7 with this model."}}'),
        ]
        assert await said(brain) == "Yes."
        assert await said(brain) == "Yes."
    sent = [
        {k: r[k] for k in r if k in ("max_tokens", "max_completion_tokens", "temperature")} for r in server.requests
    ]
    right = {"max_completion_tokens": 400}
    assert sent == [{"max_tokens": 400, "temperature": 0.7}, {**right, "temperature": 0.7}, right, right]


async def test_a_refusal_that_stays_is_shown_and_nothing_is_learnt_from_it():
    words = json.dumps({"error": {"message": "'max_tokens' or 'max_completion_tokens' is too large: 400"}})
    async with openai_server(event("Yes."), DONE) as server, asking(server) as brain:
        server.refusals = [(400, words), (400, words)]
        with pytest.raises(errors.ModelRejected, match="too large"):
            await said(brain)
        assert await said(brain) == "Yes."
    assert server.requests[-1]["max_tokens"] == 400


async def test_without_a_model_the_endpoints_first_is_asked_for_once():
    async with openai_server(event("Yes."), DONE) as server, asking(server, model="") as brain:
        server.models = ["first", "second"]
        assert await said(brain) == "Yes."
        assert await said(brain) == "Yes."
    assert [r["model"] for r in server.requests] == ["first", "first"]
    assert server.looks == 1


@pytest.mark.parametrize("model", ["", "m"])
async def test_an_address_without_its_end_is_put_right(model):
    async with openai_server(event("Yes."), DONE) as server:
        base = server.url.removesuffix("/v1")
        async with asking(server, url=base, model=model) as brain:
            assert await said(brain) == "Yes."
            assert await said(brain) == "Yes."
    assert [r["model"] for r in server.requests] == [model or "gguf"] * 2


async def test_a_model_that_is_not_there_is_no_wrong_address():
    async with openai_server() as server:
        server.status, server.error = 404, json.dumps({"error": {"message": "model 'm' not found"}})
        with pytest.raises(errors.ModelMissing, match="model 'm' not found"):
            await ask(server)


async def test_what_answers_at_an_address_is_looked_up():
    async with openai_server() as server:
        base = server.url.removesuffix("/v1")
        assert await look(base) == await look(server.url + "/") == Endpoint("", server.url, ("gguf",))
    for nowhere in (base, "http://127.0.0.1:9/v1", "127.0.0.1:9", "nonsense", ""):
        assert await look(nowhere) is None


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
