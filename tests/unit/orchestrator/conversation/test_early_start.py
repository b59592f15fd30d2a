"""A reply that is begun before the user's turn has ended: when it is, when it stands, when it never was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.conversation import commands as c
from orchestrator.conversation import events as e
from orchestrator.conversation.history import Item, Role
from orchestrator.conversation.machine import Policy, State
from tests.support.scene import BOOT_S, Scene, answered, speaking

pytestmark = pytest.mark.unit

EARLY = Policy(language="en", early=True, adaptive=False)
QUESTION = "what time is it please"


def drafted() -> Scene:
    """At 0.5 s: the answer to QUESTION was begun at 0.3 s; its speech has ended at 0.4 s, its final is to come."""
    scene = answered(EARLY)
    scene.starts(0)
    scene.at(0.1)
    scene.partial(0, QUESTION)
    scene.at(0.4)
    scene.ends(0)
    scene.at(0.5)
    return scene


def drafts(scene: Scene) -> list[str]:
    return [draft.history[-1].text for draft in scene.all(c.DraftReply)]


def test_a_stable_partial_that_reads_as_complete_begins_the_answer_and_nobody_is_told() -> None:
    scene = drafted()
    (draft,) = scene.all(c.DraftReply)
    assert scene.when(c.DraftReply) == [0.3]
    assert draft.history[-1] == Item(Role.USER, QUESTION, 2)
    assert draft.turn == 2
    assert not scene.all(c.TellTurnEnded)
    assert not scene.all(c.StartReply)
    assert scene.state is State.LISTENING


def test_it_is_the_reply_when_the_turn_ends_with_the_same_words() -> None:
    scene = drafted()
    scene.final(0, "What time is it, please?")
    scene.at(1.0)
    assert scene.when(c.StartReply) == [0.9]
    assert (scene.last(c.StartReply).turn, scene.last(c.TellTurnEnded).turn) == (2, 2)
    assert not scene.all(c.DropDraft)
    assert len(scene.all(c.DraftReply)) == 1
    scene.sounds()
    scene.finishes("It is four.")
    assert scene.said()[-2:] == [("user", "What time is it, please?"), ("assistant", "It is four.")]
    assert scene.machine.counts["early_accepted"] == scene.machine.counts["early_starts"] == 1


def test_other_words_drop_it_before_the_answer_to_them_is_begun() -> None:
    scene = drafted()
    scene.final(0, "what time is it in paris")
    assert scene.last(c.DropDraft) == c.DropDraft(2)
    assert drafts(scene) == [QUESTION, "what time is it in paris"]  # speech is over and the final is in
    scene.at(1.0)
    assert scene.last(c.StartReply).turn == 3
    assert [item.text for item in scene.machine.history if item.role is Role.USER] == [
        "hello",
        "what time is it in paris",
    ]
    assert scene.machine.counts["early_dropped"] == 1


def test_the_user_who_speaks_on_drops_it() -> None:
    scene = drafted()
    scene.final(0, QUESTION)
    scene.starts(1)
    assert not scene.all(c.DropDraft)  # a noise is no word
    scene.at(0.7)
    scene.partial(1, "in")
    assert scene.last(c.DropDraft) == c.DropDraft(2)
    assert scene.state is State.LISTENING


def test_a_noise_after_it_leaves_it_alone() -> None:
    scene = drafted()
    scene.final(0, QUESTION)
    scene.starts(1)
    scene.at(0.7)
    scene.ends(1)
    scene.final(1, "")
    scene.at(2.0)
    assert not scene.all(c.DropDraft)
    assert scene.last(c.StartReply).turn == 2


@pytest.mark.parametrize(
    ("text", "stable", "begins"),
    [
        (QUESTION, 0, 0.3),
        (QUESTION, len(QUESTION), 0.1),
        ("what time is it and", 100, None),
        ("what time is it", 100, None),
        ("tell me a story", 100, None),
    ],
)
def test_while_the_user_speaks_only_what_is_complete_and_stable_begins_one(
    text: str, stable: int, begins: float | None
) -> None:
    scene = answered(EARLY)
    scene.starts(0)
    scene.at(0.1)
    scene.partial(0, text, min(stable, len(text)))
    scene.at(1.0)
    assert scene.when(c.DraftReply) == ([] if begins is None else [begins])


@pytest.mark.parametrize(("text", "begun"), [("tell me a story", True), ("tell me a story and", False)])
def test_when_speech_is_over_a_final_begins_one_unless_it_reads_as_unfinished(text: str, begun: bool) -> None:
    scene = answered(EARLY)
    scene.says(0, text)
    assert bool(scene.all(c.DraftReply)) is begun
    assert not scene.all(c.StartReply)


@pytest.mark.parametrize(("done", "begun"), [(0.9, True), (0.2, False)])
def test_who_hears_that_the_user_was_not_done_keeps_it_from_being_begun(done: float, begun: bool) -> None:
    scene = answered(EARLY)
    scene.starts(0)
    scene.at(0.4)
    scene.ends(0)
    scene.gets(e.TurnJudged(0, done))
    scene.final(0, "tell me a story")
    assert bool(scene.all(c.DraftReply)) is begun


@pytest.mark.parametrize(
    "policy",
    [replace(EARLY, early=False), replace(EARLY, manual=True)],
    ids=["off", "manual"],
)
def test_none_is_begun_where_it_is_not_wanted(policy: Policy) -> None:
    scene = answered(policy)
    scene.says(0, QUESTION)
    assert not scene.all(c.DraftReply)


def test_none_is_begun_before_the_responder_has_answered_once() -> None:
    scene = Scene(EARLY)
    scene.says(0, QUESTION)
    assert not scene.all(c.DraftReply)
    scene.at(2.0)
    scene.sounds()
    scene.finishes("It is four.")
    scene.says(1, QUESTION)
    assert drafts(scene) == [QUESTION]


def test_a_text_that_is_spoken_as_it_is_is_no_answer_of_the_responder() -> None:
    scene = Scene(EARLY)
    scene.gets(e.Opened(greeting="Hello!"))
    scene.sounds()
    scene.finishes("Hello!")
    scene.says(0, QUESTION)
    assert not scene.all(c.DraftReply)


def test_a_turn_has_three_of_them_at_most() -> None:
    scene = answered(EARLY)
    scene.starts(0)
    for number in range(1, 6):
        scene.partial(0, f"{QUESTION} " * number, 100)
        scene.at(scene.now + 0.3)
    assert len(scene.all(c.DraftReply)) == 3
    assert len(scene.all(c.DropDraft)) == 3
    scene.ends(0)
    scene.final(0, QUESTION)
    scene.at(scene.now + 2)
    scene.sounds()
    scene.finishes("It is four.")
    scene.says(1, QUESTION)
    assert len(scene.all(c.DraftReply)) == 4


def test_one_that_fails_is_begun_again_when_the_turn_has_ended() -> None:
    scene = drafted()
    scene.fails()
    scene.final(0, QUESTION)
    scene.at(1.0)
    assert scene.last(c.StartReply).turn == 3
    assert len(scene.all(c.DraftReply)) == 1
    assert not scene.all(c.TellError)
    assert scene.machine.counts["early_failed"] == 1


def test_one_that_loads_is_told_of_when_it_is_accepted() -> None:
    scene = drafted()
    scene.gets(e.ReplyLoading(2))
    assert scene.notices() == []
    scene.final(0, QUESTION)
    scene.at(1.0)
    assert scene.notices() == ["loading"]
    scene.starts(1)
    scene.at(2.5)
    assert not scene.all(c.StopReply)  # a loading model is not aborted by sound


def test_one_that_has_loaded_meanwhile_is_like_any_other() -> None:
    scene = drafted()
    scene.gets(e.ReplyLoading(2), e.ReplyAnswering(2))
    scene.final(0, QUESTION)
    scene.at(1.0)
    assert scene.notices() == []


def test_its_tools_are_history_only_if_it_is_accepted() -> None:
    tool = e.ToolHappened(2, "clock", "1", "{}", False)
    scene = drafted()
    scene.gets(tool)
    assert all(item.role is not Role.TOOL_CALL for item in scene.machine.history)
    scene.final(0, QUESTION)
    scene.at(1.0)
    assert [item.role for item in scene.machine.history[-2:]] == [Role.USER, Role.TOOL_CALL]
    scene = drafted()
    scene.gets(tool)
    scene.final(0, "tell me a story")
    scene.at(1.0)
    assert all(item.role is not Role.TOOL_CALL for item in scene.machine.history)


def test_news_of_one_that_was_dropped_is_old_news() -> None:
    scene = drafted()
    scene.final(0, "tell me a story and")
    before = scene.machine.counts["stale_turn"]
    heard = e.Heard(2, 0, "", "", False)
    scene.gets(e.ReplyStopped(2, heard), e.ReplyFailed(2, heard, "internal", "broke"), e.ReplyLoading(2))
    assert scene.machine.counts["stale_turn"] == before + 3
    assert scene.state is State.LISTENING


@pytest.mark.parametrize(
    "event",
    [
        e.TurnCancelled(),
        e.Asked("and the date"),
        e.TransportLost(),
        e.PolicyChanged(replace(EARLY, endpoint_ms=900)),
        e.SessionEnded("client"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_changes_the_turn_or_how_it_is_answered_drops_it(event: e.Event) -> None:
    scene = drafted()
    scene.gets(event)
    assert scene.last(c.DropDraft) == c.DropDraft(2)


def test_the_policy_that_came_while_it_was_begun_holds_for_the_reply() -> None:
    scene = answered(EARLY)
    scene.starts(0)
    scene.gets(e.PolicyChanged(replace(EARLY, interruptible=False)))
    scene.at(0.1)
    scene.partial(0, QUESTION, len(QUESTION))
    scene.at(0.4)
    scene.ends(0)
    scene.final(0, QUESTION)
    scene.at(1.0)
    assert len(scene.all(c.DraftReply)) == 1
    scene.sounds()
    scene.starts(1)
    assert not scene.all(c.HoldReply)


def test_an_accepted_one_that_is_withdrawn_joins_what_comes() -> None:
    scene = drafted()
    scene.final(0, QUESTION)
    scene.at(1.0)
    scene.starts(1)
    scene.at(1.3)
    scene.partial(1, "in paris", 8)
    assert scene.last(c.StopReply).reason == "withdrawn"
    scene.stops()
    scene.ends(1)
    scene.final(1, "in paris")
    scene.at(3.0)
    assert scene.said()[-1] == ("user", f"{QUESTION} in paris")


def test_speech_that_begins_as_the_turn_ends_keeps_its_first_sample_in() -> None:
    scene = drafted()
    scene.final(0, QUESTION)
    scene.at(0.95)
    scene.gets(e.SpeechStarted(1, 0, BOOT_S + 0.94))
    assert scene.last(c.HoldReply) == c.HoldReply(2)
    assert scene.state is State.THINKING


def test_the_backchannel_of_a_turn_that_stopped_a_reply_begins_none() -> None:
    scene = speaking(EARLY)
    scene.starts(0)
    scene.at(0.8)
    scene.stops("It is", "four.")
    scene.ends(0)
    scene.final(0, "yeah")
    scene.at(3.0)
    assert not scene.all(c.DraftReply)


def test_another_responder_has_to_answer_once_first() -> None:
    scene = answered(EARLY)
    scene.gets(e.PolicyChanged(EARLY, another=True))
    scene.says(0, QUESTION)
    assert not scene.all(c.DraftReply)
    scene.at(2.0)
    scene.sounds()
    scene.finishes("It is four.")
    scene.says(1, QUESTION)
    assert drafts(scene) == [QUESTION]


def test_what_the_last_responder_still_says_proves_nothing_of_the_next() -> None:
    scene = speaking(EARLY, "hello")
    scene.gets(e.Asked("and more"))
    scene.stops("Hel", "lo.")
    scene.gets(e.PolicyChanged(EARLY, another=True))
    scene.sounds()
    scene.finishes("More.")
    scene.says(0, QUESTION)
    assert not scene.all(c.DraftReply)
