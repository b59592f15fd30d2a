"""One readable example for each rule about speech over a reply: real, false, late, noise, what goes on after it."""

from __future__ import annotations

import pytest

from orchestrator.conversation import commands as c
from orchestrator.conversation import events as e
from orchestrator.conversation.machine import Policy, State
from tests.support.scene import Scene, speaking, thinking

pytestmark = pytest.mark.unit


def test_speech_over_a_reply_holds_it_at_once_and_nothing_else() -> None:
    scene = speaking()
    scene.at(1.0)
    assert scene.starts(0) == [c.HoldReply(1), c.TellState("barged_in")]


# --- real --------------------------------------------------------------------------------------------------------


def test_a_final_with_a_real_word_stops_the_reply() -> None:
    scene = speaking()
    scene.at(1.0)
    scene.says(0, "stop that", seconds=0.3)
    assert scene.when(c.StopReply) == [1.3]
    assert scene.last(c.StopReply) == c.StopReply(1, "barge_in")


def test_a_word_that_stands_in_the_partials_for_stable_ms_stops_the_reply() -> None:
    scene = speaking()
    scene.at(1.0)
    scene.starts(0)
    scene.at(1.2)
    scene.partial(0, "stop")
    scene.at(1.3)
    scene.partial(0, "stop that")
    scene.at(3.0)
    assert scene.when(c.StopReply) == [pytest.approx(1.4)]


def test_a_word_that_changes_is_not_stable() -> None:
    scene = speaking()
    scene.at(1.0)
    scene.starts(0)
    for step, word in enumerate(["sto", "stop", "store"]):
        scene.at(1.1 + step * 0.15)
        scene.partial(0, word)
    scene.at(1.55)
    assert not scene.all(c.StopReply)


def test_a_word_that_the_recogniser_calls_stable_stops_the_reply_at_once() -> None:
    scene = speaking()
    scene.at(1.0)
    scene.starts(0)
    scene.at(1.2)
    scene.partial(0, "stop tha", stable=8)
    assert scene.when(c.StopReply) == [1.2]


def test_a_word_half_within_what_is_called_stable_is_not() -> None:
    scene = speaking()
    scene.starts(0)
    scene.partial(0, "stopping", stable=4)
    assert not scene.all(c.StopReply)


def test_speech_of_confirm_ms_stops_the_reply_without_a_word() -> None:
    scene = speaking()
    scene.at(1.0)
    scene.starts(0)
    scene.at(3.0)
    assert scene.when(c.StopReply) == [pytest.approx(1.7)]


def test_speech_counts_only_until_the_vads_hangover_ago() -> None:
    scene = speaking(Policy(language="en", hangover_ms=300))
    scene.at(1.0)
    scene.starts(0)
    scene.at(1.8)
    scene.ends(0, voiced_until=1.5)
    scene.final(0, "")
    assert not scene.all(c.StopReply)
    scene.at(2.0)
    scene.starts(1)
    scene.at(4.0)
    assert scene.when(c.StopReply) == [pytest.approx(3.0)]


def test_speech_of_confirm_ms_with_backchannels_only_does_not_stop_the_reply() -> None:
    scene = speaking()
    scene.at(1.0)
    scene.starts(0)
    scene.at(1.2)
    scene.partial(0, "yeah")
    scene.at(2.2)
    assert not scene.all(c.StopReply)
    scene.partial(0, "yeah but wait", stable=13)
    assert scene.when(c.StopReply) == [2.2]


def test_the_beginning_of_a_backchannel_waits_for_the_rest() -> None:
    scene = speaking()
    scene.starts(0)
    scene.partial(0, "I")
    scene.at(0.4)
    assert not scene.all(c.StopReply)
    scene.ends(0)
    scene.final(0, "I see")
    assert scene.all(c.ResumeReply) == [c.ResumeReply(1, false_alarm=True)]


