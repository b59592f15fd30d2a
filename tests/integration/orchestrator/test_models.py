"""Conversations with voices that are not in memory yet, or are in each other's way."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from orchestrator.clients import tts as tts_client
from orchestrator.messages import Error
from tests.support.house import LIMIT_S, House, house, until
from tests.support.isolated_engines import ignore_others, isolated_processes
from tests.support.piper_voices import make_voice
from tests.support.user import QUICK, User, user
from tts_workers.settings import ModelSettings

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _others() -> None:
    ignore_others()


SAYS = "one two three four"


def sine(id: str, **options: object) -> ModelSettings:
    return ModelSettings(id, "sine", options)


def piper(id: str, place: Path) -> ModelSettings:
    voice = make_voice(place, f"en_US-{id}-low", pitch=2 + ord(id) - ord("a"))
    return ModelSettings(id, "piper", {"path": str(voice), "max_concurrent": 4})


async def wait_state(here: House, model: str, state: str) -> None:
    """Until the orchestrator knows it."""
    async with asyncio.timeout(LIMIT_S):
        while not any(
            m["id"] == model and m["state"] == state for w in (await here.workers()).values() for m in w["models"]
        ):
            await asyncio.sleep(0.01)


async def heard_whole(u: User) -> None:
    finished = await u.asks(SAYS)
    assert (finished.reason, finished.heard) == ("complete", SAYS)
    assert not u.player.jumps
    assert u.player.statistics().gaps == 0


@pytest.mark.parametrize("engine", ["sine", "piper"])
async def test_three_voices_under_a_cap_of_two_and_no_listener_runs_dry(engine: str, tmp_path: Path) -> None:
    """Two sessions talk in turns on voices A and B; C is loaded, used and evicted between them."""
    models = tuple(sine(id) if engine == "sine" else piper(id, tmp_path) for id in "abc")
    settings = {"models": models, "default_model": "a", "max_models": 2, "linger_s": 0.0, "room_wait_s": 15.0}
    # The default stays, so of B and C one at a time has the other place.
    async with (
        house(tts_settings=settings, asr=0) as here,
        user(here.url, model="a") as a,
        user(here.url, model="b") as b,
    ):
        for _ in range(3):
            await heard_whole(a)
            await heard_whole(b)
            async with user(here.url, model="c") as c:
                await heard_whole(c)
            await asyncio.gather(heard_whole(a), heard_whole(b))
        worker = next(iter((await here.workers()).values()))
        states = {m["id"]: m["state"] for m in worker["models"]}
        assert states["a"] == states["b"] == "ready"
        assert states["c"] == "absent"


async def test_a_conversation_on_a_piper_voice_by_configuration_alone(tmp_path: Path) -> None:
    config = tmp_path / "antiphon.toml"
    voice = make_voice(tmp_path, aligned=True)
    config.write_text(
        f'[[tts_worker.models]]\nid = "anna"\nengine = "piper"\noptions = {{ path = "{voice}", max_concurrent = 4 }}\n'
    )
    async with house(tts=0) as here:
        await here.process("tts-worker", "--id", "piper", "--config", str(config))
        await here.wait_workers("piper", "asr0")
        async with user(here.url, speaks=True, phrases=["hello there", "go on"], endpointing=QUICK) as u:
            await u.speaks()
            finished = await u.finished()
            assert (finished.reason, finished.heard) == ("complete", "hello there")
            assert len(u.heard(finished.turn)) > 48_000 // 5
            assert [m.exact for m in u.all_marks()] == [True, True]


async def test_a_reply_waits_for_a_voice_that_takes_longer_to_load_than_a_worker_may_be_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tts_client, "STALLED_S", 0.5)
    settings = {"models": (sine("a"), sine("slow", load_s=2.0)), "linger_s": 0.0}
    async with house(tts_settings=settings, asr=0) as here, user(here.url, model="slow") as u:
        await heard_whole(u)
        assert not u.errors()


async def test_a_voice_without_room_at_one_worker_is_had_from_another() -> None:
    busy = {"models": (sine("x"), sine("wanted")), "max_models": 1, "room_wait_s": 0.2}
    async with house(tts=0, asr=0) as here:
        await here.tts("tts-full", **busy)
        await here.tts("tts-free", models=(sine("y"), sine("wanted")), max_models=2)
        await here.wait_workers("tts-full", "tts-free")
        for _ in range(4):
            async with user(here.url, model="wanted") as u:
                await heard_whole(u)
                assert not u.errors()


async def test_a_voice_whose_process_crashed_is_had_back_by_whoever_speaks_next() -> None:
    settings = {"models": (sine("a"), sine("b", isolate=True)), "linger_s": 0.0}
    async with house(tts_settings=settings, asr=0) as here, user(here.url, model="b") as u:
        await heard_whole(u)
        (pid,) = isolated_processes()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not isolated_processes(), "its process to be gone")
        await wait_state(here, "b", "failed")
        await heard_whole(u)
        assert not u.errors()


async def test_a_voice_whose_process_dies_in_mid_sentence_goes_on_with_the_next_word() -> None:
    async with (
        house(tts_settings={"models": (sine("a"), sine("b", isolate=True))}, asr=0) as here,
        user(here.url, model="b") as u,
    ):
        text = " ".join([SAYS] * 5)
        u.session.ask(text)
        await u.hears(0.3, 1)
        (pid,) = isolated_processes()
        os.kill(pid, signal.SIGKILL)
        finished = await u.finished(turn=1)
        assert (finished.reason, finished.heard) == ("complete", text)
        assert not u.errors()


async def test_a_voice_that_could_not_be_loaded_is_tried_again(tmp_path: Path) -> None:
    voice = make_voice(tmp_path, "en_US-late-low")
    config = voice.with_name(voice.name + ".json")
    config.rename(tmp_path / "elsewhere.json")
    models = (sine("a"), ModelSettings("late", "piper", {"path": str(voice), "max_concurrent": 4}))
    async with house(tts_settings={"models": models}, asr=0) as here, user(here.url, model="late") as u:
        finished = await u.asks(SAYS)
        assert finished.reason == "failed"
        assert "'late'" in u.all(Error)[0].message
        (tmp_path / "elsewhere.json").rename(config)
        async with asyncio.timeout(LIMIT_S):
            while (await u.asks(SAYS)).reason != "complete":
                await asyncio.sleep(0.2)
