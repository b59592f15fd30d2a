"""History is what was said and what was heard: in order, by whom, and where it was cut."""

from __future__ import annotations

import pytest

from orchestrator.conversation import events as e
from orchestrator.conversation.history import Item, Role
from tests.support.scene import Scene, speaking, thinking

pytestmark = pytest.mark.unit


def test_an_item_is_whole_and_of_no_turn_unless_said_otherwise() -> None:
    item = Item(Role.USER, "hello")
    assert (item.turn, item.cut, item.name, item.call_id) == (0, False, "", "")


def test_items_carry_the_turn_that_they_belong_to() -> None:
    scene = speaking()
    scene.finishes("It is four.")
    scene.gets(e.Asked("and the date"))
    assert [(item.role, item.turn) for item in scene.machine.history] == [
        (Role.USER, 1),
        (Role.ASSISTANT, 1),
        (Role.USER, 2),
    ]


def test_a_cut_reply_has_only_the_words_heard() -> None:
    scene = speaking()
    scene.gets(e.Interrupted())
    scene.stops(" It is ", "four.")
    assert scene.machine.history[-1] == Item(Role.ASSISTANT, "It is", 1, cut=True)


def test_a_reply_that_was_heard_whole_in_the_last_instant_is_not_cut() -> None:
    scene = speaking()
    scene.gets(e.Interrupted())
    scene.stops("It is four.")
    assert scene.machine.history[-1] == Item(Role.ASSISTANT, "It is four.", 1, cut=False)


def test_a_reply_that_said_nothing_leaves_no_item() -> None:
    scene = thinking()
    scene.finishes("")
    assert [item.role for item in scene.machine.history] == [Role.USER]


def test_a_reply_that_ended_before_it_could_be_stopped_is_whole() -> None:
    scene = speaking()
    scene.says(0, "stop that", seconds=0.3)
    scene.finishes("It is four.")
    scene.at(3.0)
    assert scene.said() == [("user", "what time is it"), ("assistant", "It is four."), ("user", "stop that")]


def test_history_grows_only_at_its_end_but_for_a_withdrawn_reply() -> None:
    scene = Scene()
    before: tuple[Item, ...] = ()
    for number in range(3):
        scene.gets(e.Asked(f"question {number}"))
        scene.sounds()
        scene.finishes(f"answer {number}")
        assert scene.machine.history[: len(before)] == before
        before = scene.machine.history
    scene.gets(e.Asked("question 3"))
    scene.says(0, "or rather", seconds=0.3)
    scene.stops()
    assert scene.machine.history[: len(before)] == before
    scene.at(5.0)
    assert scene.machine.history == (*before, Item(Role.USER, "question 3 or rather", 5))
