"""The machine where rules meet: news that crosses a command, two utterances at once, what waits for what."""

from __future__ import annotations

import pytest

from orchestrator.conversation import commands as c
from orchestrator.conversation import events as e
from orchestrator.conversation.machine import Policy, State
from orchestrator.conversation.speech import DORMANT_MAX
from tests.support.scene import Scene, speaking, thinking

pytestmark = pytest.mark.unit

DEAF = Policy(language="en", interruptible=False)
MANUAL = Policy(language="en", manual=True)


# --- verdicts --------------------------------------------------------------------------------------------------------


def test_words_that_come_just_before_the_resume_are_given_time_to_stand() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(0.3)
    scene.ends(0)
    scene.at(0.85)
    scene.partial(0, "stop it")
    scene.at(2.0)
    assert not scene.all(c.ResumeReply)
    assert scene.when(c.StopReply) == [pytest.approx(1.05)]


def test_a_partial_does_not_make_speech_longer_than_the_hangover_lets_it_be() -> None:
    scene = speaking(Policy(language="en", hangover_ms=300))
    scene.starts(0)
    scene.at(0.8)
    scene.partial(0, "")
    assert not scene.all(c.StopReply)


def test_speech_that_was_long_enough_is_real_when_its_end_is_told() -> None:
    scene = speaking(Policy(language="en", hangover_ms=300))
    scene.starts(0)
    scene.at(0.95)
    scene.ends(0, voiced_until=0.8)
    assert scene.when(c.StopReply) == [0.95]


def test_news_of_speech_that_began_long_ago_is_judged_at_once() -> None:
    scene = speaking()
    scene.at(1.0)
    scene.gets(e.SpeechStarted(0, 0, 0.1))
    assert scene.when(c.StopReply) == [1.0]


def test_each_of_two_utterances_is_judged_at_its_own_time() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(0.1)
    scene.ends(0)
    scene.at(0.12)
    scene.starts(1)
    scene.at(0.15)
    scene.ends(1)
    scene.at(5.0)
    assert scene.when(c.ResumeReply) == [pytest.approx(0.75)]


def test_a_dormant_noise_is_not_made_real_by_its_length() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(1.0)
    scene.stops("It is", "four.")
    scene.at(5.0)
    assert scene.replies()[-1][0] is c.Cause.CONTINUE
    scene.sounds()
    scene.ends(0)
    scene.at(6.0)
    assert len(scene.all(c.StopReply)) == 1


def test_a_backchannel_whose_final_comes_when_the_reply_is_over_is_no_turn() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(0.3)
    scene.ends(0)
    scene.at(1.0)
    scene.finishes("It is four.")
    scene.final(0, "mhm")
    scene.at(5.0)
    assert len(scene.all(c.StartReply)) == 1
    assert scene.state is State.IDLE


def test_utterances_that_nobody_hears_the_end_of_are_forgotten_in_time() -> None:
    scene = speaking()
    for utterance in range(DORMANT_MAX + 2):
        scene.at(2.0 * utterance)
        scene.starts(utterance)
        scene.at(2.0 * utterance + 0.1)
        scene.ends(utterance)
    scene.at(40.0)
    assert scene.all(c.ForgetUtterance) == [c.ForgetUtterance(0), c.ForgetUtterance(1)]


# --- the user's turn -------------------------------------------------------------------------------------------------


def test_a_final_before_the_vads_end_ends_the_speech_and_the_vad_says_when_exactly() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(1.3)
    scene.final(0, "what time is it")
    scene.at(1.4)
    scene.ends(0, voiced_until=1.0)
    scene.at(5.0)
    assert scene.when(c.StartReply) == [1.5]


def test_sounds_in_a_row_without_words_end_in_a_notice() -> None:
    scene = Scene()
    for click in range(60):
        scene.at(click * 0.25)
        scene.starts(click)
        scene.at(click * 0.25 + 0.1)
        scene.ends(click)
    assert scene.when(c.TellNotice)[0] == 8.0
    assert scene.notices()[0] == "no_words"


def test_turns_without_words_raise_the_trigger_too() -> None:
    scene = Scene()
    scene.says(0, "", seconds=0.1)
    scene.at(2.0)
    scene.says(1, "", seconds=0.1)
    scene.at(4.0)
    assert scene.all(c.SetTrigger) == [c.SetTrigger(4)]