def test_in_a_language_without_data_any_word_is_real() -> None:
    scene = speaking(Policy(language="tlh"))
    scene.says(0, "okay", seconds=0.3)
    assert scene.all(c.StopReply)


def test_interrupt_stops_the_reply_and_what_is_being_said_is_the_next_turn() -> None:
    scene = speaking()
    scene.starts(0)
    scene.gets(e.Interrupted())
    assert scene.all(c.StopReply) == [c.StopReply(1, "interrupt")]
    scene.stops("It", "is four.")
    scene.at(0.5)
    scene.ends(0)
    scene.final(0, "and the date")
    scene.at(2.0)
    assert scene.replies()[-1] == (c.Cause.USER, "and the date")


# --- after a real one --------------------------------------------------------------------------------------------


def test_after_a_barge_in_history_has_the_words_heard_and_the_next_reply_knows() -> None:
    scene = speaking()
    scene.at(1.0)
    scene.says(0, "stop that", seconds=0.3)
    scene.at(5.0)
    assert len(scene.all(c.StartReply)) == 1, "started before the last one's stop"
    assert scene.said() == [("user", "what time is it")]
    scene.stops("It is", "four o'clock.")
    assert scene.said() == [("user", "what time is it"), ("cut", "It is"), ("user", "stop that")]
    assert scene.last(c.StartReply).interruption == c.Interruption(1, "It is", "four o'clock.")
    assert scene.all(c.TellTurnFinished)[0].reason == "barge_in"


def test_a_reply_of_which_no_word_was_heard_leaves_no_trace() -> None:
    scene = speaking()
    scene.says(0, "stop that", seconds=0.3)
    scene.stops("", "It is four.")
    scene.at(5.0)
    assert scene.said() == [("user", "what time is it"), ("user", "stop that")]


def test_a_lease_is_asked_for_when_the_user_takes_the_floor() -> None:
    scene = speaking()
    scene.says(0, "stop that", seconds=0.3)
    assert len(scene.all(c.PrepareReply)) == 1


def test_the_words_of_a_withdrawn_replys_interruption_are_passed_on() -> None:
    scene = speaking()
    scene.says(0, "stop that", seconds=0.3)
    scene.stops("It is", "four.")
    scene.at(1.0)
    assert scene.turn == 2
    scene.says(1, "now", seconds=0.3)
    scene.stops()
    scene.at(5.0)
    assert scene.turn == 3
    assert scene.last(c.StartReply).interruption == c.Interruption(1, "It is", "four.")
    assert scene.said()[-1] == ("user", "stop that now")


# --- false -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "mhm", "Uh-huh.", "okay, I see"])
def test_a_final_without_words_or_with_backchannels_only_resumes_the_reply(text: str) -> None:
    scene = speaking()
    scene.at(1.0)
    scene.says(0, text, seconds=0.3)
    assert scene.all(c.ResumeReply) == [c.ResumeReply(1, false_alarm=True)]
    assert scene.state is State.SPEAKING
    scene.at(10.0)
    assert not scene.all(c.StopReply)
    assert scene.said() == [("user", "what time is it")]
    assert not scene.notices(), "a reply that goes on is no silence"


@pytest.mark.parametrize("text", ["yes", "Mm-hm.", "okay, right"])
def test_the_same_word_to_a_question_of_the_reply_is_its_answer(text: str) -> None:
    scene = speaking()
    scene.at(1.0)
    scene.plays("It is four. Shall I wake you?", asks=True)
    scene.says(0, text, seconds=0.3)
    assert scene.all(c.StopReply) == [c.StopReply(1, "barge_in")]
    scene.stops("It is four. Shall I", "wake you?")
    scene.at(5.0)
    assert scene.replies()[-1] == (c.Cause.USER, text)


def test_a_word_that_is_stable_answers_a_question_at_once() -> None:
    scene = speaking()
    scene.plays("Shall I wake you?", asks=True)
    scene.starts(0)
    scene.at(0.2)
    scene.partial(0, "yes", stable=3)
    assert scene.when(c.StopReply) == [0.2]


