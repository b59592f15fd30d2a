"""Whole conversations over real sockets: sine for a voice, a script for ears."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from base.errors import AntiphonError
from benchmarks.speech import knock, synthetic_speech
from orchestrator.messages import (
    Clear,
    CloseCode,
    Endpointing,
    Error,
    Explain,
    Hold,
    InputState,
    Notice,
    Reply,
    Resume,
    State,
    Transcript,
    TurnCancel,
    TurnCommit,
    TurnEnded,
    TurnFinished,
)
from tests.support.house import House, house, until
from tests.support.user import QUICK, raw, user

pytestmark = pytest.mark.integration

COUNT = "one two three four five six"
FAST = {"options": {"char_s": 0.02}}
"""A voice in a hurry: for tests in which the whole of a reply has to be heard at its own pace."""


async def reference(here: House, text: str, **start: Any) -> bytes:
    """What is heard of `text` when nothing happens."""
    async with user(here.url, at_once=True, **start) as listener:
        return listener.heard((await listener.asks(text)).turn)


# --- turns -----------------------------------------------------------------------------------------------------------


async def test_a_spoken_turn_is_answered_and_history_goes_on() -> None:
    async with house(tts_settings=FAST) as here:
        async with user(here.url, speaks=True, phrases=["what is this", "and what is that"]) as u:
            await u.speaks()
            ended = await u.wait(TurnEnded)
            assert (ended.transcript, ended.reason) == ("what is this", "silence")
            first = await u.finished(turn=ended.turn)
            assert (first.heard, first.unheard, first.reason) == ("what is this", "", "complete")
            assert len(u.heard(first.turn)) == 2 * first.samples == 2 * 34560 // 3
            await u.speaks()
            second = await u.finished()
            assert (second.turn, second.heard) == (2, "and what is that")
            assert u.finals() == ["what is this", "and what is that"]
            states = ["idle", "listening", "thinking", "speaking"]
            assert [s.state for s in u.all(State)][:8] == states * 2
            assert not u.player.jumps
            assert not u.errors()
        await here.wait_free()


async def test_text_is_captioned_while_it_is_heard() -> None:
    async with house() as here, user(here.url, at_once=True) as u:
        finished = await u.asks("hello there my friend")
        assert u.written(1) == finished.heard == "hello there my friend"
        marks = [(m.start, m.end, m.sample) for m in u.all_marks()]
        assert marks == [(0, 5, 0), (6, 11, 17280), (12, 14, 34560), (15, 21, 43200)]


async def test_a_session_opens_with_a_greeting_a_text_of_the_client_or_silence() -> None:
    async with house() as here:
        async with user(here.url, at_once=True, greeting=True) as u:
            assert (await u.finished()).heard == "Say something, and I will say it back."
        async with user(here.url, at_once=True, greeting="Good \x07 morning!\r\n") as u:
            assert (await u.finished()).heard == "Good morning!"
        async with user(here.url, at_once=True, greeting="\x00\x01") as u:
            assert (await u.asks("quiet")).turn == 1


async def test_what_is_to_be_said_waits_for_the_reply_and_eight_may_wait() -> None:
    async with house() as here, user(here.url) as u:
        u.session.say("one two three")
        await u.wait(State, state="speaking")
        for number in range(9):
            u.session.say(f"number {number}")
        error = await u.wait(Error)
        assert error.code == "queue_full"
        assert not error.fatal
        u.session.interrupt()
        assert (await u.finished()).reason == "interrupt"
        assert (await u.wait(Notice)).code == "says_dropped"
        u.session.say("the end")
        assert (await u.finished()).heard == "the end"


async def test_a_question_takes_the_place_of_the_reply() -> None:
    async with house() as here, user(here.url) as u:
        u.session.ask(COUNT)
        await u.hears(0.5, 1)
        answer = await u.asks("stop")
        cut, _ = u.all(TurnFinished)
        assert cut.reason == "ask"
        assert f"{cut.heard} {cut.unheard}" == COUNT
        assert len(u.heard(1)) == 2 * cut.samples
        assert cut.unheard
        assert answer.heard == "stop"


async def test_an_interrupt_with_nothing_playing_does_nothing() -> None:
    async with house() as here, user(here.url, at_once=True) as u:
        u.session.interrupt()
        assert (await u.asks("still here")).heard == "still here"
        assert not u.errors()
        assert not u.notices()


async def test_history_that_is_given_is_the_brain_s() -> None:
    """The tour's "say that again" needs what was said before."""
    history = [{"role": "user", "text": "hello"}, {"role": "assistant", "text": "Bananas are yellow."}]
    async with house() as here, user(here.url, at_once=True, history=history, responder="tour") as u:
        assert "Bananas are yellow" in (await u.asks("say that again")).heard


