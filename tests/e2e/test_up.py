"""`up` in the midst of conversations: what a killed worker costs, and what is left when all of it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from antiphon.client import Reconnecting
from orchestrator import messages as m
from tests.support.person import Person, person
from tests.support.speech import speaking
from tests.support.system import System, running, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TIME, STORY = "what time is it", "tell me a story"
PATIENT = {"ANTIPHON_ORCHESTRATOR_FINAL_MS": "5000"}
SERVICES = ("registry", "tts-worker", "asr-worker", "orchestrator")


async def back_again(system: System, name: str) -> None:
    """Until a service that was killed has been started again."""
    await asyncio.to_thread(
        system.wait_event, lambda e: e["event"] == "ready" and e["name"] == name and e["again"], f"return of {name}"
    )


async def wait_workers(someone: Person, system: System, kind: str, but: str) -> None:
    """Until the orchestrator knows a worker of this kind, another than `but`."""

    def known() -> bool:
        return any(worker["kind"] == kind and worker["id"] != but for worker in system.workers())

    assert await asyncio.to_thread(until, known), system.said()


async def answer(someone: Person, ask: Callable[[], object]) -> m.TurnFinished:
    """How the turn ends that answers what is asked now."""
    here = len(someone.log)
    ask()
    (ended, *_) = await someone.until(lambda: someone.all(m.TurnEnded, here), "end of the user's turn")
    return await someone.until_finished(ended.turn)


async def test_a_killed_worker_costs_a_turn_and_comes_back(tmp_path: Path, report: Callable[[str], None]) -> None:
    """The only voice dies in mid-sentence, then the only ear in mid-word: the session lives, the next turns work."""
    with running(tmp_path, **PATIENT) as system, speaking() as speech:
        async with person(system.url, speech, phrases=[TIME, STORY], greeting=False) as someone:
            ids = {worker["kind"]: worker["id"] for worker in system.workers()}
            await _kill_the_voice(someone, system, ids["tts"])
            assert (await answer(someone, lambda: someone.session.ask(TIME))).reason == "complete"
            await _kill_the_ear(someone, system, ids["asr"])
            here = len(someone.log)
            await someone.say(TIME)
            (heard, *_) = await someone.until(lambda: someone.all(m.TurnEnded, here), "an ear that hears again")
            report(f"{TIME!r} after the ear came back: {heard.transcript!r}")
            assert heard.transcript
            assert (await someone.until_finished(heard.turn)).reason == "complete"
            assert not someone.all(Reconnecting), "the session never lost its connection"
        assert system.stop() == 0
        assert not system.wait_gone()


async def _kill_the_voice(someone: Person, system: System, tts: str) -> None:
    someone.session.ask(STORY)
    await someone.until(lambda: someone.loudspeaker.first_sound_s(1), "the story")
    os.kill(system.pid("tts-worker"), signal.SIGKILL)
    ended = await someone.until_finished(1)
    assert someone.loudspeaker.heard(1) == ended.samples, "it knows how far the story was heard"
    if ended.reason == "complete":
        # `up` had another worker there within the second that a broken turn waits: nothing was lost.
        assert not ended.unheard
    else:
        assert ended.reason == "failed"
        await someone.until(lambda: someone.all(m.Error), "a word of what is wrong")
        await someone.until(lambda: someone.text(2), "an apology")
    await back_again(system, "tts-worker")
    await wait_workers(someone, system, "tts", tts)


async def _kill_the_ear(someone: Person, system: System, asr: str) -> None:
    here = len(someone.log)
    saying = asyncio.create_task(someone.say(f"{STORY}, {STORY}, {STORY}"))
    await someone.until(lambda: someone.all(m.Transcript, here), "a first partial")
    os.kill(system.pid("asr-worker"), signal.SIGKILL)
    await saying
    # Another ear may be there in time, and hears it from the beginning; else the user is told.
    await someone.until(lambda: someone.all(m.TurnEnded, here) or someone.all(m.Notice, here), "what became of it")
    await back_again(system, "asr-worker")
    await wait_workers(someone, system, "asr", asr)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_ended_in_the_midst_of_a_conversation_nothing_is_left(tmp_path: Path, how: signal.Signals) -> None:
    """Not a process, whoever its parent was, and not a socket; also when `up` has no time to see to it."""
    with running(tmp_path) as system, speaking() as speech:
        async with person(system.url, speech, phrases=[TIME]) as someone:
            await someone.until(lambda: someone.loudspeaker.first_sound_s(1), "the greeting")
            saying = asyncio.create_task(someone.say(" ".join([TIME] * 5)))
            await someone.until(lambda: someone.all(m.Transcript), "a first partial")
            seen = await asyncio.to_thread(system.look)
            assert len(seen.processes) > 1 + len(SERVICES), f"engines have processes of their own: {seen}"
            assert len(seen.ports) >= len(SERVICES)
            os.killpg(system.process.pid, how)
            code = await asyncio.to_thread(system.wait)
            assert code == (0 if how is signal.SIGINT else -signal.SIGKILL), system.said()
            left = await asyncio.to_thread(system.wait_gone)
            assert not left, left
            await someone.until(lambda: someone.all(Reconnecting), "news of the lost connection")
            await saying
        assert how is signal.SIGKILL or not system.complaints()
