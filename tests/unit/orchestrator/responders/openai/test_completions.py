import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.conversation.chunker import Chunker
from orchestrator.responders.openai.completions import (
    ON_SCREEN,
    Completion,
    EventReader,
    ServerError,
    when_only_code,
)

pytestmark = pytest.mark.unit

STREAM = b': a comment\r\ndata: {"a": 1}\r\n\r\nevent: x\ndata: line one\ndata: line two\n\ndata:no space\r\rid: 7\n\n'
EVENTS = ['{"a": 1}', "line one\nline two", "no space"]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_are_the_same_however_the_bytes_are_cut(cuts):
    reader = EventReader()
    edges = [0, *sorted(cuts), len(STREAM)]
    assert [e for a, b in pairwise(edges) for e in reader.push(STREAM[a:b])] == EVENTS


def test_utf_8_split_inside_a_character_is_whole_again():
    reader = EventReader()
    data = "data: schön\n\n".encode()
    assert [e for i in range(len(data)) for e in reader.push(data[i : i + 1])] == ["schön"]


def test_an_endless_line_is_refused():
    with pytest.raises(ValueError, match="1 MiB"):
        EventReader().push(b"data: " + b"x" * (1 << 21))


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_document_in_place_of_a_stream_is_one_event(step):
    reader = EventReader()
    document = b' \n{"choices": [],\n\n "data: x": 1}'
    assert [e for i in range(0, len(document), step) for e in reader.push(document[i : i + step])] == []
    assert [json.loads(e) for e in reader.end()] == [{"choices": [], "data: x": 1}]


def test_an_endless_document_is_refused():
    with pytest.raises(ValueError, match="1 MiB"):
        EventReader().push(b"{" + b"x" * (1 << 21))


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
def test_the_last_event_counts_without_its_blank_line(end):
    reader = EventReader()
    assert [*reader.push(b"data: a\n\ndata: [DONE]" + end), *reader.end()] == ["a", "[DONE]"]


def test_reasoning_fields_are_left_out_and_count_as_life():
    completion = Completion()
    assert completion.take(json.dumps({"choices": [{"delta": {"reasoning_content": "hm", "content": None}}]})) == ""
    assert completion.alive
    assert completion.reasoned
    assert completion.take(json.dumps({"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]})) == "Hi"
    assert completion.reason == "stop"


def test_tool_calls_are_put_together_from_their_pieces():
    completion = Completion()
    for function in ({"name": "get_time", "arguments": ""}, {"arguments": '{"zone"'}, {"arguments": ': "UTC"}'}):
        call = {"index": 0, "id": "c1", "function": function}
        completion.take(json.dumps({"choices": [{"delta": {"tool_calls": [call]}}]}))
    (tool,) = completion.tools.values()
    assert (tool.call_id, tool.name, tool.arguments) == ("c1", "get_time", '{"zone": "UTC"}')


@pytest.mark.parametrize("data", ["", "[]", "nope", '{"error": {"message": "out of memory"}}'])
def test_what_is_no_chunk_is_refused_with_what_was_there(data):
    with pytest.raises(ValueError, match=r"JSON|out of memory") as caught:
        Completion().take(data)
    assert isinstance(caught.value, ServerError) == ("error" in data)


@pytest.mark.parametrize(
    "data", ["{}", '{"choices": []}', '{"choices": [{"delta": null}]}', '{"choices": [{"delta": {"content": 5}}]}']
)
def test_odd_chunks_say_nothing(data):
    assert Completion().take(data) == ""


def test_only_a_finish_reason_or_done_or_a_document_is_the_end():
    completion = Completion()
    completion.take(json.dumps({"choices": [{"delta": {"content": "Hi"}, "finish_reason": None}]}))
    assert not completion.whole
    for end in ("[DONE]", '{"choices": [{"delta": {}, "finish_reason": "stop"}]}', '{"choices": [{"message": {}}]}'):
        completion = Completion()
        completion.take(end)
        assert completion.whole


def test_an_answer_that_was_not_streamed_is_taken_whole():
    completion = Completion()
    message = {"role": "assistant", "content": "<think>hm</think>Good morning.", "tool_calls": None}
    assert completion.take(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})) == "Good morning."
    assert (completion.reason, completion.alive) == ("stop", True)


@pytest.mark.parametrize(
    "reply", ["```python\nprint(1)\n```", "```python\nprint(1)", "~~~\nx\n~~~\n\n```\ny\n```\n", "\n```\n"]
)
def test_what_is_only_code_is_said_to_be(reply):
    chunker = Chunker()
    chunks = [*chunker.push(reply + when_only_code(reply)), *chunker.flush()]
    assert [chunk.text for chunk in chunks] == ["The answer is code;", "it is on the screen."]
    assert " ".join(chunk.text for chunk in chunks) == ON_SCREEN


@pytest.mark.parametrize("reply", ["", "Hello.", "Like this:\n```\nx\n```", "```\nx\n```\nThere.", "🙂"])
def test_what_has_words_is_left_as_it_is(reply):
    assert when_only_code(reply) == ""