def test_what_was_said_before_a_commit_is_the_turn_and_the_rest_is_the_next() -> None:
    scene = Scene(MANUAL)
    scene.starts(0)
    scene.at(0.5)
    scene.ends(0)
    scene.gets(e.TurnCommitted())
    scene.at(0.6)
    scene.starts(1)
    scene.at(0.7)
    scene.final(0, "")
    assert scene.notices() == ["no_words"]
    assert scene.state is State.LISTENING
    scene.ends(1)
    scene.final(1, "what time is it")
    scene.gets(e.TurnCommitted())
    assert scene.replies() == [(c.Cause.USER, "what time is it")]


def test_input_released_over_a_reply_ends_the_turn_that_comes_of_it() -> None:
    scene = speaking(MANUAL)
    scene.starts(0)
    scene.at(0.3)
    scene.ends(0)
    scene.gets(e.InputChanged(e.Input.RELEASED))
    scene.final(0, "and the date")
    scene.at(0.4)
    scene.stops("It is", "four.")
    assert scene.when(c.StartReply) == [0.0, 0.4]


def test_input_released_while_the_model_loads_still_ends_the_turn() -> None:
    scene = thinking(MANUAL)
    scene.gets(e.ReplyLoading(1))
    scene.starts(0)
    scene.at(0.3)
    scene.ends(0)
    scene.gets(e.InputChanged(e.Input.RELEASED))
    scene.final(0, "and the date")
    scene.gets(e.ReplyAnswering(1))
    scene.stops()
    assert scene.replies()[-1] == (c.Cause.USER, "what time is it and the date")


def test_a_turn_that_waited_for_a_reply_is_not_too_long_because_of_that() -> None:
    scene = speaking(Policy(language="en", interruptible=False, turn_max_s=5.0))
    scene.starts(0)
    scene.partial(0, "and")
    scene.at(5.5)
    scene.partial(0, "and the")
    scene.at(6.0)
    scene.finishes("It is four.")
    scene.at(8.0)
    assert scene.state is State.LISTENING
    scene.partial(0, "and the date")
    scene.at(12.0)
    assert scene.when(c.StartReply)[-1] == 11.0


# --- not interruptible -----------------------------------------------------------------------------------------------


def test_a_cough_over_a_reply_that_is_not_interruptible_is_nothing() -> None:
    scene = speaking(DEAF)
    scene.says(0, "", seconds=0.3)
    scene.finishes("It is four.")
    assert scene.state is State.IDLE
    assert not scene.notices()


def test_late_words_do_not_stop_a_reply_that_is_not_interruptible() -> None:
    scene = Scene(DEAF)
    scene.starts(0)
    scene.at(0.3)
    scene.ends(0)
    scene.at(3.0)
    scene.gets(e.Said("Dinner is ready."))
    scene.sounds()
    scene.final(0, "what time is it")
    assert not scene.all(c.StopReply)
    scene.finishes("Dinner is ready.")
    assert scene.replies()[-1] == (c.Cause.USER, "what time is it")


def test_a_reply_that_was_held_before_its_first_sample_may_be_stopped() -> None:
    scene = thinking(DEAF)
    scene.starts(0)
    scene.sounds()
    scene.at(1.0)
    assert scene.all(c.StopReply)


# --- a model that loads ----------------------------------------------------------------------------------------------


def _superseded() -> Scene:
    scene = thinking()
    scene.gets(e.ReplyLoading(1))
    scene.says(0, "and the date")
    return scene


def test_more_speech_while_the_model_loads_holds_nothing() -> None:
    scene = _superseded()
    held = len(scene.all(c.HoldReply))
    scene.starts(1)
    assert len(scene.all(c.HoldReply)) == held


def test_a_first_sample_that_crosses_the_stop_stops_nothing_again() -> None:
    scene = _superseded()
    scene.gets(e.ReplyAnswering(1))
    scene.sounds()
    assert len(scene.all(c.StopReply)) == 1


def test_cancelling_what_was_said_while_the_model_loads_lets_the_answer_come() -> None:
    scene = _superseded()
    scene.gets(e.TurnCancelled(), e.ReplyAnswering(1))
    scene.sounds()
    assert not scene.all(c.StopReply)
    assert scene.state is State.SPEAKING


def test_when_the_model_has_loaded_words_withdraw_the_reply_as_ever() -> None:
    scene = thinking()
    scene.gets(e.ReplyLoading(1), e.ReplyAnswering(1))
    scene.says(0, "and the date")
    assert scene.all(c.StopReply) == [c.StopReply(1, "withdrawn")]