def test_an_answer_to_a_reply_that_may_not_be_interrupted_is_the_next_turn() -> None:
    for asks, replies in ((True, 2), (False, 1)):
        scene = speaking(Policy(language="en", interruptible=False))
        scene.plays("Shall I wake you?", asks=asks)
        scene.says(0, "yes", seconds=0.3)
        scene.at(0.6)
        scene.finishes("Shall I wake you?")
        scene.at(5.0)
        assert len(scene.replies()) == replies


def test_without_a_final_the_reply_resumes_resume_ms_after_the_speech() -> None:
    scene = speaking()
    scene.at(1.0)
    scene.starts(0)
    scene.at(1.5)
    scene.ends(0, voiced_until=1.3)
    scene.at(3.0)
    assert scene.when(c.ResumeReply) == [pytest.approx(1.9)]


def test_a_failed_recognition_resumes_the_reply() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(0.3)
    scene.gets(e.RecognitionFailed(0, "no worker"))
    assert scene.all(c.ResumeReply)
    assert scene.notices() == ["recognition_failed"]


def test_a_final_after_the_resume_that_has_a_real_word_is_a_barge_in_then() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(0.3)
    scene.ends(0)
    scene.at(2.0)
    assert scene.all(c.ResumeReply)
    scene.final(0, "stop that")
    assert scene.when(c.StopReply) == [2.0]
    assert scene.machine.counts["late_barge_ins"] == 1
    scene.stops("It is", "four.")
    scene.at(4.0)
    assert scene.replies()[-1] == (c.Cause.USER, "stop that")
    assert scene.last(c.StartReply).false_alarms == 0


@pytest.mark.parametrize("text", ["", "mhm"])
def test_a_final_after_the_resume_without_a_real_word_changes_nothing(text: str) -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(0.3)
    scene.ends(0)
    scene.at(2.0)
    scene.final(0, text)
    scene.finishes("It is four.")
    scene.at(10.0)
    assert not scene.all(c.StopReply)
    assert scene.state is State.IDLE
    assert scene.machine.counts["false_alarms"] == 1


# --- the loudspeaker's own words -------------------------------------------------------------------------------------

FORECAST = "The weather in Paris is sunny tomorrow."


@pytest.mark.parametrize("text", ["the weather in Paris", "weather in pairs", "is sunny tomorrow"])
def test_words_that_the_loudspeaker_says_just_then_are_a_false_alarm(text: str) -> None:
    scene = speaking()
    scene.plays(FORECAST)
    scene.at(1.0)
    scene.starts(0)
    scene.at(1.2)
    scene.partial(0, text, stable=len(text))
    scene.at(1.4)
    scene.ends(0)
    scene.final(0, text)
    assert scene.all(c.ResumeReply) == [c.ResumeReply(1, false_alarm=True)]
    assert scene.machine.counts["self_echoes"] == scene.machine.counts["false_alarms"] == 1
    assert not scene.all(c.TellTranscript)
    scene.at(20.0)
    assert not scene.all(c.StopReply)
    assert not scene.notices()


@pytest.mark.parametrize("text", ["stop", "the", "Paris", "wait", "the weather in Paris stop", "and tomorrow evening"])
def test_who_repeats_a_word_or_says_more_interrupts(text: str) -> None:
    scene = speaking()
    scene.plays(FORECAST, near="is sunny")
    scene.at(1.0)
    scene.says(0, text, seconds=0.4)
    assert scene.all(c.StopReply) == [c.StopReply(1, "barge_in")]
    assert not scene.machine.counts["self_echoes"]


