"""A reply that is begun shortly before the user's turn ends, and when the driver is told that it is due."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.conversation import commands as c
from orchestrator.conversation import events as e
from orchestrator.conversation.machine import Policy, State
from tests.support.scene import BOOT_S, Scene, answered, speaking

pytestmark = pytest.mark.unit

HEAD = Policy(language="en", adaptive=False, endpoint_ms=500, head_start_ms=100)
STORY = "tell me a story"


def drafted(policy: Policy = HEAD) -> Scene:
    """At 0.82 s: the user was done at 0.4 s, the answer was begun at 0.8 s, the turn ends at 0.9 s."""
    scene = answered(policy)
    scene.says(0, STORY)
    scene.at(0.82)
    return scene


def expected(scene: Scene) -> list[float | None]:
    """When the reply was said to be due, on the scene's clock."""
    return [None if x.due_s is None else round(x.due_s - BOOT_S, 6) for x in scene.all(c.ExpectReply)]


def test_the_answer_is_begun_before_the_turn_ends_and_the_driver_knows_when_it_is_due() -> None:
    scene = drafted()
    assert scene.when(c.DraftReply) == scene.when(c.ExpectReply) == [0.8]
    assert expected(scene) == [0.9]
    assert scene.last(c.ExpectReply).turn == scene.last(c.DraftReply).turn == 2
    assert not scene.all(c.TellTurnEnded)
    assert scene.state is State.LISTENING
    scene.at(2.0)
    assert scene.when(c.StartReply) == [0.9]
    assert scene.last(c.StartReply).turn == 2
    assert not scene.all(c.DropDraft)
    scene.sounds()
    scene.finishes("Once.")
    assert scene.said()[-2:] == [("user", STORY), ("assistant", "Once.")]
    counts = scene.machine.counts
    assert (counts["head_starts"], counts["head_accepted"], counts["early_starts"]) == (1, 1, 0)


def test_nothing_is_begun_while_a_word_is_owed() -> None:
    scene = answered(HEAD)
    scene.starts(0)
    scene.partial(0, STORY, len(STORY))
    scene.at(0.4)
    scene.ends(0)
    scene.at(0.85)
    assert not scene.all(c.DraftReply)
    scene.final(0, STORY)
    assert scene.when(c.DraftReply) == [0.85]
    assert expected(scene) == [0.9]
    scene.at(2.0)
    assert scene.when(c.StartReply) == [0.9]


def test_a_final_that_comes_after_the_endpoint_begins_the_reply_itself() -> None:
    scene = answered(HEAD)
    scene.starts(0)
    scene.at(0.4)
    scene.ends(0)
    scene.at(0.95)
    scene.final(0, STORY)
    assert scene.when(c.StartReply) == [0.95]
    assert not scene.all(c.DraftReply)


def test_words_that_read_as_unfinished_are_answered_as_any() -> None:
    scene = answered(HEAD)
    scene.says(0, "tell me a story and")
    scene.at(2.0)
    assert scene.when(c.DraftReply) == [0.8]


def test_who_speaks_on_in_that_moment_is_waited_for_and_other_words_drop_it() -> None:
    scene = drafted()
    scene.starts(1)
    assert expected(scene) == [0.9, None]
    assert not scene.all(c.DropDraft)
    scene.at(1.2)
    assert not scene.all(c.StartReply)
    scene.partial(1, "about a fish", 12)
    assert scene.last(c.DropDraft) == c.DropDraft(2)
    scene.ends(1)
    scene.final(1, "about a fish")
    scene.at(3.0)
    assert scene.when(c.StartReply) == [1.7]
    assert scene.last(c.StartReply).turn == 3
    assert expected(scene) == [0.9, None, 1.7]
    assert [text for who, text in scene.said() if who == "user"] == ["hello", f"{STORY} about a fish"]
    counts = scene.machine.counts
    assert (counts["head_starts"], counts["head_dropped"], counts["head_accepted"]) == (2, 1, 1)