def test_speech_that_is_real_by_its_length_counts_when_the_model_has_loaded() -> None:
    scene = thinking()
    scene.gets(e.ReplyLoading(1))
    scene.starts(0)
    scene.at(2.0)
    assert not scene.all(c.StopReply)
    scene.gets(e.ReplyAnswering(1))
    assert scene.when(c.StopReply) == [2.0]


def test_ask_while_somebody_speaks_and_the_model_loads_ends_the_hold() -> None:
    scene = thinking()
    scene.gets(e.ReplyLoading(1))
    scene.starts(0)
    assert c.ResumeReply(1, false_alarm=False) in scene.gets(e.Asked("and the date"))


def test_a_question_that_waits_for_a_model_that_fails_is_answered_without_an_apology() -> None:
    scene = thinking()
    scene.gets(e.ReplyLoading(1), e.Asked("and the date"))
    scene.fails()
    assert scene.replies()[-1] == (c.Cause.USER, "and the date")
    scene.sounds()
    scene.finishes("The first.")
    assert scene.state is State.IDLE


# --- what crosses a stop ------------------------------------------------------------------------------------------


def test_a_reply_that_ends_empty_while_it_is_withdrawn_never_was() -> None:
    scene = thinking()
    scene.says(0, "in Rome")
    scene.finishes("")
    scene.at(5.0)
    assert scene.said() == [("user", "what time is it in Rome")]


def test_ask_while_a_reply_is_withdrawn_keeps_its_question_as_it_was() -> None:
    scene = thinking()
    scene.says(0, "in Rome")
    scene.gets(e.Asked("and the date"))
    scene.stops()
    assert scene.said() == [("user", "what time is it"), ("user", "in Rome"), ("user", "and the date")]


def test_a_backchannel_over_a_reply_is_not_committed_by_ask() -> None:
    scene = speaking()
    scene.starts(0)
    scene.partial(0, "mhm")
    scene.gets(e.Asked("and the date"))
    scene.stops("It is", "four.")
    assert scene.said() == [("user", "what time is it"), ("cut", "It is"), ("user", "and the date")]


def test_who_begins_to_speak_after_ask_speaks_over_its_answer() -> None:
    scene = speaking()
    scene.gets(e.Asked("and the date"))
    scene.at(0.1)
    scene.starts(0)
    scene.stops("It is", "four.")
    assert scene.all(c.HoldReply) == [c.HoldReply(2)]


def test_an_interrupt_after_the_stop_lets_nothing_go_on_either() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(1.0)
    scene.stops("It is", "four.")
    scene.gets(e.Interrupted())
    scene.ends(0)
    scene.final(0, "")
    scene.at(3.0)
    assert len(scene.all(c.StartReply)) == 1


def test_nothing_goes_on_when_nothing_was_left_unheard() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(1.0)
    scene.stops("It is four.", " ")
    scene.ends(0)
    scene.final(0, "")
    scene.at(3.0)
    assert len(scene.all(c.StartReply)) == 1
    assert scene.notices() == ["no_words"]


def test_a_reply_that_was_interrupted_before_it_sounded_is_no_interruption() -> None:
    scene = thinking()
    scene.gets(e.Interrupted())
    scene.stops("", "It is four.")
    scene.gets(e.Asked("and the date"))
    assert scene.last(c.StartReply).interruption is None


def test_a_reply_that_failed_twice_is_no_interruption() -> None:
    scene = speaking()
    scene.fails("It is", "four.")
    scene.sounds()
    scene.fails("Sor", "ry.")
    scene.gets(e.Asked("and the date"))
    assert scene.last(c.StartReply).interruption is None


# --- a changed policy ------------------------------------------------------------------------------------------------


def test_a_policy_changed_while_a_reply_sounds_counts_when_it_is_over() -> None:
    scene = speaking()
    changed = Policy(language="en", endpoint_ms=2000)
    scene.gets(e.PolicyChanged(changed))
    assert scene.machine.policy != changed
    scene.finishes("It is four.")
    assert scene.machine.policy == changed


def test_a_policy_changed_while_the_user_speaks_counts_for_the_answer() -> None:
    scene = Scene()
    scene.starts(0)
    scene.gets(e.PolicyChanged(DEAF))
    scene.ends(0)
    scene.final(0, "what time is it")
    scene.at(1.0)
    scene.sounds()
    scene.says(1, "stop it")
    assert not scene.all(c.StopReply)
