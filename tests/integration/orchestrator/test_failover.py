"""Workers that die, hang, drain or have no room, and a registry that goes away: the conversation goes on."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest

from benchmarks.speech import synthetic_speech
from orchestrator import wire as orchestrator_wire
from orchestrator.clients import asr as asr_client
from orchestrator.clients import tts as tts_client
from orchestrator.messages import Error, MarkMessage, Notice, Transcript, TurnEnded
from tests.support.house import LIMIT_S, House, Service, free_port, house, service, until
from tests.support.user import user
from tts_workers.settings import ModelSettings

pytestmark = pytest.mark.integration

COUNT = "one two three four five six"
SLOW = {"char_s": 0.07}
"""A voice that takes 1.9 s for `COUNT`, of which up to 1 s lies ready."""
APOLOGY = "Sorry, something went wrong. Please try again."


async def voice(here: House, id: str) -> Service:
    models = json.dumps([{"id": "sine", "engine": "sine", "options": SLOW}])
    return await here.process("tts-worker", "--id", id, "--models", models)


async def ears(here: House, id: str, *said: str) -> Service:
    return await here.process("asr-worker", "--id", id, "--engine", "scripted", "--script", json.dumps(said))


async def working(here: House, prefix: str) -> str:
    """The worker that has something to do."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        busy = [w["id"] for w in (await here.workers()).values() if w["id"].startswith(prefix) and w["slots_used"]]
        if busy:
            return str(busy[0])
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def reference(here: House, text: str) -> bytes:
    async with user(here.url, at_once=True) as listener:
        return listener.heard((await listener.asks(text)).turn)


async def prove_went_on(here: House, heard: bytes) -> int:
    """`heard` is `COUNT` that broke off and went on at the first word not yet spoken; returns which word that is."""
    whole = await reference(here, COUNT)
    words = COUNT.split()
    for number in range(len(words)):
        at = len(" ".join([*words[:number], ""]))
        rest = await reference(here, COUNT[at:])
        broke = len(heard) - len(rest)
        if broke >= 0 and heard[broke:] == rest and heard[:broke] == whole[:broke]:
            char = round(SLOW["char_s"] * 48_000) * 2
            assert broke >= at * char, "no word is missing"
            assert broke <= (at + len(words[number]) + 1) * char, "no word that had been spoken is said again"
            return number
    raise AssertionError(f"{len(heard)} bytes were heard, of {len(whole)}: no such cut")


# --- voices ----------------------------------------------------------------------------------------------------------


async def test_a_worker_killed_in_mid_sentence_is_replaced_by_another() -> None:
    async with house(tts=0) as here:
        voices = dict(zip("ab", await asyncio.gather(voice(here, "tts-a"), voice(here, "tts-b")), strict=True))
        await here.wait_workers("tts-a", "tts-b", "asr0")
        async with user(here.url) as u, user(here.url) as neighbour:
            u.session.ask(COUNT)
            await u.hears(0.3, 1)
            victim = await working(here, "tts")
            voices[victim[-1]].kill()
            finished = await u.finished(turn=1)
            assert (finished.reason, finished.heard, finished.unheard) == ("complete", COUNT, "")
            assert not u.player.jumps
            # Every word was marked, in order, where it begins to sound.
            marks = u.all(MarkMessage)
            starts = list(dict.fromkeys(m.start for m in marks))
            assert starts == [COUNT.index(word) for word in COUNT.split()]
            assert [m.sample for m in marks] == sorted(m.sample for m in marks)
            assert await prove_went_on(here, u.heard(1)) > 0
            assert not u.errors()
            # Whoever had it as well, and everybody's next turn, goes to the one that is left.
            assert (await neighbour.asks("and me")).reason == "complete"
            assert (await u.asks("next")).reason == "complete"
            assert await here.metric("antiphon_sessions") == 2


async def test_the_only_worker_is_killed_and_the_next_turn_works() -> None:
    async with house(tts=0) as here:
        only = await voice(here, "tts-a")
        await here.wait_workers("tts-a", "asr0")
        async with user(here.url) as u:
            u.session.ask(COUNT)
            await u.hears(0.3, 1)
            only.kill()
            finished = await u.finished(turn=1)
            assert finished.reason == "failed"
            assert finished.heard
            assert f"{finished.heard} {finished.unheard}" == COUNT
            assert (await u.wait(Error)).code == "unavailable"
            # As soon as there is a voice again, it says so.
            await here.tts("tts-b")
            assert (await u.finished(turn=2)).heard == APOLOGY
            assert (await u.asks("is it better now")).heard == "is it better now"


