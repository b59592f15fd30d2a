"""A session outlives its connection: it goes on where it was, on the sample, or is gone without a trace."""

from __future__ import annotations

import asyncio
import base64

import pytest

from antiphon.client import Reconnected, Reconnecting, SessionLost
from benchmarks.speech import synthetic_speech
from orchestrator.clients import tts as tts_client
from orchestrator.messages import CloseCode, State, Transcript, TurnEnded
from orchestrator.settings import OrchestratorSettings
from tests.support.brains import Obedient
from tests.support.house import House, free_port, house, until
from tests.support.user import Cable, User, cable, raw, user

pytestmark = pytest.mark.integration

COUNT = "one two three four five six"


async def reference(here: House, text: str) -> bytes:
    async with user(here.url, at_once=True) as listener:
        return listener.heard((await listener.asks(text)).turn)


async def lose(u: User, here: House, line: Cable) -> None:
    """Cuts the line; returns when both ends have noticed."""
    line.cut()
    await u.wait(Reconnecting)
    await here.wait_metric("antiphon_sessions_connected", 0)


# --- goes on ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("holds", [True, False])
async def test_a_reply_goes_on_from_what_was_heard(holds: bool) -> None:
    async with house() as here:
        whole = await reference(here, COUNT)
        async with cable(here.url) as line, user(line.url, hold=holds) as u:
            u.session.ask(COUNT)
            await u.hears(0.4, 1)
            await lose(u, here, line)
            line.plug()
            back = await u.wait(Reconnected)
            assert back.started.resumed
            assert back.started.session == u.all(type(back.started))[0].session
            finished = await u.finished(turn=1)
            assert (finished.reason, finished.heard, finished.unheard) == ("complete", COUNT, "")
            if holds:
                assert u.heard(1) == whole
                assert not u.player.jumps
                assert not u.player.changed
            else:
                # It is sent again from what it said last: a little may be heard twice, nothing not at all.
                assert all(to <= at for _, at, to in u.player.jumps)
                assert len(u.heard(1)) >= len(whole)


@pytest.mark.parametrize("holds", [True, False])
async def test_a_reply_that_stands_still_for_longer_than_a_worker_may_goes_on(
    holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tts_client, "STOPPED_S", 0.3)
    async with house() as here, cable(here.url) as line, user(line.url, hold=holds) as u:
        text = " ".join([COUNT] * 3)
        u.session.ask(text)
        # What there is credit for then is no whole number of frames.
        await u.hears(0.41, 1)
        await lose(u, here, line)
        await asyncio.sleep(1.5)
        line.plug()
        finished = await u.finished(turn=1)
        assert (finished.reason, finished.heard) == ("complete", text)
        assert not u.errors()


async def test_a_line_that_is_lost_twice_and_once_in_a_hold() -> None:
    async with house() as here:
        whole = await reference(here, COUNT)
        async with cable(here.url) as line, user(line.url, speaks=True, phrases=[""]) as u:
            u.session.ask(COUNT)
            await u.hears(0.2, 1)
            await lose(u, here, line)
            line.plug()
            await u.wait(Reconnected)
            await u.hears(0.5, 1)
            u.microphone.say_nowait(synthetic_speech(2.0))
            await u.wait(State, state="barged_in")
            await lose(u, here, line)
            u.microphone.hush()
            line.plug()
            await u.wait(Reconnected)
            finished = await u.finished(turn=1)
            assert (finished.reason, finished.heard) == ("complete", COUNT)
            assert u.heard(1) == whole
            assert not u.player.jumps


async def test_what_was_said_until_the_line_broke_is_answered_when_it_is_back() -> None:
    async with house() as here:
        whole = await reference(here, "cut off in the middle")
        async with (
            cable(here.url) as line,
            user(line.url, speaks=True, phrases=["cut off in the middle", "and on"]) as u,
        ):
            u.microphone.say_nowait(synthetic_speech(3.0))
            await u.wait(Transcript)
            await lose(u, here, line)
            u.microphone.hush()
            line.plug()
            await u.wait(Reconnected)
            # The end of the turn came while nobody was there, and was kept.
            assert (await u.wait(TurnEnded)).transcript == "cut off in the middle"
            finished = await u.finished(turn=1)
            assert finished.reason == "complete"
            assert u.heard(1) == whole
            # The microphone's time goes on where the server says.
            assert u.all(Reconnected)[0].started.next_input_sample > 0
            await u.speaks(0.4)
            assert (await u.finished()).heard == "and on"


@pytest.mark.parametrize("opens", [True, False])
async def test_a_client_that_names_no_samples_is_heard_on_its_next_connection(opens: bool) -> None:
    def audio(pcm: bytes) -> dict[str, str]:
        return {"type": "audio", "data": base64.b64encode(pcm).decode()}

    async with house() as here, raw(here.url) as first, raw(here.url) as second:
        started = await first.start(phrases=["hello again"])
        await first.send(**audio(bytes(640)), sample=48_000)
        await first.send(type="input", state="muted")
        await first.send(type="input", state="open")
        await here.wait_metric("antiphon_sessions_connected", 1)
        await second.send(type="session_start", resume=started["resume"])
        assert (await second.wait("session_started"))["next_input_sample"] == 48_320
        if opens:
            await second.send(type="input", state="open")
        speech = synthetic_speech(0.6)
        for at in range(0, len(speech), 640):
            await second.send(**audio(speech[at : at + 640].ljust(640, b"\0")))
            await asyncio.sleep(0.01)
        assert (await second.wait("turn_ended"))["transcript"] == "hello again"