def test_a_noise_in_that_moment_only_makes_it_later() -> None:
    scene = drafted()
    scene.starts(1)
    scene.at(1.0)
    scene.ends(1)
    scene.final(1, "")
    scene.at(3.0)
    assert not scene.all(c.DropDraft)
    assert len(scene.all(c.DraftReply)) == 1
    assert scene.last(c.StartReply).turn == 2
    assert expected(scene)[:2] == [0.9, None]
    assert expected(scene)[-1] is None or expected(scene)[-1] == scene.when(c.StartReply)[0]


@pytest.mark.parametrize(("done", "moves"), [(0.02, True), (0.98, False)])
def test_who_hears_that_the_user_was_not_done_puts_it_off(done: float, moves: bool) -> None:
    policy = replace(HEAD, adaptive=True)
    scene = answered(policy)
    scene.says(0, STORY)
    scene.at(scene.machine.next_deadline() - BOOT_S)  # type: ignore[operator]
    (first,) = expected(scene)
    assert first is not None
    scene.gets(e.TurnJudged(0, done))
    if not moves:
        assert scene.all(c.StartReply)
        assert expected(scene) == [first]
        return
    assert expected(scene) == [first, None]
    scene.at(5.0)
    (started,) = scene.when(c.StartReply)
    assert started > first
    assert expected(scene) == [first, None, pytest.approx(started)]
    assert len(scene.all(c.DraftReply)) == 1
    assert not scene.all(c.DropDraft)


def test_one_that_was_begun_early_is_only_told_to_be_due() -> None:
    scene = drafted(replace(HEAD, early=True))
    assert scene.when(c.DraftReply) == [0.4]
    assert expected(scene) == [0.9]
    assert (scene.machine.counts["early_starts"], scene.machine.counts["head_starts"]) == (1, 0)


@pytest.mark.parametrize("policy", [replace(HEAD, head_start_ms=0), replace(HEAD, manual=True)], ids=["off", "manual"])
def test_none_is_begun_where_it_is_not_wanted(policy: Policy) -> None:
    scene = answered(policy)
    scene.says(0, STORY)
    scene.at(2.0)
    assert not scene.all(c.DraftReply)
    assert not scene.all(c.ExpectReply)


def test_none_is_begun_before_the_responder_has_answered_once() -> None:
    scene = Scene(HEAD)
    scene.says(0, STORY)
    scene.at(2.0)
    assert scene.all(c.StartReply)
    assert not scene.all(c.DraftReply)


def test_a_turn_that_is_committed_ends_at_once_with_it() -> None:
    scene = drafted()
    scene.gets(e.TurnCommitted())
    assert scene.when(c.StartReply) == [0.82]
    assert scene.last(c.StartReply).turn == 2
    assert expected(scene) == [0.9]


@pytest.mark.parametrize(
    "event",
    [
        e.TurnCancelled(),
        e.Asked("and the date"),
        e.TransportLost(),
        e.PolicyChanged(replace(HEAD, endpoint_ms=900)),
        e.SessionEnded("client"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_changes_the_turn_or_how_it_is_answered_drops_it(event: e.Event) -> None:
    scene = drafted()
    scene.gets(event)
    assert scene.last(c.DropDraft) == c.DropDraft(2)


def test_one_that_fails_is_begun_again_when_the_turn_has_ended() -> None:
    scene = drafted()
    scene.fails("nothing of which was", "heard")
    scene.at(2.0)
    assert scene.when(c.StartReply) == [0.9]
    assert scene.last(c.StartReply).turn == 3
    assert not scene.all(c.TellError)
    assert all(who != "assistant" or text == "Hello." for who, text in scene.said())
    assert scene.machine.counts["head_failed"] == 1


def test_a_backchannel_that_stopped_a_reply_begins_none() -> None:
    scene = speaking(HEAD)
    scene.starts(0)
    scene.at(0.8)
    scene.stops("It is", "four.")
    scene.ends(0)
    scene.final(0, "yeah")
    scene.at(3.0)
    assert not scene.all(c.DraftReply)
