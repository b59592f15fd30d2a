import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.conversation.history import Item, Role
from orchestrator.responders.openai.completions import CUT_MARKER, Completion, EventReader, ThinkFilter, messages

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


@given(st.lists(st.integers(0, 60), max_size=10))
def test_thoughts_are_dropped_however_they_are_cut(cuts):
    text = "<think>\nlet me <b> see\n</think>\n\nIt is 3 < 4. <think>hm</think>Yes<"
    edges = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    think = ThinkFilter()
    said = "".join(think.push(text[a:b]) for a, b in pairwise(edges)) + think.flush()
    assert said == "It is 3 < 4. Yes<"


def test_a_thought_without_an_end_is_never_spoken():
    think = ThinkFilter()
    assert think.push("<think>secret") + think.flush() == ""


def test_reasoning_fields_are_left_out_and_count_as_life():
    completion = Completion()
    assert completion.take(json.dumps({"choices": [{"delta": {"reasoning_content": "hm", "content": None}}]})) == ""
    assert completion.alive
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
    with pytest.raises(ValueError, match=r"JSON|out of memory"):
        Completion().take(data)


@pytest.mark.parametrize(
    "data", ["{}", '{"choices": []}', '{"choices": [{"delta": null}]}', '{"choices": [{"delta": {"content": 5}}]}']
)
def test_odd_chunks_say_nothing(data):
    assert Completion().take(data) == ""


def test_a_cut_reply_stands_as_the_words_heard_and_a_marker():
    history = (Item(Role.USER, "Count."), Item(Role.ASSISTANT, "One, two,", cut=True), Item(Role.USER, "Stop."))
    assert messages(history, "P", 1000) == [
        {"role": "system", "content": "P"},
        {"role": "user", "content": "Count."},
        {"role": "assistant", "content": "One, two," + CUT_MARKER},
        {"role": "user", "content": "Stop."},
    ]


def test_the_budget_keeps_the_prompt_and_the_latest_items():
    history = tuple(Item(Role.USER, f"{i:04} " + "x" * 95) for i in range(100))
    kept = messages(history, "P", 1000)
    assert kept[0]["content"] == "P"
    assert kept[-1]["content"] == history[-1].text
    assert [m["content"] for m in kept[1:]] == [i.text for i in history[-len(kept) + 1 :]]
    assert 20 < len(kept) < 40


def test_the_last_item_stays_however_long_it_is():
    assert len(messages((Item(Role.USER, "x" * 99_999),), "P", 256)) == 2


def test_a_tool_result_is_never_kept_without_its_call():
    history = (
        Item(Role.TOOL_CALL, "{}" + " " * 4000, name="f", call_id="1"),
        Item(Role.TOOL_RESULT, "42", name="f", call_id="1"),
        Item(Role.USER, "And now?"),
    )
    assert [m["role"] for m in messages(history, "P", 300)] == ["system", "user"]
    assert [m["role"] for m in messages(history, "P", 3000)] == ["system", "assistant", "tool", "user"]


def test_a_tool_call_that_was_cut_off_before_its_result_is_left_out():
    history = (Item(Role.USER, "Time?"), Item(Role.TOOL_CALL, "{}", name="f", call_id="1"), Item(Role.USER, "Well?"))
    assert [m["role"] for m in messages(history, "P", 3000)] == ["system", "user", "user"]