async def test_a_worker_that_hangs_is_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tts_client, "STOPPED_S", 0.5)
    async with house(tts=0) as here:
        voices = dict(zip("ab", await asyncio.gather(voice(here, "tts-a"), voice(here, "tts-b")), strict=True))
        await here.wait_workers("tts-a", "tts-b", "asr0")
        async with user(here.url) as u:
            u.session.ask(COUNT)
            await u.hears(0.3, 1)
            voices[(await working(here, "tts"))[-1]].suspend()
            finished = await u.finished(turn=1)
            assert (finished.reason, finished.heard) == ("complete", COUNT)
            assert await prove_went_on(here, u.heard(1)) > 0


async def test_a_full_worker_sends_to_the_next_and_full_workers_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tts_client, "CAPACITY_WAIT_S", 0.3)
    async with house(tts=2, tts_settings={"slots": 1, "options": SLOW}) as here:
        whole = await reference(here, COUNT)
        async with user(here.url) as first, user(here.url) as second, user(here.url, at_once=True) as third:
            for u in (first, second):
                u.session.ask(COUNT)
            await asyncio.gather(first.hears(0.1, 1), second.hears(0.1, 1))
            refused = await third.asks("me too")
            assert (refused.reason, refused.heard) == ("failed", "")
            error = await third.wait(Error)
            assert error.code == "at_capacity"
            assert "busy" in error.message
            for u in (first, second):
                await u.finished(turn=1)
                assert u.heard(1) == whole
            assert (await third.asks("and now")).heard == "and now"


async def test_a_worker_that_drains_finishes_its_turn_and_gets_no_other() -> None:
    async with house(tts=0) as here:
        leaving = await voice(here, "tts-a")
        await here.wait_workers("tts-a", "asr0")
        async with user(here.url) as u:
            u.session.ask(COUNT)
            await u.hears(0.3, 1)
            await here.tts("tts-b", options=SLOW)
            leaving.terminate()
            assert (await u.finished(turn=1)).reason == "complete"
            assert u.heard(1) == await reference(here, COUNT)
            assert (await u.asks("next")).reason == "complete"
            async with asyncio.timeout(LIMIT_S):
                assert await leaving.process.wait() == 0
            assert (await u.asks("and on")).reason == "complete"
            assert not u.errors()


async def test_a_text_that_no_engine_can_speak_fails_its_turn_only() -> None:
    async with house(tts=2) as here, user(here.url, at_once=True) as u:
        finished = await u.asks("[[error]] never said")
        assert (finished.reason, finished.heard) == ("failed", "")
        assert (await u.wait(Error)).code == "speech_failed"
        assert (await u.finished()).heard == APOLOGY
        assert (await u.asks("one two [[fault]] three")).reason == "failed"
        assert (await u.asks("go on")).heard == "go on"


async def test_a_turn_whose_engine_stalls_before_its_first_sample_is_spoken_by_another() -> None:
    async with house(tts=0) as here:
        await here.tts("stalls", engine_timeout_s=0.3)
        await here.wait_workers("stalls", "asr0")
        async with user(here.url, at_once=True) as u:
            await u.asks("hello")
            await here.tts("speaks", options={"directives": False})
            await here.wait_worker("speaks")
            finished = await u.asks("[[stall 60]] hello")
            assert (finished.reason, u.errors()) == ("complete", [])


async def test_of_two_models_the_one_with_the_voice_speaks() -> None:
    async with house(tts=0) as here:
        await here.tts("both", models=(ModelSettings("tone", "sine"), ModelSettings("espeak", "espeak")))
        await here.wait_workers("both", "asr0")
        async with user(here.url, at_once=True) as u:
            tone = await u.asks("hello")
            u.session.update(voice="en-us")
            assert (await u.asks("hello")).reason == "complete"
            u.session.update(voice="sine")
            assert (await u.asks("hello")).reason == "complete"
            assert u.heard(3) == u.heard(tone.turn) != u.heard(2)
            assert not u.errors()


# --- ears ------------------------------------------------------------------------------------------------------------


async def test_ears_killed_in_mid_utterance_are_replaced_by_others_which_hear_it_from_its_start() -> None:
    said = "now listen to me for a moment"
    async with house(asr=0) as here:
        both = dict(zip("ab", await asyncio.gather(ears(here, "asr-a", said), ears(here, "asr-b", said)), strict=True))
        await here.wait_workers("tts0", "asr-a", "asr-b")
        async with user(here.url, speaks=True) as u:
            u.microphone.say_nowait(synthetic_speech(2.0))
            await u.wait(Transcript)
            both[(await working(here, "asr"))[-1]].kill()
            ended = await u.wait(TurnEnded)
            assert ended.transcript == said
            assert u.finals() == [said]
            assert "recognition_failed" not in u.notices()