def test_who_speaks_on_after_the_reply_was_held_is_the_user_whatever_they_say() -> None:
    scene = speaking()
    scene.plays(FORECAST)
    scene.at(1.0)
    scene.starts(0)
    scene.at(1.2)
    scene.partial(0, "the weather in Paris", stable=20)
    scene.at(2.2)
    assert scene.when(c.StopReply) == [pytest.approx(1.7)]
    scene.ends(0)
    scene.final(0, "the weather in Paris")
    scene.stops("The weather", "in Paris is sunny tomorrow.")
    scene.at(5.0)
    assert scene.replies()[-1] == (c.Cause.USER, "the weather in Paris")


def test_an_echo_with_the_users_words_after_it_stops_when_they_come() -> None:
    scene = speaking()
    scene.plays(FORECAST)
    scene.starts(0)
    scene.at(0.2)
    scene.partial(0, "the weather in", stable=14)
    assert not scene.all(c.StopReply)
    scene.at(0.5)
    scene.partial(0, "the weather in no listen", stable=17)
    assert scene.when(c.StopReply) == [0.5]


def test_the_same_words_when_nothing_sounds_are_the_users() -> None:
    scene = thinking()
    scene.says(0, "the weather in Paris", seconds=0.4)
    assert scene.all(c.StopReply) == [c.StopReply(1, "withdrawn")]


def test_the_echo_of_the_last_words_is_no_turn() -> None:
    scene = speaking()
    scene.plays(FORECAST)
    scene.finishes(FORECAST)
    scene.at(0.2)
    scene.says(0, "sunny tomorrow", seconds=0.4)
    scene.at(5.0)
    assert scene.state is State.IDLE
    assert len(scene.replies()) == 1
    assert not scene.notices()
    assert scene.machine.counts["self_echoes"] == 1


def test_an_echo_of_a_reply_that_may_not_be_interrupted_grows_with_it_and_is_no_turn() -> None:
    scene = speaking(Policy(language="en", interruptible=False))
    scene.plays("The weather in Paris")
    scene.starts(0)
    scene.at(1.0)
    scene.plays("in Paris is sunny tomorrow, with a light breeze.", start=12)
    scene.partial(0, "the weather in Paris is sunny")
    scene.at(2.5)
    scene.ends(0)
    scene.final(0, "the weather in Paris is sunny tomorrow with a light breeze")
    scene.at(3.0)
    scene.finishes("The weather in Paris is sunny tomorrow, with a light breeze.")
    scene.at(9.0)
    assert len(scene.replies()) == 1
    assert scene.machine.counts["self_echoes"] == 1


@pytest.mark.parametrize("text", ["", "Tip hop.", "stop"])
def test_what_is_the_loudspeakers_by_its_sound_is_a_false_alarm_whatever_was_understood(text: str) -> None:
    scene = speaking()
    scene.plays(FORECAST)
    scene.at(1.0)
    scene.starts(0)
    scene.at(1.15)
    if text:
        scene.partial(0, text)
    scene.at(1.2)
    scene.ends(0)
    scene.gets(e.FinalHeard(0, "", loudspeaker=True))
    assert scene.when(c.ResumeReply) == [1.2]
    assert scene.machine.counts["self_echoes"] == scene.machine.counts["false_alarms"] == 1
    scene.at(20.0)
    assert not scene.all(c.StopReply)
    assert not scene.notices()
    assert len(scene.replies()) == 1


def test_the_loudspeakers_sound_after_the_reply_is_no_turn() -> None:
    scene = speaking()
    scene.plays(FORECAST)
    scene.finishes(FORECAST)
    scene.at(0.2)
    scene.starts(0)
    scene.at(0.5)
    scene.ends(0)
    scene.gets(e.FinalHeard(0, "", loudspeaker=True))
    scene.at(9.0)
    assert scene.state is State.IDLE
    assert len(scene.replies()) == 1
    assert not scene.notices()