# --- barge-in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("holds", [True, False])
async def test_a_real_barge_in_stops_the_reply_at_the_last_word_heard(holds: bool) -> None:
    async with (
        house() as here,
        user(here.url, speaks=True, hold=holds, phrases=["stop what time is it"], endpointing=QUICK) as u,
    ):
        u.session.ask(COUNT)
        await u.hears(0.6, 1)
        await u.speaks(1.2)
        cut = await u.finished(turn=1)
        assert cut.reason == "barge_in"
        assert cut.heard
        assert f"{cut.heard} {cut.unheard}" == COUNT
        # To the sample, where the client holds; else to what its loudspeaker said last.
        assert len(u.heard(1)) == 2 * cut.samples
        assert bool(u.all(Hold)) == holds
        assert u.all(Clear)
        assert (await u.wait(TurnEnded, turn=2)).transcript == "stop what time is it"
        assert (await u.finished(turn=2)).heard == "stop what time is it"


@pytest.mark.parametrize("holds", [True, False])
async def test_a_false_alarm_costs_not_one_sample(holds: bool) -> None:
    async with house() as here:
        whole = await reference(here, COUNT)
        async with user(here.url, speaks=True, hold=holds, phrases=[""], endpointing=QUICK) as u:
            u.session.ask(COUNT)
            await u.hears(0.5, 1)
            await u.speaks(0.1)
            await u.wait(State, state="barged_in")
            await u.wait(State, state="speaking")
            finished = await u.finished(turn=1)
            assert (finished.reason, finished.heard) == ("complete", COUNT)
            assert u.heard(1) == whole
            assert not u.player.jumps
            assert not u.player.changed
            assert bool(u.all(Resume)) == holds
            facts = (await u.wait(Explain)).facts
            assert (facts["false_alarms"], facts["outcome"]) == (1, "complete")


async def test_a_backchannel_lets_the_reply_go_on() -> None:
    async with house() as here:
        whole = await reference(here, COUNT)
        async with user(here.url, speaks=True, phrases=["uh-huh"]) as u:
            u.session.ask(COUNT)
            await u.hears(0.4, 1)
            await u.speaks(0.3)
            await u.wait(State, state="barged_in")
            assert (await u.finished(turn=1)).reason == "complete"
            assert u.heard(1) == whole
            assert [t.turn for t in u.all(TurnFinished)] == [1]


async def test_a_noise_without_words_ends_in_words() -> None:
    async with house() as here, user(here.url, speaks=True, phrases=[""]) as u:
        await u.speaks(0.3)
        assert (await u.wait(Notice)).code == "no_words"
        await until(lambda: u.state() == "idle")
        assert not u.all(TurnFinished)


async def test_speech_over_a_reply_that_may_not_be_interrupted_is_the_next_turn() -> None:
    async with (
        house() as here,
        user(here.url, speaks=True, interruptible=False, phrases=["and now me"]) as u,
    ):
        u.session.ask("one two three four five")
        await u.hears(0.2, 1)
        await u.speaks(0.5)
        assert (await u.finished()).reason == "complete"
        assert (await u.finished()).heard == "and now me"
        assert not u.all(Hold)


async def test_speech_without_words_keeps_no_worker_waiting() -> None:
    async with house() as here, user(here.url, speaks=True, phrases=["", "now with words"]) as u:
        await u.speaks(0.3)
        assert (await u.wait(Notice)).code == "no_words"
        await here.wait_slots("tts0", 0)
        await u.microphone.say(synthetic_speech(0.5))
        await here.wait_slots("tts0", 1)
        assert (await u.finished()).heard == "now with words"
        await here.wait_slots("tts0", 0)