async def test_ears_that_hang_are_replaced_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr_client, "STALLED_S", 0.3)
    monkeypatch.setattr(asr_client, "HEALTH_S", 0.3)
    async with house(asr=0, final_ms=10_000) as here:
        hanging = await ears(here, "asr-a", "never heard")
        await here.wait_workers("tts0", "asr-a")
        async with user(here.url, speaks=True) as u:
            await here.asr("asr-b", script=("heard after all",))
            await here.wait_workers("tts0", "asr-a", "asr-b")
            hanging.suspend()
            await u.speaks(0.5)
            assert (await u.finished()).heard == "heard after all"
            assert "recognition_failed" not in u.notices()


async def test_ears_that_are_late_are_told_from_dead_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr_client, "STALLED_S", 0.3)
    monkeypatch.setattr(asr_client, "LATE_S", 0.5)
    async with house(asr=0, final_ms=10_000) as here:
        await here.asr("asr-a", script=("[[slow 30]] too late", "heard again"))
        await here.wait_workers("tts0", "asr-a")
        async with user(here.url, speaks=True) as u:
            await u.speaks(0.5)
            assert "too slow" in (await u.wait(Notice, code="recognition_failed")).message
            # It is still asked, at once and in the same stream, and nobody works for the one that was given up.
            await here.wait_slots("asr-a", 0)
            await u.speaks()
            await u.wait(TurnEnded, transcript="heard again")
            assert u.notices().count("recognition_failed") == 1


async def test_who_speaks_for_longer_than_a_recogniser_hears_at_a_time_is_heard_all_the_same() -> None:
    async with house(asr=0, final_ms=10_000) as here:
        script = ("a long story", "that goes on", "until it ends", "short")
        await here.asr("asr-a", script=script, utterance_s=1.0)
        await here.wait_workers("tts0", "asr-a")
        async with user(here.url, speaks=True) as u:
            await u.speaks(2.0)
            assert (await u.finished()).heard == "a long story that goes on until it ends"
            assert u.finals() == ["a long story that goes on until it ends"], "the turn is his while he speaks"
            await u.speaks(0.5)
            await u.wait(TurnEnded, transcript="short")
            assert not u.notices()


async def test_where_a_recogniser_does_not_say_how_far_it_heard_the_user_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = orchestrator_wire.final
    monkeypatch.setattr(orchestrator_wire, "final", lambda response: replace(told(response), end=0))
    async with house(asr=0, final_ms=10_000) as here:
        await here.asr("asr-a", script=("a long story", "that goes on", "and on"), utterance_s=1.0)
        await here.wait_workers("tts0", "asr-a")
        async with user(here.url, speaks=True) as u:
            await u.speaks(2.0)
            assert "longer" in (await u.wait(Notice, code="utterance_cut")).message
            assert (await u.finished()).heard.startswith("a long story that goes on")


async def test_the_only_ears_that_hang_are_said_to_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr_client, "STALLED_S", 0.3)
    monkeypatch.setattr(asr_client, "HEALTH_S", 0.3)
    async with house(asr=0, final_ms=10_000) as here:
        hanging = await ears(here, "asr-a", "never heard")
        await here.wait_workers("tts0", "asr-a")
        async with user(here.url, speaks=True) as u:
            hanging.suspend()
            await u.speaks(0.5)
            message = (await u.wait(Notice, code="recognition_failed")).message
            assert "lost" in message
            assert "running" not in message


async def test_without_any_ears_the_user_is_told_and_may_type() -> None:
    async with house(asr=0) as here:
        only = await ears(here, "asr-a", "never heard")
        await here.wait_workers("tts0", "asr-a")
        async with user(here.url, speaks=True) as u:
            u.microphone.say_nowait(synthetic_speech(1.5))
            await u.wait(Transcript)
            only.kill()
            notice = await u.wait(Notice, code="recognition_failed")
            assert notice.message
            await until(lambda: u.state() in ("idle", "speaking", "thinking"))
            u.microphone.hush()
            assert (await u.asks("I type")).heard == "I type"
            # Somebody who hears comes back.
            await here.asr("asr-b", script=("I speak",))
            await here.wait_worker("asr-b")
            await u.speaks()
            assert (await u.finished()).heard == "I speak"


# --- the registry ----------------------------------------------------------------------------------------------------


async def test_sessions_go_on_while_the_registry_is_away_and_after_it_is_back() -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    async with (
        service("registry", "--port", str(port)) as registry,
        house(registry_at=address) as here,
        user(here.url, at_once=True) as u,
    ):
        assert (await u.asks("before")).reason == "complete"
        registry.kill()
        await registry.process.wait()
        assert (await u.asks("without")).reason == "complete"
        async with user(here.url, at_once=True) as late:
            assert (await late.asks("me too")).reason == "complete"
        async with service("registry", "--port", str(port)):
            await here.wait_metric("antiphon_directory_stale_seconds", 0)
            await here.wait_workers("tts0", "asr0")
            assert (await u.asks("after")).reason == "complete"
            async with user(here.url, at_once=True) as later:
                assert (await later.asks("hello")).reason == "complete"
            assert not u.errors()