async def test_another_connection_takes_over_from_a_live_one() -> None:
    async with house() as here:
        whole = await reference(here, COUNT)
        async with user(here.url) as first:
            first.session.ask(COUNT)
            await first.hears(0.4, 1)
            async with user(here.url, resume=first.started.resume) as second:
                assert second.started.resumed
                assert second.started.session == first.started.session
                finished = await second.finished(turn=1)
                assert (finished.reason, finished.heard) == ("complete", COUNT)
                # Between them, all of it was heard; the second began no later than the first had come.
                began = next(at for at in range(0, len(whole), 2) if second.heard(1)[at : at + 2] != b"\0\0") // 2
                # A tone's sample may be zero where it begins.
                assert 0 < (began - 1) * 2 <= len(first.heard(1))
                await here.wait_metric("antiphon_sessions_connected", 1)
                assert not first.all(Reconnected), "it must not take the session back"
        assert await here.metric("antiphon_sessions_opened") == 2


async def test_what_was_written_while_nobody_was_there_is_told_whole() -> None:
    async with (
        house(responder="tests.support.brains:Obedient") as here,
        cable(here.url) as line,
        raw(line.url) as first,
        raw(here.url) as second,
    ):
        started = await first.start(hold=True)
        await first.send(type="text", text="count later")
        await first.wait("turn_ended")
        line.cut()
        await here.wait_metric("antiphon_sessions_connected", 0)
        Obedient.go.set()
        await asyncio.sleep(0.2)  # time to write it; it is whole in any case
        await second.send(type="session_start", resume=started["resume"], hold=True)
        whole = "".join(f"{number} " for number in range(150))
        await until(lambda: "".join(m["text"] for m in second.all("reply")) == whole, "the whole of it")
        assert "messages_lost" not in [m["code"] for m in second.all("notice")]


# --- or not ----------------------------------------------------------------------------------------------------------


async def test_a_forged_token_is_refused_and_a_new_session_can_be_had() -> None:
    async with house() as here, raw(here.url) as client:
        await client.send(type="session_start", resume="x" * 32)
        error = await client.wait("error")
        assert (error["code"], error["reason"], error["fatal"]) == ("not_found", "RESUME_UNKNOWN", False)
        assert (await client.start())["resumed"] is False


async def test_a_token_is_worth_nothing_after_the_grace_time_and_everything_is_freed() -> None:
    port = free_port()
    async with house(tts=0, grace_s=0.3) as here:
        await here.tts("tts0", metrics_port=port)
        await here.wait_workers("tts0", "asr0")
        await reference(here, COUNT)
        await here.wait_free()
        tasks = len(asyncio.all_tasks())
        async with cable(here.url) as line:
            async with user(line.url, speaks=True, phrases=["one two"]) as u:
                u.session.ask(COUNT)
                await u.hears(0.2, 1)
                u.microphone.say_nowait(synthetic_speech(1.0))
                await u.wait(State, state="barged_in")
                token = u.started.resume
                line.cut()
                await here.wait_free()
                line.plug()
                await until(lambda: u.failure)
                assert isinstance(u.failure, SessionLost)
            async with raw(here.url) as client:
                await client.send(type="session_start", resume=token)
                assert (await client.wait("error"))["reason"] == "RESUME_UNKNOWN"
        await here.wait_worker_sessions(port, 0)
        await until(lambda: len(asyncio.all_tasks()) <= tasks, "all tasks to end")


async def test_a_session_is_resumed_at_its_own_output_rate() -> None:
    async with house() as here, raw(here.url) as first, raw(here.url) as second:
        started = await first.start(output_rate=24_000)
        await second.send(type="session_start", resume=started["resume"], output_rate=48_000)
        error = await second.wait("error")
        assert (error["reason"], error["fatal"]) == ("BAD_SAMPLE_RATE", False)
        await second.send(type="session_start", resume=started["resume"], output_rate=24_000, input_rate=48_000)
        assert (await second.wait("session_started"))["input_rate"] == 48_000
        assert await first.closed() == CloseCode.RESUMED_ELSEWHERE


async def test_a_server_that_stops_says_that_it_goes_away() -> None:
    async with house() as here, raw(here.url) as client:
        await client.start()
        await here.close()
        assert await client.closed() == CloseCode.GOING_AWAY


async def test_a_session_that_ends_is_closed_for_good() -> None:
    async with house() as here, raw(here.url) as client, raw(here.url) as other:
        started = await client.start()
        await client.send(type="session_end")
        assert await client.closed() == CloseCode.ENDED
        await other.send(type="session_start", resume=started["resume"])
        assert (await other.wait("error"))["reason"] == "RESUME_UNKNOWN"
        await here.wait_free()


def test_grace_is_half_a_minute_by_default() -> None:
    assert OrchestratorSettings().grace_s == 30.0