def test_of_whom_is_heard_over_a_reply_only_the_user_is_heeded() -> None:
    scene = speaking()
    scene.plays(FORECAST)
    scene.starts(0)
    playing = e.Playing(1, 0, FORECAST, FORECAST)
    scene.at(0.2)
    assert not scene.machine.heeds(e.PartialHeard(0, "listen to me", playing=playing)), "in doubt yet"
    assert not scene.machine.heeds(e.FinalHeard(0, "the weather in Paris", playing=playing)), "the loudspeaker"
    assert scene.machine.heeds(e.FinalHeard(0, "listen to me", playing=playing))
    scene.partial(0, "listen to me", stable=12)
    assert scene.all(c.StopReply)
    assert scene.machine.heeds(e.PartialHeard(0, "listen to me now", playing=playing))
    idle = thinking()
    idle.starts(1)
    assert idle.machine.heeds(e.PartialHeard(1, "the weather in Paris"))


def test_the_third_echo_is_told_once() -> None:
    scene = speaking()
    scene.plays(FORECAST)
    for utterance in range(5):
        scene.at(1.0 + utterance)
        scene.says(utterance, "the weather in Paris", seconds=0.3)
        assert scene.notices() == (["self_echo"] if utterance >= 2 else [])


def test_a_new_utterance_keeps_the_hold() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(0.2)
    scene.ends(0)
    scene.at(0.5)
    scene.starts(1)
    scene.at(0.6)
    scene.final(0, "")
    assert not scene.all(c.ResumeReply)
    scene.at(0.7)
    scene.ends(1)
    scene.final(1, "")
    assert scene.when(c.HoldReply) == [0.0]
    assert scene.when(c.ResumeReply) == [0.7]


def test_a_hold_lasts_three_seconds_at_most() -> None:
    scene = speaking()
    for utterance in range(20):  # each begins before the last one's final, so the hold never ends by itself
        scene.at(utterance * 0.25)
        scene.starts(utterance)
        scene.at(utterance * 0.25 + 0.1)
        scene.ends(utterance)
        if utterance:
            scene.final(utterance - 1, "")
    assert scene.when(c.ResumeReply)[0] == pytest.approx(3.0)


def test_backchannels_do_not_hold_longer_either() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(0.3)
    scene.partial(0, "yeah yeah yeah")
    scene.at(5.0)
    assert scene.when(c.ResumeReply) == [3.0]


def test_false_alarms_are_told_to_the_next_reply() -> None:
    scene = speaking()
    for utterance in (0, 1):
        scene.at(1.0 + 6 * utterance)
        scene.says(utterance, "", seconds=0.1)
    scene.finishes("It is four.")
    scene.gets(e.Asked("again"))
    assert scene.last(c.StartReply).false_alarms == 2


def test_two_false_alarms_raise_the_trigger_until_it_has_been_quiet() -> None:
    scene = speaking()
    scene.at(1.0)
    scene.says(0, "", seconds=0.1)
    scene.at(5.0)
    scene.says(1, "", seconds=0.1)
    assert scene.all(c.SetTrigger) == [c.SetTrigger(4)]
    scene.at(10.0)
    scene.says(2, "mhm", seconds=0.1)
    scene.at(30.0)
    assert scene.all(c.SetTrigger) == [c.SetTrigger(4), c.SetTrigger(2)]
    assert scene.when(c.SetTrigger)[1] == pytest.approx(20.1)


def test_two_false_alarms_far_apart_do_not() -> None:
    scene = speaking()
    scene.at(1.0)
    scene.says(0, "", seconds=0.1)
    scene.at(7.0)
    scene.says(1, "", seconds=0.1)
    assert not scene.all(c.SetTrigger)


def test_typing_stretches_a_reply_by_no_more_than_half() -> None:
    """Four clicks a second for 10 s, of 60 ms each: three VAD frames, so the raised trigger does not see them."""
    scene = speaking()
    click = 0
    for quarter in range(40):
        scene.at(quarter / 4)
        if scene.all(c.SetTrigger):
            continue
        scene.starts(click)
        scene.at(quarter / 4 + 0.2)
        scene.ends(click, voiced_until=quarter / 4 + 0.06)
        if click:
            scene.final(click - 1, "")  # finals come late enough for the next click to keep the hold
        click += 1
    scene.at(10.0)
    held = sum(scene.when(c.ResumeReply)) - sum(scene.when(c.HoldReply))
    assert len(scene.when(c.ResumeReply)) == len(scene.when(c.HoldReply))
    assert 0 < held <= 5.0
    assert not scene.all(c.StopReply)


