"""Conversations with voices that are not in memory yet, or are in each other's way."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.clients import tts as tts_client
from tests.support.house import house
from tests.support.user import User, user
from tts_workers.settings import ModelSettings

pytestmark = pytest.mark.integration

SAYS = "one two three four"


def sine(id: str, **options: object) -> ModelSettings:
    return ModelSettings(id, "sine", options)


async def heard_whole(u: User) -> None:
    finished = await u.asks(SAYS)
    assert (finished.reason, finished.heard) == ("complete", SAYS)
    assert not u.player.jumps
    assert u.player.statistics().gaps == 0


async def test_three_voices_under_a_cap_of_two_and_no_listener_runs_dry() -> None:
    """Two sessions talk in turns on voices A and B; C is loaded, used and evicted between them."""
    models = (sine("a"), sine("b"), sine("c"))
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
