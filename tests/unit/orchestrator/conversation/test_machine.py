"""One readable example for each rule of the conversation core: turns, endpointing, text, failures, grace."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.conversation import commands as c
from orchestrator.conversation import events as e
from orchestrator.conversation.history import Item, Role
from orchestrator.conversation.machine import Machine, Policy, State
from tests.support.scene import Scene, speaking, thinking

pytestmark = pytest.mark.unit

LATE = e.Heard(1, 5, "old words", "", False)


# --- states and identity -----------------------------------------------------------------------------------------


def test_a_whole_exchange_goes_through_the_states() -> None:
    scene = Scene()
    scene.says(0, "what time is it")
    assert c.PrepareReply() in scene.all(c.PrepareReply)
    scene.at(2.0)
    scene.sounds()
    scene.finishes("It is four.")
    assert [told.state for told in scene.all(c.TellState)] == ["listening", "thinking", "speaking", "idle"]
    assert scene.said() == [("user", "what time is it"), ("assistant", "It is four.")]
    assert scene.last(c.TellTurnFinished) == c.TellTurnFinished(1, "It is four.", "", 960 * 11, "complete")


def test_turns_count_up_from_one() -> None:
    scene = Scene()
    for number in (1, 2, 3):
        scene.gets(e.Said(f"text {number}"))
        assert scene.last(c.StartReply).turn == scene.turn == number
        scene.sounds()
        scene.finishes(f"text {number}")


@pytest.mark.parametrize(
    ("opened", "cause", "text"),
    [
        (e.Opened(greet=True), c.Cause.GREETING, ""),
        (e.Opened(greeting="Hello!"), c.Cause.SAY, "Hello!"),
        (e.Opened(greet=True, greeting="Hello!"), c.Cause.SAY, "Hello!"),
    ],
)
def test_a_session_opens_with_a_greeting(opened: e.Opened, cause: c.Cause, text: str) -> None:
    scene = Scene()
    scene.gets(opened)
    assert scene.replies() == [(cause, text)]


def test_a_session_without_a_greeting_opens_idle_and_says_so() -> None:
    assert Scene().gets(e.Opened()) == [c.TellState("idle")]


@pytest.mark.parametrize(
    "news",
    [
        e.SpeechStarted(0, 0, 0.0),
        e.SpeechEnded(0, 0, 0.0),
        e.PartialHeard(0, "old words"),
        e.FinalHeard(0, "old words"),
        e.RecognitionFailed(0, "gone"),
        e.RecognitionFailed(0, "gone", goes_on=True),
        e.RecognitionDelayed(0, 9.0),
    ],
)
def test_news_of_an_old_utterance_is_counted_and_changes_nothing(news: e.Event) -> None:
    scene = Scene()
    scene.says(0, "what time is it")
    scene.at(2.0)
    before = scene.machine.history
    assert scene.gets(news) == []
    assert (scene.machine.history, scene.state) == (before, State.THINKING)
    assert scene.machine.counts["stale_utterance"] == 1


@pytest.mark.parametrize(
    "news",
    [
        e.FirstAudio(1),
        e.ReplyEnded(1, LATE),
        e.ReplyStopped(1, LATE),
        e.ReplyFailed(1, LATE, "internal", "old"),
        e.ReplyLoading(1),
        e.ReplyAnswering(1),
        e.ToolHappened(1, "clock", "1", "{}", False),
    ],
)
def test_news_of_an_old_turn_is_counted_and_changes_nothing(news: e.Event) -> None:
    scene = speaking()
    scene.finishes("It is four.")
    scene.gets(e.Asked("and the date"))
    before = scene.machine.history
    assert scene.gets(news) == []
    assert (scene.machine.history, scene.state) == (before, State.THINKING)
    assert scene.machine.counts["stale_turn"] == 1


def test_a_pair_that_the_table_lacks_is_our_bug_and_raises() -> None:
    with pytest.raises(RuntimeError, match="ReplyStopped in SPEAKING: there is no rule"):
        speaking().stops("It is")
    with pytest.raises(RuntimeError, match="Opened in THINKING"):
        thinking().gets(e.Opened())


def test_news_of_a_turn_that_was_never_started_raises() -> None:
    with pytest.raises(RuntimeError, match="never started"):
        speaking().gets(e.FirstAudio(2))


def test_partials_and_finals_are_told_once() -> None:
    scene = Scene()
    scene.starts(0)
    for text in ("what", "what", "what time", "what time"):
        scene.partial(0, text)
    scene.ends(0)
    scene.final(0, "what time")
    scene.final(0, "what time")
    assert [(told.text, told.final) for told in scene.all(c.TellTranscript)] == [
        ("what", False),
        ("what time", False),
        ("what time", True),
    ]


def test_a_final_without_words_takes_back_what_was_told() -> None:
    scene = Scene()
    scene.starts(0)
    scene.partial(0, "the")
    scene.final(0, "")
    assert scene.last(c.TellTranscript) == c.TellTranscript(0, "", True)


# --- endpointing -------------------------------------------------------------------------------------------------


def test_the_endpoint_counts_from_the_last_voiced_sample_not_from_the_end_that_the_vad_saw() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(1.3)
    scene.ends(0, voiced_until=1.0)
    scene.final(0, "what time is it")
    scene.at(3.0)
    assert scene.when(c.StartReply) == [1.5]
    assert scene.last(c.TellTurnEnded) == c.TellTurnEnded(1, "what time is it", "silence")


@pytest.mark.parametrize(
    ("text", "endpoint_s", "reason"),
    [
        ("what time is it", 0.5, "silence"),
        ("what time is it please", 0.25, "complete"),
        ("I would like to", 1.5, "unfinished"),
        ("my number is five five", 1.5, "unfinished"),
    ],
)
def test_the_endpoint_is_nearer_when_complete_and_farther_when_unfinished(
    text: str, endpoint_s: float, reason: str
) -> None:
    scene = Scene()
    scene.says(0, text, seconds=1.0)
    scene.at(5.0)
    assert scene.when(c.StartReply) == [pytest.approx(1.0 + endpoint_s)]
    assert scene.last(c.TellTurnEnded).reason == reason


def test_without_a_final_the_last_partial_stands_after_final_ms() -> None:
    scene = Scene()
    scene.starts(0)
    scene.partial(0, "what time is it")
    scene.at(1.0)
    scene.ends(0)
    scene.at(5.0)
    assert scene.when(c.StartReply) == [2.0]
    assert scene.replies() == [(c.Cause.USER, "what time is it")]
    assert scene.all(c.ForgetUtterance) == [c.ForgetUtterance(0)]


def test_a_final_after_the_endpoint_ends_the_turn_at_once() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(1.0)
    scene.ends(0)
    scene.at(1.7)
    scene.final(0, "what time is it")
    assert scene.when(c.StartReply) == [1.7]


def test_speech_after_the_endpoint_and_before_the_final_withdraws_it() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(1.0)
    scene.ends(0)
    scene.at(1.6)
    scene.starts(1)
    scene.at(1.7)
    scene.final(0, "what time is it")
    scene.at(2.5)
    scene.ends(1)
    scene.final(1, "in Rome")
    scene.at(5.0)
    assert scene.when(c.StartReply) == [3.0]
    assert scene.said() == [("user", "what time is it in Rome")]
    assert scene.machine.counts["withdrawn_endpoints"] == 1


def test_the_finals_of_all_utterances_are_awaited() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(0.5)
    scene.ends(0)
    scene.at(0.7)
    scene.starts(1)
    scene.at(1.0)
    scene.ends(1)
    scene.final(1, "in Rome")
    scene.at(1.8)
    assert not scene.all(c.StartReply)
    scene.final(0, "what time is it")
    assert scene.replies() == [(c.Cause.USER, "what time is it in Rome")]


def test_a_cough_after_the_sentence_does_not_put_the_endpoint_off() -> None:
    scene = Scene()
    scene.says(0, "what time is it", seconds=1.0)
    scene.at(1.4)
    scene.says(1, "", seconds=0.3)
    assert scene.when(c.StartReply) == [1.7]


@pytest.mark.parametrize(
    ("ends_turn", "reason"), [(e.TurnCommitted(), "committed"), (e.InputChanged(e.Input.RELEASED), "released")]
)
def test_manual_leaves_the_end_of_the_turn_to_the_client(ends_turn: e.Event, reason: str) -> None:
    scene = Scene(Policy(language="en", manual=True))
    scene.says(0, "what time is it")
    scene.at(20.0)
    assert not scene.all(c.StartReply)
    scene.gets(ends_turn)
    assert scene.replies() == [(c.Cause.USER, "what time is it")]
    assert scene.last(c.TellTurnEnded).reason == reason


def test_released_ends_the_turn_as_soon_as_the_final_is_in() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(1.0)
    scene.gets(e.InputChanged(e.Input.RELEASED))
    scene.ends(0)
    scene.at(1.1)
    scene.final(0, "what time is it")
    assert scene.when(c.StartReply) == [1.1]


def test_released_without_a_final_ends_the_turn_after_final_ms() -> None:
    scene = Scene()
    scene.starts(0)
    scene.partial(0, "what time")
    scene.at(1.0)
    scene.gets(e.InputChanged(e.Input.RELEASED))
    scene.at(5.0)
    assert scene.when(c.StartReply) == [1.5]
    assert scene.replies() == [(c.Cause.USER, "what time")]


@pytest.mark.parametrize("change", [e.Input.OPEN, e.Input.MUTED])
def test_opening_and_muting_the_input_end_no_turn(change: e.Input) -> None:
    scene = Scene(Policy(language="en", manual=True))
    scene.says(0, "what time is it")
    scene.gets(e.InputChanged(change))
    scene.at(10.0)
    assert not scene.all(c.StartReply)


def test_who_speaks_on_after_a_commit_speaks_over_its_answer() -> None:
    scene = Scene(Policy(language="en", manual=True))
    scene.starts(0)
    scene.at(1.0)
    scene.ends(0)
    scene.gets(e.TurnCommitted())
    scene.at(1.2)
    scene.starts(1)
    scene.at(1.3)
    scene.final(0, "what time is it")
    assert scene.replies() == [(c.Cause.USER, "what time is it")]
    assert scene.all(c.HoldReply) == [c.HoldReply(1)]


def test_an_utterance_without_words_ends_in_a_notice() -> None:
    scene = Scene()
    scene.says(0, "", seconds=0.5)
    scene.at(5.0)
    assert scene.notices() == ["no_words"]
    assert not scene.all(c.StartReply)
    assert scene.state is State.IDLE


def test_an_utterance_whose_final_never_comes_ends_in_a_notice() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(0.5)
    scene.ends(0)
    scene.at(5.0)
    assert scene.notices() == []
    assert scene.state is State.IDLE
    scene.at(30.0)
    assert scene.notices() == ["no_words"]
    assert scene.when(c.TellNotice) == [0.5 + 0.5 + 1.5 + 10.0]


@pytest.mark.parametrize("at_s", [5.0, 15.0])
def test_words_that_come_before_or_after_that_notice_still_count(at_s: float) -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(0.5)
    scene.ends(0)
    scene.at(at_s)
    scene.final(0, "what time is it")
    assert scene.replies() == [(c.Cause.USER, "what time is it")]
    scene.at(30.0)
    assert scene.notices() == (["no_words"] if at_s > 13 else [])


def test_a_late_final_without_words_is_told_when_it_comes() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(0.5)
    scene.ends(0)
    scene.gets(e.TurnCommitted())
    scene.at(4.0)
    scene.gets(e.TurnCommitted())
    assert scene.notices() == []
    scene.at(5.0)
    scene.final(0, "")
    assert scene.when(c.TellNotice) == [5.0]
    scene.at(30.0)
    assert scene.notices() == ["no_words"]


def test_a_recogniser_that_fails_late_is_told_and_nothing_else() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(0.5)
    scene.ends(0)
    scene.at(5.0)
    scene.gets(e.RecognitionFailed(0, "no worker"))
    scene.at(30.0)
    assert scene.notices() == ["recognition_failed"]


def test_who_speaks_again_is_not_told_of_what_came_before() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(0.5)
    scene.ends(0)
    scene.at(5.0)
    scene.says(1, "what time is it", seconds=0.5)
    scene.at(30.0)
    assert scene.notices() == []
    assert scene.replies() == [(c.Cause.USER, "what time is it")]


def test_committing_nothing_is_answered_with_a_notice() -> None:
    scene = Scene()
    scene.gets(e.TurnCommitted())
    scene.gets(e.InputChanged(e.Input.RELEASED))  # without `manual` the turn may have ended long before
    assert scene.notices() == ["no_words"]


def test_a_failed_recognition_is_told_and_what_was_understood_stands() -> None:
    scene = Scene()
    scene.starts(0)
    scene.partial(0, "what time is it")
    scene.at(0.5)
    scene.gets(e.RecognitionFailed(0, "no worker"))
    scene.at(5.0)
    assert scene.notices() == ["recognition_failed"]
    assert "no worker" in scene.last(c.TellNotice).message
    assert scene.replies() == [(c.Cause.USER, "what time is it")]


def test_a_failed_recognition_without_words_is_told_once() -> None:
    scene = Scene()
    scene.starts(0)
    scene.ends(0)
    scene.gets(e.RecognitionFailed(0, "no worker"))
    scene.at(5.0)
    assert scene.notices() == ["recognition_failed"]
    assert scene.state is State.IDLE


def test_what_fails_and_goes_on_is_told_once_and_stays_the_users_turn() -> None:
    scene = Scene()
    scene.starts(0)
    scene.partial(0, "first of all")
    scene.gets(e.RecognitionFailed(0, "the recogniser was lost", goes_on=True))
    assert scene.notices() == ["recognition_failed"]
    assert not scene.all(c.TellTurnEnded)
    scene.at(3.0)
    scene.partial(0, "first of all hello")
    scene.at(4.0)
    scene.ends(0)
    scene.gets(e.RecognitionFailed(0, "it was lost again"))
    scene.at(10.0)
    assert scene.notices() == ["recognition_failed"]
    assert scene.replies() == [(c.Cause.USER, "first of all hello")]


def test_the_final_of_a_recogniser_that_is_replaced_is_worth_a_longer_wait() -> None:
    scene = Scene()
    scene.starts(0)
    scene.partial(0, "tell me")
    scene.at(0.5)
    scene.gets(e.RecognitionDelayed(0, wait_s=5.0))
    scene.ends(0)
    scene.at(4.0)
    assert not scene.all(c.TellTurnEnded), "its last partial lacks what was said since"
    scene.final(0, "tell me a story")
    assert scene.replies() == [(c.Cause.USER, "tell me a story")]


def test_a_replacement_is_not_waited_for_without_end() -> None:
    scene = Scene()
    scene.starts(0)
    scene.partial(0, "tell me")
    scene.at(0.5)
    scene.gets(e.RecognitionDelayed(0, wait_s=5.0))
    scene.ends(0)
    scene.at(5.4)
    assert scene.replies() == []
    scene.at(5.6)
    assert scene.replies() == [(c.Cause.USER, "tell me")]


def test_what_is_said_while_nobody_hears_is_of_the_same_turn() -> None:
    scene = Scene()
    scene.starts(0)
    scene.partial(0, "tell me")
    scene.at(0.5)
    scene.gets(e.RecognitionDelayed(0, wait_s=5.0))
    scene.ends(0)
    scene.at(0.8)
    scene.starts(1)
    scene.gets(e.RecognitionDelayed(1, wait_s=5.0))
    scene.at(1.5)
    scene.ends(1)
    scene.at(5.0)
    scene.final(0, "tell me a story")
    scene.at(5.2)
    assert scene.replies() == []
    scene.final(1, "and what time it is")
    assert scene.replies() == [(c.Cause.USER, "tell me a story and what time it is")]


def test_who_is_not_heard_is_no_noise() -> None:
    scene = Scene()
    scene.starts(0)
    for at in (4.0, 8.0, 12.0):
        scene.at(at)
        scene.gets(e.RecognitionDelayed(0, wait_s=5.0))
    scene.at(16.0)
    assert not scene.all(c.RelearnNoise)


def test_a_changed_policy_counts_from_the_next_turn() -> None:
    scene = Scene()
    scene.starts(0)
    scene.gets(e.PolicyChanged(Policy(language="en", endpoint_ms=2000)))
    scene.at(1.0)
    scene.ends(0)
    scene.final(0, "what time is it")
    scene.at(2.0)
    scene.sounds()
    scene.finishes("It is four.")
    scene.at(3.0)
    scene.says(1, "and the date is", seconds=1.0)
    scene.says(2, "which", seconds=1.0)
    scene.at(20.0)
    assert scene.when(c.StartReply) == [1.5, 7.0]


def test_a_policy_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a Policy"):
        Scene().gets(e.PolicyChanged("fast"))


# --- THINKING ----------------------------------------------------------------------------------------------------


def test_speaking_begins_with_the_first_sample() -> None:
    scene = thinking()
    assert scene.state is State.THINKING
    assert scene.sounds() == [c.TellState("speaking")]


def test_real_words_while_thinking_withdraw_the_reply_and_join_the_turn() -> None:
    scene = Scene()
    scene.says(0, "what time is it", seconds=1.0)
    scene.at(2.0)
    assert scene.starts(1) == [c.HoldReply(1)]
    scene.at(2.3)
    scene.ends(1)
    assert c.StopReply(1, "withdrawn") in scene.final(1, "in Rome")
    scene.gets(e.ToolHappened(1, "clock", "1", "{}", False))
    assert not scene.all(c.TellTurnFinished)
    scene.at(2.4)
    scene.stops("", "It is four.")
    scene.at(5.0)
    assert scene.replies() == [(c.Cause.USER, "what time is it"), (c.Cause.USER, "what time is it in Rome")]
    assert scene.said() == [("user", "what time is it in Rome")]
    assert scene.last(c.TellTurnEnded) == c.TellTurnEnded(2, "what time is it in Rome", "silence")


@pytest.mark.parametrize("text", ["", "mhm"])
def test_a_false_alarm_while_thinking_lets_the_reply_go_out(text: str) -> None:
    scene = thinking()
    scene.at(1.0)
    scene.says(0, text, seconds=0.2)
    assert scene.all(c.ResumeReply) == [c.ResumeReply(1, false_alarm=True)]
    assert scene.state is State.THINKING
    assert not scene.all(c.StopReply)


def test_a_reply_withdrawn_by_time_alone_starts_again_when_no_words_come() -> None:
    scene = thinking()
    scene.at(1.0)
    scene.starts(0)
    scene.at(2.0)
    scene.stops()
    scene.ends(0)
    scene.final(0, "")
    assert scene.replies() == [(c.Cause.USER, "what time is it")] * 2
    assert scene.said() == [("user", "what time is it")]


def test_a_first_sample_that_was_on_its_way_makes_it_a_barge_in() -> None:
    scene = thinking()
    scene.at(1.0)
    scene.starts(0)
    scene.sounds()
    assert scene.state is State.BARGED_IN
    scene.at(1.3)
    scene.ends(0)
    scene.final(0, "in Rome")
    scene.stops("It", "is four.")
    assert scene.said() == [("user", "what time is it"), ("cut", "It")]


def test_words_heard_in_the_last_instant_keep_a_withdrawn_reply_in_history() -> None:
    scene = thinking()
    scene.at(1.0)
    scene.says(0, "in Rome")
    scene.sounds()
    scene.stops("It", "is four.")
    scene.at(5.0)
    assert scene.said() == [("user", "what time is it"), ("cut", "It"), ("user", "in Rome")]


def test_a_barge_in_does_not_abort_a_loading_model() -> None:
    scene = thinking()
    scene.at(2.0)
    scene.gets(e.ReplyLoading(1))
    assert scene.notices() == ["loading"]
    scene.at(3.0)
    scene.says(0, "hello are you there")
    scene.at(10.0)
    assert not scene.all(c.StopReply)
    scene.gets(e.ReplyAnswering(1))
    assert scene.all(c.StopReply) == [c.StopReply(1, "withdrawn")]
    scene.stops()
    assert scene.said() == [("user", "what time is it hello are you there")]


def test_a_question_typed_while_the_model_loads_is_answered_when_it_has_loaded() -> None:
    scene = thinking()
    scene.gets(e.ReplyLoading(1), e.Asked("and the date"))
    assert not scene.all(c.StopReply)
    scene.sounds()  # a driver that does not send ReplyAnswering
    scene.stops()
    assert scene.said() == [("user", "what time is it"), ("user", "and the date")]
    assert scene.turn == 2


def test_noise_while_the_model_loads_keeps_the_answer_in_only_while_it_lasts() -> None:
    scene = thinking()
    scene.gets(e.ReplyLoading(1))
    scene.at(1.0)
    scene.starts(0)
    scene.at(10.0)
    assert not scene.all(c.StopReply)
    assert scene.when(c.ResumeReply) == [4.0]


def test_interrupt_aborts_even_a_loading_model() -> None:
    scene = thinking()
    scene.gets(e.ReplyLoading(1))
    assert scene.gets(e.Interrupted())[0] == c.StopReply(1, "interrupt")


# --- text --------------------------------------------------------------------------------------------------------


def _listening() -> Scene:
    scene = Scene()
    scene.starts(0)
    scene.partial(0, "what time")
    return scene


def _barged_in() -> Scene:
    scene = speaking()
    scene.starts(0)
    scene.partial(0, "no wait")
    return scene


def _stopping() -> Scene:
    scene = speaking()
    scene.says(0, "no wait")
    return scene


@pytest.mark.parametrize(
    ("opening", "said"),
    [
        (Scene, [("user", "hello")]),
        (_listening, [("user", "what time"), ("user", "hello")]),
        (thinking, [("user", "what time is it"), ("user", "hello")]),
        (speaking, [("user", "what time is it"), ("cut", "It"), ("user", "hello")]),
        (_barged_in, [("user", "what time is it"), ("cut", "It"), ("user", "no wait"), ("user", "hello")]),
        (_stopping, [("user", "what time is it"), ("cut", "It"), ("user", "no wait"), ("user", "hello")]),
    ],
    ids=["idle", "listening", "thinking", "speaking", "barged_in", "stopping"],
)
def test_ask_in_any_state_commits_what_was_said_stops_the_reply_and_is_answered(
    opening: Callable[[], Scene], said: list[tuple[str, str]]
) -> None:
    scene = opening()
    scene.gets(e.Asked("hello"))
    if scene.all(c.StopReply):
        scene.stops("It" if ("cut", "It") in said else "", "is four.")
    assert scene.said() == said
    assert scene.state is State.THINKING
    assert scene.last(c.TellTurnEnded).reason == "asked"
    assert scene.last(c.StartReply).cause is c.Cause.USER


@pytest.mark.parametrize("event", [e.Asked("hello"), e.TurnCancelled()])
def test_speech_that_goes_on_after_ask_or_cancel_is_another_utterance(event: e.Event) -> None:
    commands = _listening().gets(event)
    assert commands.index(c.SilenceInput()) < commands.index(c.ForgetUtterance(0))
    ended = _listening()
    ended.ends(0)
    assert c.SilenceInput() not in ended.gets(event)


def test_a_sound_without_words_does_not_disturb_the_answer_to_what_is_asked_but_words_do() -> None:
    scene = Scene()
    scene.starts(0)
    commands = scene.gets(e.Asked("hello"))
    assert c.SilenceInput() not in commands
    assert c.ForgetUtterance(0) not in commands
    assert scene.state is State.THINKING
    scene.sounds()
    scene.at(3.0)
    assert scene.state is State.SPEAKING
    scene.partial(0, "no wait", 2)
    assert scene.all(c.StopReply)


def test_ask_carries_how_the_reply_that_it_stopped_ended() -> None:
    scene = speaking()
    scene.gets(e.Asked("hello"))
    scene.stops("It is", "four.")
    assert scene.last(c.StartReply).interruption == c.Interruption(1, "It is", "four.", typed=True)


def test_say_when_nothing_plays_is_spoken_at_once() -> None:
    scene = Scene()
    scene.gets(e.Said("Dinner is ready."))
    assert scene.replies() == [(c.Cause.SAY, "Dinner is ready.")]


def test_say_waits_behind_the_reply_eight_at_most() -> None:
    scene = speaking()
    for number in range(9):
        scene.gets(e.Said(f"text {number}"))
    assert [error.code for error in scene.all(c.TellError)] == ["queue_full"]
    for _ in range(9):
        scene.finishes("spoken")
    assert [text for _, text in scene.replies()[1:]] == [f"text {number}" for number in range(8)]


def test_the_users_turn_goes_before_what_waits_to_be_said() -> None:
    scene = speaking(Policy(language="en", interruptible=False))
    scene.gets(e.Said("Dinner is ready."))
    scene.at(1.0)
    scene.says(0, "and the date")
    scene.at(5.0)
    scene.finishes("It is four.")
    assert scene.replies()[-1] == (c.Cause.USER, "and the date")
    scene.finishes("")
    assert scene.replies()[-1] == (c.Cause.SAY, "Dinner is ready.")


def test_say_while_the_user_speaks_waits_for_the_answer() -> None:
    scene = _listening()
    scene.gets(e.Said("Dinner is ready."))
    assert not scene.all(c.StartReply)
    scene.at(0.5)
    scene.ends(0)
    scene.final(0, "what time is it")
    scene.at(2.0)
    scene.finishes("It is four.")
    assert [cause for cause, _ in scene.replies()] == [c.Cause.USER, c.Cause.SAY]


@pytest.mark.parametrize("event", [e.Asked("  "), e.Said("\n")])
def test_text_without_anything_in_it_is_refused(event: e.Event) -> None:
    scene = Scene()
    scene.gets(event)
    assert [error.code for error in scene.all(c.TellError)] == ["empty_text"]
    assert scene.state is State.IDLE


def test_texts_asked_faster_than_replies_stop_are_bounded() -> None:
    scene = speaking()
    for number in range(9):
        scene.gets(e.Asked(f"question {number}"))
    assert [error.code for error in scene.all(c.TellError)] == ["queue_full"]
    scene.stops()
    assert len(scene.last(c.StartReply).history) == 1 + 8


@pytest.mark.parametrize("opening", [Scene, _listening])
def test_interrupt_with_nothing_playing_does_nothing(opening: Callable[[], Scene]) -> None:
    scene = opening()
    state = scene.state
    assert [command for command in scene.gets(e.Interrupted()) if not isinstance(command, c.TellState)] == []
    assert scene.state is state


def test_interrupt_silences_also_what_waits_to_be_said() -> None:
    scene = speaking()
    scene.gets(e.Said("Dinner is ready."), e.Interrupted())
    assert scene.notices() == ["says_dropped"]
    scene.stops("It", "is four.")
    assert scene.state is State.IDLE
    assert len(scene.all(c.StartReply)) == 1


def test_cancel_forgets_the_open_turn() -> None:
    scene = _listening()
    assert c.ForgetUtterance(0) in scene.gets(e.TurnCancelled())
    assert scene.state is State.IDLE
    scene.final(0, "what time is it")
    scene.at(10.0)
    assert scene.said() == []


def test_cancel_lets_a_held_reply_go_on() -> None:
    scene = _barged_in()
    assert c.ResumeReply(1, false_alarm=False) in scene.gets(e.TurnCancelled())
    assert scene.state is State.SPEAKING


def test_cancel_of_a_turn_that_a_withdrawn_reply_was_to_answer_forgets_all_of_it() -> None:
    scene = thinking()
    scene.says(0, "in Rome")
    scene.gets(e.TurnCancelled())
    scene.stops()
    scene.at(10.0)
    assert scene.said() == []
    assert scene.state is State.IDLE


@pytest.mark.parametrize("typed", [True, False])
def test_the_brain_is_told_whether_the_words_that_stopped_it_were_typed(typed: bool) -> None:
    scene = speaking()
    scene.gets(e.Asked("and then") if typed else e.Interrupted())
    scene.gets(e.ReplyStopped(scene.turn, scene.heard("It is", "four.")))
    if not typed:
        scene.gets(e.Asked("and then"))
    assert scene.last(c.StartReply).interruption == c.Interruption(1, "It is", "four.", typed)


# --- failures ----------------------------------------------------------------------------------------------------


def test_a_failed_reply_is_cut_at_what_was_heard_told_and_apologised_for() -> None:
    scene = speaking()
    scene.fails("It is", "four.")
    assert scene.all(c.TellError) == [c.TellError("unavailable", "the worker is gone", fatal=False)]
    assert scene.said() == [("user", "what time is it"), ("cut", "It is")]
    assert scene.replies()[-1] == (c.Cause.APOLOGY, Policy().apology)
    scene.sounds()
    scene.finishes(Policy().apology)
    assert [item.apology for item in scene.machine.history] == [False, False, True], "it is nobody's answer"


def test_a_failed_apology_is_not_apologised_for() -> None:
    scene = speaking()
    scene.fails()
    scene.fails()
    assert len(scene.all(c.StartReply)) == 2
    assert scene.last(c.TellState).state == "idle"
    scene.gets(e.Asked("again"))
    assert scene.replies()[-1] == (c.Cause.USER, "again")


def test_a_reply_that_fails_while_it_is_stopped_concerns_nobody() -> None:
    scene = _stopping()
    scene.fails("It is", "four.")
    assert not scene.all(c.TellError)
    scene.at(5.0)
    assert scene.said() == [("user", "what time is it"), ("cut", "It is"), ("user", "no wait")]


def test_a_failure_is_no_interruption() -> None:
    scene = speaking()
    scene.fails("It is", "four.")
    scene.finishes("Sorry.")
    scene.gets(e.Asked("again"))
    assert scene.last(c.StartReply).interruption is None


def test_tools_are_history() -> None:
    scene = thinking()
    scene.gets(e.ToolHappened(1, "clock", "call1", "{}", False), e.ToolHappened(1, "clock", "call1", "16:00", True))
    scene.sounds()
    scene.finishes("It is four.")
    assert scene.machine.history[1:3] == (
        Item(Role.TOOL_CALL, "{}", 1, name="clock", call_id="call1"),
        Item(Role.TOOL_RESULT, "16:00", 1, name="clock", call_id="call1"),
    )


def test_a_session_goes_on_from_a_given_history() -> None:
    scene = Scene(history=(Item(Role.USER, "hi"),))
    scene.gets(e.Asked("hello"))
    assert [item.text for item in scene.last(c.StartReply).history] == ["hi", "hello"]


# --- grace, end --------------------------------------------------------------------------------------------------


def test_a_lost_transport_holds_playout_and_silences_the_input() -> None:
    scene = speaking()
    assert scene.gets(e.TransportLost()) == [c.SilenceInput(), c.HoldReply(1)]
    scene.at(20.0)
    assert scene.gets(e.TransportBack()) == [c.ResumeReply(1, false_alarm=False), c.TellState("speaking")]
    scene.at(100.0)
    assert scene.state is State.SPEAKING


def test_a_reply_started_without_a_transport_is_held_from_the_start() -> None:
    scene = Scene()
    scene.starts(0)
    scene.gets(e.TransportLost())
    scene.ends(0)
    scene.final(0, "what time is it")
    scene.at(5.0)
    assert scene.all(c.HoldReply) == [c.HoldReply(1)]
    scene.gets(e.TransportBack())
    assert scene.all(c.ResumeReply) == [c.ResumeReply(1, false_alarm=False)]


def test_a_transport_that_is_back_leaves_a_reply_held_that_the_user_speaks_over() -> None:
    scene = speaking()
    scene.starts(0)
    scene.gets(e.TransportLost(), e.TransportBack())
    assert scene.all(c.HoldReply) == [c.HoldReply(1)]
    assert not scene.all(c.ResumeReply)
    scene.at(0.3)
    scene.ends(0)
    scene.final(0, "")
    assert scene.all(c.ResumeReply) == [c.ResumeReply(1, false_alarm=True)]


def test_a_false_alarm_without_a_transport_keeps_the_reply_held() -> None:
    scene = speaking()
    scene.starts(0)
    scene.gets(e.TransportLost())
    scene.ends(0)
    scene.final(0, "")
    assert not scene.all(c.ResumeReply)
    scene.gets(e.TransportBack())
    assert scene.all(c.ResumeReply) == [c.ResumeReply(1, false_alarm=False)]


def test_the_session_ends_when_the_grace_time_is_over() -> None:
    scene = speaking()
    scene.gets(e.TransportLost())
    scene.at(31.0)
    assert scene.when(c.EndSession) == [30.0]
    assert scene.last(c.EndSession).reason == "grace_over"
    assert scene.all(c.StopReply) == [c.StopReply(1, "session_ended")]
    assert scene.state is State.TERMINATED


def test_losing_or_regaining_a_transport_twice_does_nothing() -> None:
    scene = speaking()
    assert scene.gets(e.TransportBack()) == []
    scene.gets(e.TransportLost())
    assert scene.gets(e.TransportLost()) == []
    assert scene.machine.counts["stale_transport"] == 2


def test_after_the_end_events_are_counted_and_ignored() -> None:
    scene = speaking()
    commands = scene.gets(e.SessionEnded("client"))
    assert commands == [
        c.StopReply(1, "session_ended"),
        c.TellState("terminated"),
        c.EndSession("client"),
    ]
    assert scene.stops("It is") == []
    assert scene.gets(e.Asked("hello"), e.SpeechStarted(0, 0, 0.0)) == []
    assert scene.machine.counts["after_end"] == 3
    assert scene.machine.next_deadline() is None


def test_a_machine_without_arguments_is_idle() -> None:
    machine = Machine()
    assert (machine.state, machine.turn, machine.history, machine.next_deadline()) == (State.IDLE, 0, (), None)
    assert machine.handle_timer(5.0) == [c.TellState("idle")]


def test_a_recogniser_that_is_late_with_its_first_word_is_waited_for_longer():
    scene = Scene()
    scene.starts(1)
    scene.at(0.6)
    scene.ends(1)
    scene.at(0.6 + 0.5 + 1.4)
    assert scene.notices() == []
    scene.final(1, "what time is it")
    assert scene.replies() == [(c.Cause.USER, "what time is it")]
    scene.at(10.0)
    assert scene.notices() == []


def test_a_recogniser_that_never_answers_is_not_waited_for_without_end():
    scene = Scene()
    scene.starts(1)
    scene.at(0.6)
    scene.ends(1)
    scene.at(0.6 + 0.5 + 1.6)
    assert scene.state is State.IDLE
    scene.at(0.6 + 0.5 + 1.6 + 10.0)
    assert scene.notices() == ["no_words"]


# --- the wait adapts ---------------------------------------------------------------------------------------------


def endpoint_s(scene: Scene, utterance: int, text: str) -> float:
    """Says it; how long after its end the turn ends."""
    scene.says(utterance, text)
    ended = scene.now
    turns = len(scene.all(c.TellTurnEnded))
    while len(scene.all(c.TellTurnEnded)) == turns:
        scene.at(round(scene.now + 0.01, 6))
    answered = scene.when(c.TellTurnEnded)[-1] - ended
    scene.sounds()
    scene.at(scene.now + 5)
    scene.finishes("fine")
    return answered


def test_fixed_is_exactly_what_is_configured_whatever_is_said_and_however() -> None:
    scene = Scene(Policy(language="en", adaptive=False, endpoint_ms=600))
    for n, text in enumerate(("thank you", "and", "my number is four", "tell me the time")):
        scene.at(scene.now + 10)
        assert endpoint_s(scene, n, text) == pytest.approx(0.6)
    scene.at(scene.now + 10)
    scene.starts(9)
    scene.at(scene.now + 0.5)
    scene.ends(9)
    scene.gets(e.TurnJudged(9, 0.01))
    ended = scene.now
    scene.final(9, "tell me more")
    scene.at(ended + 3)
    assert scene.when(c.TellTurnEnded)[-1] == pytest.approx(ended + 0.6)
    assert {turn.reason for turn in scene.all(c.TellTurnEnded)} == {"silence"}


def test_who_pauses_within_turns_is_given_more_time() -> None:
    scene = Scene()
    for n in range(0, 4, 2):
        scene.at(scene.now + 10)
        scene.says(n, "well the thing is")
        scene.at(scene.now + 0.45)
        assert endpoint_s(scene, n + 1, "that it rains there") < 0.5
    scene.at(scene.now + 10)
    assert endpoint_s(scene, 9, "tell me the time") == pytest.approx(0.55)
    assert endpoint_s(scene, 10, "thank you") == pytest.approx(0.25)


def test_who_pauses_after_words_that_show_it_is_answered_as_soon_as_before() -> None:
    scene = Scene()
    for n in range(0, 8, 2):
        scene.at(scene.now + 10)
        scene.says(n, "i would like the")
        scene.at(scene.now + 0.9)
        assert endpoint_s(scene, n + 1, "blue one over there") < 0.5
    for n in range(20, 28, 2):
        scene.at(scene.now + 10)
        scene.says(n, "my name is")
        scene.at(scene.now + 1.4)  # longer than even these words are given: a cut-off
        scene.says(n + 1, "anna miller")
        scene.stops()
        scene.at(scene.now + 3)
        scene.sounds()
        scene.finishes("fine")
    scene.at(scene.now + 10)
    assert endpoint_s(scene, 40, "tell me the time") <= 0.5


def test_a_turn_that_was_cut_off_twice_is_not_a_third_time() -> None:
    scene = Scene()
    for n in range(0, 4, 2):
        scene.at(scene.now + 10)
        scene.says(n, "well the thing is")
        scene.at(scene.now + 0.8)
        scene.says(n + 1, "that it rains there")
        assert scene.last(c.StopReply).reason == "withdrawn"
        scene.stops()
        scene.at(scene.now + 3)
        scene.sounds()
        scene.finishes("fine")
    turns = len(scene.replies())
    scene.at(scene.now + 10)
    scene.says(8, "well the thing is")
    scene.at(scene.now + 0.8)
    scene.says(9, "that it rains there")
    scene.at(scene.now + 3)
    assert len(scene.replies()) == turns + 1
    assert scene.replies()[-1][1] == "well the thing is that it rains there"


@pytest.mark.parametrize(("done", "wait"), [(0.99, 0.25), (0.5, 0.5), (0.01, 1.5)])
def test_an_ear_for_ends_makes_the_wait_shorter_or_longer(done: float, wait: float) -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(1.0)
    scene.ends(0)
    scene.final(0, "tell me the time")
    scene.at(1.1)
    scene.gets(e.TurnJudged(0, done))
    scene.at(4.0)
    assert scene.when(c.TellTurnEnded) == [pytest.approx(1.0 + wait)]


def test_an_ears_word_about_what_was_said_before_does_not_count() -> None:
    scene = Scene()
    scene.says(0, "tell me")
    scene.gets(e.TurnJudged(0, 0.01))
    scene.at(scene.now + 0.3)
    scene.says(1, "the time")
    ended = scene.now
    scene.at(4.0)
    assert scene.when(c.TellTurnEnded) == [pytest.approx(ended + 0.5)]
    scene.gets(e.TurnJudged(0, 0.99))
    assert scene.machine.counts["stale_utterance"] == 1