# --- stopped for nothing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "mhm"])
def test_a_reply_stopped_by_time_alone_goes_on_when_no_words_come(text: str) -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(1.0)
    scene.stops("It is", "four o'clock.")
    scene.ends(0)
    scene.final(0, text)
    scene.at(3.0)
    assert scene.replies()[-1] == (c.Cause.CONTINUE, "four o'clock.")
    assert scene.turn == 2
    assert not scene.notices()
    scene.sounds()
    scene.finishes("four o'clock.")
    assert scene.said() == [("user", "what time is it"), ("cut", "It is"), ("assistant", "four o'clock.")]


def test_it_does_not_go_on_when_words_come() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(1.0)
    scene.stops("It is", "four o'clock.")
    scene.ends(0)
    scene.final(0, "stop that")
    scene.at(3.0)
    scene.finishes("")
    assert [cause for cause, _ in scene.replies()] == [c.Cause.USER, c.Cause.USER]


def test_it_does_not_go_on_after_an_interrupt() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(1.0)
    scene.gets(e.Interrupted())
    scene.stops("It is", "four o'clock.")
    scene.ends(0)
    scene.final(0, "")
    scene.at(3.0)
    assert len(scene.all(c.StartReply)) == 1
    assert scene.notices() == ["no_words"]


def test_a_noise_that_stays_keeps_it_waiting_for_three_seconds_at_most() -> None:
    scene = speaking()
    scene.starts(0)
    scene.at(1.0)
    scene.stops("It is", "four o'clock.")
    scene.at(5.0)
    assert scene.when(c.StartReply)[-1] == pytest.approx(3.0)
    assert scene.state is State.THINKING, "the noise holds nothing any more"


def test_a_text_to_be_said_that_a_noise_withdrew_is_said_again() -> None:
    scene = Scene()
    scene.gets(e.Said("Dinner is ready."))
    scene.starts(0)
    scene.at(1.0)
    scene.stops("", "Dinner is ready.")
    scene.ends(0)
    scene.final(0, "")
    scene.at(3.0)
    assert scene.replies() == [(c.Cause.SAY, "Dinner is ready.")] * 2


# --- noise -------------------------------------------------------------------------------------------------------


def test_speech_for_eight_seconds_without_a_word_is_a_noise() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(10.0)
    assert scene.when(c.RelearnNoise) == [8.0]
    assert scene.notices()[0] == "steady_noise"
    assert scene.state is State.IDLE


def test_a_noise_is_told_once_and_learnt_again() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(40.0)
    assert scene.notices().count("steady_noise") == 1
    assert len(scene.all(c.RelearnNoise)) == 5


def test_a_turn_that_a_noise_keeps_open_ends_with_its_words() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(1.0)
    scene.partial(0, "what time is it")
    scene.at(20.0)
    assert scene.when(c.StartReply) == [9.0]
    assert scene.replies() == [(c.Cause.USER, "what time is it")]


def test_words_in_the_noise_count_after_all() -> None:
    scene = Scene()
    scene.starts(0)
    scene.at(10.0)
    scene.partial(0, "what time is it")
    assert scene.state is State.LISTENING
    scene.ends(0)
    scene.final(0, "what time is it")
    scene.at(12.0)
    assert scene.replies() == [(c.Cause.USER, "what time is it")]


