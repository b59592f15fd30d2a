from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.responders.openai.thoughts import LONGEST_HELD, ThinkFilter

pytestmark = pytest.mark.unit

CUTS = st.lists(st.integers(0, 80), max_size=10)


def said(think, text, cuts=()):
    edges = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    return "".join(think.push(text[a:b]) for a, b in pairwise(edges)) + think.flush()


@given(CUTS, st.booleans())
def test_thoughts_are_dropped_however_they_are_cut(cuts, held):
    text = "<think>\nlet me <b> see\n</think>\n\nIt is 3 < 4. <think>hm</think>Yes<"
    assert said(ThinkFilter(held=held), text, cuts) == "It is 3 < 4. Yes<"


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<think>", "</think>"),
        ("<THINK>", "</THINK>"),
        ("<thinking>", "</thinking>"),
        ("<Thinking>", "</Thinking>"),
        ("[THINK]", "[/THINK]"),
        ("[think]", "[/think]"),
    ],
)
@given(cuts=CUTS)
def test_every_spelling_is_known_however_it_is_cut(opening, closing, cuts):
    think = ThinkFilter()
    assert said(think, f"{opening}secret{closing}Yes, [this] <one>.", cuts) == "Yes, [this] <one>."
    assert think.seen
    assert not think.lone


@pytest.mark.parametrize("closing", ["</think>", "</THINKING>", "[/THINK]"])
@given(cuts=CUTS)
def test_what_is_held_is_dropped_by_a_closing_tag_alone(closing, cuts):
    think = ThinkFilter(held=True)
    assert said(think, f"secret <think> reasoning {closing}\n\nvisible", cuts) == "visible"
    assert think.lone


def test_a_closing_tag_alone_drops_what_was_not_given_out_yet():
    think = ThinkFilter()
    assert think.push("secret reasoning </think> visible") == "visible"
    assert think.lone
    think = ThinkFilter()
    assert think.push("Okay, ") == "Okay, "
    assert think.push("the user </think>Hello.") == "Hello."
    assert think.lone


def test_what_is_held_comes_out_when_it_was_no_thought():
    think = ThinkFilter(held=True)
    assert think.push(" Hello ") == ""
    assert think.release() + think.push("there.") + think.flush() == "Hello there."
    think = ThinkFilter(held=True)
    assert think.push("Hello ") + think.push("there.<") == ""
    assert think.held
    assert think.flush() == "Hello there.<"


def test_what_is_held_too_long_is_a_thought():
    think = ThinkFilter(held=True)
    assert think.push("x" * (LONGEST_HELD + 1)) + think.push("more") == ""
    assert think.push("</think>Yes") == "Yes"
    assert think.lone


def test_a_thought_without_an_end_is_never_spoken():
    think = ThinkFilter()
    assert think.push("<think>secret") + think.flush() == ""
