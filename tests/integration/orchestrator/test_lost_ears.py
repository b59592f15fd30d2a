"""A recogniser killed while somebody speaks without a pause: another one, or the restarted one, hears all of it; where
there is none the user is told, and heard again as soon as there is one. Over real processes, and real Whisper decodes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from asr import shared
from benchmarks.speech import synthetic_speech
from orchestrator.clients import asr as asr_client
from orchestrator.messages import Notice, Transcript, TurnEnded
from tests.support import whisper_models
from tests.support.house import LIMIT_S, House, Service, house, until
from tests.support.user import User, user

pytestmark = pytest.mark.integration

LONG = "tell me what time it is is it one two no yes tell me a story"
"""Seven and a half seconds."""


async def whisper(here: House, id: str, model: Path) -> Service:
    return await here.process("asr-worker", "--id", id, "--engine", "whisper", "--model", str(model))


async def scripted(here: House, id: str, *said: str) -> Service:
    return await here.process("asr-worker", "--id", id, "--engine", "scripted", "--script", json.dumps(said))


async def busy(here: House) -> str:
    """The recogniser that hears somebody."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        for worker in (await here.workers()).values():
            if worker["id"].startswith("asr") and worker["slots_used"]:
                return str(worker["id"])
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def decoders() -> list[psutil.Process]:
    """The processes that a worker which is in ours decodes with."""
    return [p for p in psutil.Process().children() if "asr.shared_child" in p.cmdline()]


@asynccontextmanager
async def deafened(seconds: float, shown: int, final_ms: int) -> AsyncIterator[tuple[House, User]]:
    """Somebody who speaks for so long, and lost the only recogniser when so much had been shown; they were told."""
    async with house(asr=0, final_ms=final_ms) as here:
        only = await scripted(here, "asr-a", "first of all I would like to say")
        await here.wait_workers("tts0", "asr-a")
        async with user(here.url, speaks=True) as u:
            u.microphone.say_nowait(synthetic_speech(seconds))
            await until(lambda: len(u.all(Transcript)) >= shown)
            only.kill()
            assert "lost" in (await u.wait(Notice, code="recognition_failed")).message
            yield here, u
            assert u.notices() == ["recognition_failed"]


def goes_forward(u: User) -> bool:
    """Whether what was shown only became longer, or was changed at its end."""
    texts = [t.text for t in u.all(Transcript)]
    return all(later.startswith(" ".join(text.split()[:-3])) for text, later in pairwise(texts))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker takes as long to start as the machine does: the wait for it is not what is tested."""
    monkeypatch.setattr(asr_client, "SOON_S", 60.0)


@pytest.fixture
def at_a_decode(monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Whether a worker which is in ours waits for a decode."""
    given: list[object] = []
    gives, takes = shared._Child.decode, shared.SharedEars.decoded

    def noted(self: shared._Child, utterance: Any, *, last: bool) -> None:
        given.append(utterance)
        gives(self, utterance, last=last)

    def answered(self: shared.SharedEars, *args: Any, **more: Any) -> None:
        given.clear()
        takes(self, *args, **more)

    monkeypatch.setattr(shared._Child, "decode", noted)
    monkeypatch.setattr(shared.SharedEars, "decoded", answered)
    return lambda: bool(given)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper_models.build(tmp_path_factory.mktemp("lost") / "tiny.en", lead=1)


@pytest.mark.usefixtures("patient")
async def test_with_a_second_worker_there_all_of_it_is_heard_and_nobody_is_told(model: Path) -> None:
    async with house(asr=0, final_ms=20_000, detector="webrtc") as here:
        both = dict(zip("ab", await asyncio.gather(*(whisper(here, f"asr-{x}", model) for x in "ab")), strict=True))
        await here.wait_workers("tts0", "asr-a", "asr-b")
        async with user(here.url, speaks=True) as u:
            u.microphone.say_nowait(whisper_models.in_a_room(LONG))
            await u.wait(Transcript)
            both[(await busy(here))[-1]].kill()
            assert (await u.wait(TurnEnded)).transcript == LONG
            assert u.finals() == [LONG]
            assert goes_forward(u)
            assert u.notices() == []


@pytest.mark.usefixtures("patient")
async def test_with_the_restarted_one_alone_all_of_it_is_heard_and_nobody_is_told(model: Path) -> None:
    async with house(asr=0, final_ms=500, detector="webrtc") as here:
        only = await whisper(here, "asr-a", model)
        await here.wait_workers("tts0", "asr-a")
        async with user(here.url, speaks=True) as u:
            u.microphone.say_nowait(whisper_models.in_a_room(LONG))
            await u.wait(Transcript)
            only.kill()
            await whisper(here, "asr-a", model)
            assert (await u.wait(TurnEnded)).transcript == LONG
            assert u.finals() == [LONG]
            assert goes_forward(u)
            assert u.notices() == []


@pytest.mark.usefixtures("patient")
async def test_a_decoder_that_is_killed_costs_no_word(model: Path, at_a_decode: Callable[[], bool]) -> None:
    async with house(asr=0, final_ms=20_000, detector="webrtc") as here:
        await here.asr("asr-a", engine="whisper", model=str(model))
        await here.wait_workers("tts0", "asr-a")
        async with user(here.url, speaks=True) as u:
            u.microphone.say_nowait(whisper_models.in_a_room(LONG))
            await u.wait(Transcript)
            [child] = decoders()
            child.suspend()
            await until(at_a_decode)
            child.kill()
            assert (await u.wait(TurnEnded)).transcript == LONG
            assert goes_forward(u)
            assert u.notices() == []


async def test_with_none_the_user_is_told_once_and_heard_as_soon_as_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asr_client, "SOON_S", 0.3)
    async with deafened(30.0, shown=3, final_ms=20_000) as (here, u):
        shown = u.all(Transcript)[-1].text
        assert not u.all(TurnEnded), "the turn is theirs while they speak"
        await here.asr("asr-b", script=(f"{shown} that I was not heard for a while",))
        await until(lambda: "not heard" in u.all(Transcript)[-1].text)
        u.microphone.hush()
        assert (await u.wait(TurnEnded)).transcript == f"{shown} that I was not heard for a while"


async def test_who_ended_with_none_there_is_told_and_what_was_understood_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asr_client, "SOON_S", 0.5)
    async with deafened(1.5, shown=2, final_ms=500) as (_, u):
        assert (await u.wait(TurnEnded)).transcript == u.all(Transcript)[-1].text


async def test_what_a_decode_hung_on_is_given_up_and_the_rest_is_heard_without_a_pause(model: Path) -> None:
    async with house(asr=0, final_ms=20_000, detector="webrtc") as here:
        await here.asr("asr-a", engine="whisper", model=str(model), stall_s=2.0)
        await here.wait_workers("tts0", "asr-a")
        async with user(here.url, speaks=True) as u:
            said = whisper_models.in_a_room(" ".join(["one"] * 60))
            u.microphone.say_nowait(said)
            await u.wait(Transcript)
            [child] = decoders()
            child.suspend()
            assert "a decode took more than" in (await u.wait(Notice, code="recognition_failed")).message
            shown = u.all(Transcript)[-1].text
            more = f"{shown} one one one one"
            await until(lambda: u.all(Transcript)[-1].text.startswith(more))
            u.microphone.hush()
            assert (await u.wait(TurnEnded)).transcript.startswith(more)
            assert u.notices() == ["recognition_failed"]
