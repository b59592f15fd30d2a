import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.conversation.history import Item, Role
from orchestrator.responders.openai.prompts import (
    CUT_MARKER,
    GREETING_PROMPT,
    TRIMMED_PROMPT,
    Dialect,
    messages,
)

pytestmark = pytest.mark.unit

ROLES = (Role.USER, Role.ASSISTANT)


def test_a_cut_reply_stands_as_the_words_heard_and_a_marker():
    history = (Item(Role.USER, "Count."), Item(Role.ASSISTANT, "One, two,", cut=True), Item(Role.USER, "Stop."))
    assert messages(history, "P", 1000) == [
        {"role": "system", "content": "P"},
        {"role": "user", "content": "Count."},
        {"role": "assistant", "content": "One, two," + CUT_MARKER},
        {"role": "user", "content": "Stop."},
    ]


def test_the_budget_keeps_the_prompt_and_the_latest_items():
    history = tuple(Item(ROLES[i % 2], f"{i:04} " + "x" * 95) for i in range(101))
    kept = messages(history, "P", 1000)
    assert kept[0]["content"] == "P"
    assert kept[-1]["content"] == history[-1].text
    left = kept[2:] if kept[1]["content"] == TRIMMED_PROMPT else kept[1:]
    assert [m["content"] for m in left] == [i.text for i in history[-len(left) :]]
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
    assert [m["role"] for m in messages(history, "P", 3000)] == ["system", "user", "assistant", "tool", "user"]


def test_a_tool_call_that_was_cut_off_before_its_result_is_left_out():
    history = (Item(Role.USER, "Time?"), Item(Role.TOOL_CALL, "{}", name="f", call_id="1"), Item(Role.USER, "Well?"))
    assert [m["role"] for m in messages(history, "P", 3000)] == ["system", "user"]


ITEMS = st.builds(Item, st.sampled_from(ROLES), st.text("ab ", max_size=200), cut=st.booleans(), apology=st.booleans())


@given(st.lists(ITEMS, max_size=30), st.integers(1, 400), st.booleans())
def test_user_and_assistant_take_turns_and_the_user_is_first(history, budget, greet):
    _, *asked = messages(tuple(history), "P", budget, greet=greet)
    assert [m["role"] for m in asked] == [ROLES[i % 2].value for i in range(len(asked))]


def test_neighbours_of_one_role_are_one_message():
    history = (
        Item(Role.USER, "Well?"),
        Item(Role.USER, "Are you there?"),
        Item(Role.ASSISTANT, "I am", cut=True),
        Item(Role.ASSISTANT, "As I said."),
    )
    assert messages(history, "P", 1000)[1:] == [
        {"role": "user", "content": "Well?\n\nAre you there?"},
        {"role": "assistant", "content": f"I am{CUT_MARKER}\n\nAs I said."},
    ]


def test_calls_side_by_side_are_one_message_and_their_results_stay_apart():
    history = (
        Item(Role.USER, "Time and place?"),
        Item(Role.TOOL_CALL, "{}", name="f", call_id="1"),
        Item(Role.TOOL_CALL, "{}", name="g", call_id="2"),
        Item(Role.TOOL_RESULT, "noon", call_id="1"),
        Item(Role.TOOL_RESULT, "here", call_id="2"),
    )
    _, _, calls, *results = messages(history, "P", 1000)
    assert [c["id"] for c in calls["tool_calls"]] == ["1", "2"]
    assert [(r["tool_call_id"], r["content"]) for r in results] == [("1", "noon"), ("2", "here")]


def test_a_greeting_has_something_before_it_that_it_answers():
    history = (Item(Role.ASSISTANT, "Hello!"), Item(Role.USER, "Hi."))
    assert messages(history, "P", 1000)[1] == {"role": "user", "content": GREETING_PROMPT}
    assert messages((), "P", 1000, greet=True)[1:] == [{"role": "user", "content": GREETING_PROMPT}]


def test_what_was_trimmed_before_an_answer_is_no_greeting():
    history = (Item(Role.USER, "x" * 4000), Item(Role.ASSISTANT, "Hello!"), Item(Role.USER, "Hi."))
    assert [m["content"] for m in messages(history, "P", 300)] == ["P", TRIMMED_PROMPT, "Hello!", "Hi."]


def test_our_own_apologies_are_not_the_models_words():
    history = (
        Item(Role.USER, "Well?"),
        Item(Role.ASSISTANT, "My language model is busy.", apology=True),
        Item(Role.USER, "And now?"),
    )
    assert messages(history, "P", 1000)[1:] == [{"role": "user", "content": "Well?\n\nAnd now?"}]


def test_a_parameter_that_is_refused_is_left_out_once():
    first = Dialect()
    assert first.parameters(9, 0.5) == {"max_tokens": 9, "temperature": 0.5}
    second = first.after("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    assert second is not None
    assert second.parameters(9, 0.5) == {"max_completion_tokens": 9, "temperature": 0.5}
    third = second.after("'temperature' does not support 0.5 with this model")
    assert third is not None
    assert third.parameters(9, 0.5) == {"max_completion_tokens": 9}
    assert third.after("max_tokens temperature") is None
    assert first.after("no such model") is None