def test_sounds_without_words_keep_a_turn_that_has_words_open_for_three_seconds_at_most() -> None:
    scene = Scene()
    scene.says(0, "what time is it", seconds=0.5)
    for click in range(1, 40):
        scene.at(0.5 + click * 0.25)
        scene.starts(click)
        scene.at(0.5 + click * 0.25 + 0.2)
        scene.ends(click)
    assert scene.when(c.StartReply)[0] == pytest.approx(3.75)


def test_a_turn_does_not_last_longer_than_turn_max_s() -> None:
    scene = Scene(Policy(language="en", turn_max_s=20))
    scene.starts(0)
    text = ""
    for second in range(40):
        scene.at(float(second))
        text += f"word{second} "
        scene.partial(0, text)
    assert scene.when(c.StartReply) == [20.0]
    assert scene.last(c.TellTurnEnded).reason == "too_long"
    assert scene.notices() == ["turn_too_long"]


def test_a_recogniser_without_partials_is_given_time() -> None:
    scene = speaking(Policy(language="en").without_partials())
    scene.starts(0)
    scene.at(0.8)
    scene.stops("It is", "four.")
    scene.at(12.0)
    scene.ends(0)
    scene.final(0, "a long question without partials")
    scene.at(13.0)
    assert scene.notices() == []
    assert [cause for cause, _ in scene.replies()] == [c.Cause.USER, c.Cause.USER]


# --- the reply's end under the hold ------------------------------------------------------------------------------


def test_everything_played_while_barged_in_gives_the_user_the_floor() -> None:
    scene = speaking()
    scene.starts(0)
    scene.finishes("Do you want tea?")
    assert scene.state is State.LISTENING
    scene.at(0.3)
    scene.ends(0)
    scene.final(0, "yes")
    scene.at(2.0)
    assert scene.replies()[-1] == (c.Cause.USER, "yes"), "over the end of a question it is an answer"


def test_a_worker_lost_while_barged_in_cuts_at_what_was_heard() -> None:
    scene = speaking()
    scene.starts(0)
    scene.fails("It is", "four.")
    assert scene.state is State.LISTENING
    assert scene.said() == [("user", "what time is it"), ("cut", "It is")]
    scene.at(0.3)
    scene.ends(0)
    scene.final(0, "hello")
    scene.at(2.0)
    assert [cause for cause, _ in scene.replies()] == [c.Cause.USER, c.Cause.USER]


# --- not interruptible -------------------------------------------------------------------------------------------


def test_a_reply_that_is_not_interruptible_goes_on_and_the_speech_is_the_next_turn() -> None:
    scene = speaking(Policy(language="en", interruptible=False))
    scene.says(0, "and the date", seconds=1.0)
    scene.at(5.0)
    assert not scene.all(c.HoldReply)
    assert scene.state is State.SPEAKING
    scene.finishes("It is four.")
    assert scene.said()[-1] == ("user", "and the date")


def test_backchannels_over_it_are_no_turn() -> None:
    scene = speaking(Policy(language="en", interruptible=False))
    scene.says(0, "mhm", seconds=0.3)
    scene.finishes("It is four.")
    assert scene.state is State.IDLE


def test_its_answer_still_waits_for_the_rest_of_the_question() -> None:
    scene = thinking(Policy(language="en", interruptible=False))
    scene.says(0, "in Rome", seconds=0.3)
    assert scene.all(c.StopReply) == [c.StopReply(1, "withdrawn")]


def test_interrupt_stops_it_all_the_same() -> None:
    scene = speaking(Policy(language="en", interruptible=False))
    scene.gets(e.Interrupted())
    assert scene.all(c.StopReply) == [c.StopReply(1, "interrupt")]


def test_a_sound_that_was_no_speech_and_outlasted_the_reply_is_not_asked_for_words() -> None:
    scene = speaking()
    scene.starts(0)
    scene.finishes("It is four.")
    scene.at(0.2)
    scene.ends(0)
    scene.gets(e.FinalHeard(0, "", dismissed=True))
    scene.at(5.0)
    assert scene.state is State.IDLE
    assert scene.notices() == []