# --- the microphone --------------------------------------------------------------------------------------------------


async def test_a_microphone_muted_in_mid_word_ends_the_utterance_at_once() -> None:
    async with house(tts_settings=FAST) as here, user(here.url, speaks=True, phrases=["cut off here"]) as u:
        u.microphone.say_nowait(synthetic_speech(3.0))
        await u.wait(Transcript)
        u.session.mute()
        ended = await u.wait(TurnEnded)
        assert ended.transcript == "cut off here"
        assert (await u.finished()).heard == "cut off here"
        # It still talks to itself; nobody hears that, and after the mute is over it is heard again.
        u.session.unmute()
        await u.wait(TurnEnded)


async def test_push_to_talk_ends_the_turn_with_the_key() -> None:
    slow = Endpointing(endpoint_ms=5000)
    async with (
        house(tts_settings=FAST) as here,
        user(here.url, speaks=True, endpointing=slow, phrases=["over to you"]) as u,
    ):
        await u.speaks(0.4)
        u.session.send(InputState(state="released"))
        ended = await u.wait(TurnEnded)
        assert (ended.transcript, ended.reason) == ("over to you", "released")


async def test_a_client_may_end_turns_itself() -> None:
    async with (
        house(tts_settings=FAST) as here,
        user(here.url, speaks=True, turn_detection="manual", phrases=["first", "forget me", "second"]) as u,
    ):
        await u.speaks(0.3)
        await u.wait(Transcript, final=True)
        await u.speaks(0.3)
        await u.wait(Transcript, final=True)
        assert not u.all(TurnEnded)
        u.session.send(TurnCommit())
        ended = await u.wait(TurnEnded)
        assert (ended.transcript, ended.reason) == ("first forget me", "committed")
        await u.finished()
        await u.speaks(0.3)
        await u.wait(Transcript, final=True)
        u.session.send(TurnCancel())
        u.session.send(TurnCommit())
        assert (await u.wait(Notice)).code == "no_words"


async def test_speech_that_goes_on_after_a_cancel_counts() -> None:
    async with (
        house(tts_settings=FAST) as here,
        user(here.url, speaks=True, phrases=["forget me", "but keep this"]) as u,
    ):
        u.microphone.say_nowait(synthetic_speech(3.0))
        await u.wait(Transcript)
        u.session.send(TurnCancel())
        assert (await u.wait(TurnEnded)).transcript == "but keep this"


async def test_speech_that_goes_on_after_a_typed_question_counts() -> None:
    async with (
        house(tts_settings=FAST) as here,
        user(here.url, speaks=True, phrases=["so far", "and one thing more"]) as u,
    ):
        u.microphone.say_nowait(synthetic_speech(3.0))
        await u.wait(Transcript, text="so far")
        u.session.ask("what then")
        assert (await u.wait(TurnEnded)).transcript == "so far what then"
        assert (await u.wait(TurnEnded)).transcript.endswith("and one thing more")


# --- voices, languages, brains ---------------------------------------------------------------------------------------


async def test_voice_and_rate_change_from_the_next_turn() -> None:
    async with house() as here:
        low = await reference(here, "hello", voice="low")
        quick = await reference(here, "hello", voice="low", rate=2.0)
        assert len(quick) < 0.6 * len(low)
        async with user(here.url) as u:
            plain = await u.asks("hello")
            u.session.ask("hello")
            await u.hears(0.1, 2)
            u.session.update(voice="low")
            await u.finished(turn=2)
            assert u.heard(2) == u.heard(plain.turn), "not in the middle of a turn"
            await u.asks("hello")
            assert u.heard(3) == low
            u.session.update(rate=2.0)
            await u.asks("hello")
            assert u.heard(4) == quick


async def test_an_empty_voice_and_language_are_the_default_again() -> None:
    async with house(asr=0, voice="high") as here:
        await here.asr("english", script=("good morning",) * 2)
        await here.asr("german", script=("guten Morgen",), script_languages=("de",))
        await here.wait_workers("tts0", "english", "german")
        usual = await reference(here, "hello")
        assert usual == await reference(here, "hello", voice="high") != await reference(here, "hello", voice="low")
        async with user(here.url, speaks=True) as u:
            u.session.update(voice="low", language="de")
            await u.speaks()
            assert (await u.finished()).heard == "guten Morgen"
            u.session.update(voice="", language="")
            await u.speaks()
            assert (await u.finished()).heard == "good morning"
            await u.asks("hello")
            assert u.heard(3) == usual
            assert not u.errors()


async def test_a_voice_that_is_not_there_is_refused_and_nothing_changes() -> None:
    async with house() as here:
        with pytest.raises(AntiphonError, match=r"'alto' is not here.* sine, low, high") as refused:
            async with user(here.url, voice="alto"):
                pass
        assert refused.value.reason == "VOICE_UNKNOWN"
        async with user(here.url, at_once=True) as u:
            before = await u.asks("hello")
            u.session.update(voice="alto", rate=2.0)
            error = await u.wait(Error)
            assert (error.code, error.reason, error.fatal) == ("not_found", "VOICE_UNKNOWN", False)
            assert error.where == "voice"
            after = await u.asks("hello")
            assert u.heard(before.turn) == u.heard(after.turn)


async def test_a_model_a_language_or_a_brain_that_is_not_there_is_refused() -> None:
    async with house() as here:
        for wish, match in (
            ({"model": "xtts"}, "model 'xtts' is not here; one of: sine"),
            ({"responder": "oracle"}, "responder 'oracle' is not here"),
            ({"output_rate": 11025}, "11025"),
        ):
            with pytest.raises(AntiphonError, match=match):
                async with user(here.url, **wish):
                    pass
        await here.wait_free()


async def test_a_language_that_nobody_hears_is_told_at_once_and_typing_works() -> None:
    async with house() as here, user(here.url, speaks=True, language="fi") as u:
        notice = await u.wait(Notice)
        assert notice.code == "cannot_hear"
        assert "typing works" in notice.message
        assert not u.started.can_hear
        assert (await u.asks("hei")).heard == "hei"
        await u.speaks(0.4)
        assert "typing works" in (await u.wait(Notice, code="recognition_failed")).message
        # From now on in a language that somebody hears.
        u.session.update(language="en")
        await until(lambda: u.state() == "idle")


async def test_another_language_is_heard_by_another_recogniser() -> None:
    async with house(asr=0) as here:
        await here.asr("english", script=("good morning",))
        await here.asr("german", script=("guten Morgen",), script_languages=("de",))
        await here.wait_workers("tts0", "english", "german")
        async with user(here.url, speaks=True) as u:
            await u.speaks()
            assert (await u.finished()).heard == "good morning"
            u.session.update(language="de")
            await u.speaks()
            assert (await u.finished()).heard == "guten Morgen"
            u.session.update(language="fi")
            assert (await u.wait(Notice)).code == "cannot_hear"


async def test_a_session_without_a_voice_is_told_at_once_and_has_it_when_it_comes() -> None:
    async with house(tts=0) as here, user(here.url, at_once=True) as u:
        assert (await u.wait(Notice)).code == "cannot_speak"
        u.session.ask("are you there")
        await u.wait(Reply)
        await here.tts("late")
        assert (await u.finished()).heard == "are you there"


async def test_without_any_voice_a_turn_ends_with_an_error() -> None:
    async with house(tts=0, start_timeout_s=0.2) as here, user(here.url, at_once=True) as u:
        u.session.ask("are you there")
        finished = await u.finished()
        assert (finished.reason, finished.heard) == ("failed", "")
        error = await u.wait(Error)
        assert error.code == "unavailable"
        assert "antiphon tts-worker" in error.message


async def test_the_client_may_be_the_brain() -> None:
    async with (
        house(tts_settings=FAST) as here,
        user(here.url, speaks=True, responder="client", greeting=True, phrases=["question"]) as u,
    ):
        await u.speaks()
        # To a turn that is not there yet: ignored.
        u.answers(2**32 - 1, "Nobody asked.")
        ended = await u.wait(TurnEnded)
        u.answers(ended.turn + 1, "Nobody asked.")
        u.answers(ended.turn, "This is ", "my ans", "wer.")
        finished = await u.finished(turn=ended.turn)
        assert finished.heard == "This is my answer."
        # To a turn that is over: ignored. By the session's brain: wrong state.
        u.answers(ended.turn, "Too late.")
        u.session.update(responder="echo")
        assert (await u.asks("now you")).heard == "now you"
        u.answers(99, "Nobody asked.")
        assert (await u.wait(Error)).code == "wrong_state"


async def test_an_empty_answer_needs_no_voice() -> None:
    async with house(tts=0) as here, user(here.url, at_once=True, responder="client") as u:
        u.session.ask("say nothing")
        ended = await u.wait(TurnEnded)
        u.answers(ended.turn)
        finished = await u.finished(turn=ended.turn)
        assert (finished.heard, finished.samples, finished.reason) == ("", 0, "complete")


async def test_a_client_that_does_not_answer_is_apologised_for() -> None:
    async with house(client_reply_timeout_s=1.0) as here, user(here.url, at_once=True, responder="client") as u:
        u.session.ask("anybody there")
        finished = await u.finished()
        assert finished.reason == "failed"
        assert (await u.wait(Error)).code == "timed_out"
        assert (await u.finished()).heard == "I was given nothing to say."


# --- what is told of it ----------------------------------------------------------------------------------------------


async def test_a_turn_is_explained() -> None:
    async with house(tts_settings=FAST) as here, user(here.url, speaks=True, phrases=["explain yourself"]) as u:
        await u.speaks(0.5)
        facts = (await u.wait(Explain)).facts
        assert facts["cause"] == "user"
        assert facts["responder"] == "echo"
        assert facts["endpoint"] == "silence"
        assert facts["outcome"] == "complete"
        assert facts["final_chars"] == len("explain yourself")
        assert facts["partials"] > 0
        assert facts["utterances"] == 1
        assert -40 < facts["level_dbfs"] < 0
        assert 400 <= facts["speech_ms"] <= 600
        assert facts["endpoint_ms"] >= 200
        assert facts["response_ms"] > facts["endpoint_ms"]
        assert facts["first_audio_ms"] > 0
        assert facts["first_text_ms"] >= 0


async def test_a_barge_in_s_own_speech_is_explained_with_its_answer() -> None:
    async with house() as here, user(here.url, speaks=True, phrases=["stop right there"]) as u:
        u.session.ask(COUNT)
        await u.hears(0.4, 1)
        await u.speaks(1.0)
        first, second = await u.wait(Explain, turn=1), await u.wait(Explain, turn=2)
        assert (first.facts["outcome"], second.facts["outcome"]) == ("barge_in", "complete")
        assert "speech_ms" not in first.facts
        assert 900 <= second.facts["speech_ms"] <= 1100


async def test_a_knock_is_not_answered() -> None:
    async with house() as here, user(here.url, speaks=True, phrases=[""]) as u:
        await u.microphone.say(knock())
        u.session.ask("go on")
        await u.finished()
        assert not u.errors()


# --- how many, and until when ----------------------------------------------------------------------------------------


async def test_one_session_more_than_there_may_be_is_refused() -> None:
    async with house(max_sessions=1, grace_s=0.1) as here:
        async with user(here.url) as first, raw(here.url) as second:
            await second.send(type="session_start")
            error = await second.wait("error")
            assert (error["code"], error["fatal"]) == ("at_capacity", True)
            assert error["retry_after_s"]
            assert await second.closed() == CloseCode.TRY_LATER
            # Who is there may always come back.
            async with user(here.url, resume=first.started.resume) as again:
                assert again.started.resumed
        await here.wait_free()
        async with user(here.url, at_once=True) as later:
            assert (await later.asks("hello")).heard == "hello"


async def test_a_server_that_drains_lets_the_reply_end_and_takes_nobody_new() -> None:
    async with house() as here, user(here.url) as u, raw(here.url) as late:
        u.session.ask(COUNT)
        await u.hears(0.2, 1)
        draining = asyncio.create_task(here.drain())
        await asyncio.sleep(0)
        await late.send(type="session_start")
        error = await late.wait("error")
        assert (error["code"], error["fatal"]) == ("unavailable", True)
        assert await late.closed() == CloseCode.TRY_LATER
        assert not draining.done()
        assert (await u.finished(turn=1)).heard == COUNT
        await draining
