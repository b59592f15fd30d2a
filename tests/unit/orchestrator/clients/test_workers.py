from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from orchestrator.clients.workers import Workers
from registry.directory import directory
from registry.records import Voice
from registry.stores.memory import MemoryStore
from tests.support.records import MODEL, worker

pytestmark = pytest.mark.unit

VOICES = (
    Voice("en-us", languages=("en-US", "en")),
    Voice("de", languages=("de",)),
    Voice("en-gb", languages=("en-GB", "en")),
    Voice("en-nyc", languages=("en-US-nyc",)),
)


async def test_the_default_voice_is_the_one_that_a_worker_would_choose() -> None:
    store = MemoryStore()
    async with directory(store) as there:
        await store.put(worker(models=(replace(MODEL, voices=VOICES),)), 60.0)
        async with asyncio.timeout(10):
            assert await there.wait_for(bool, 10)
        workers = Workers(there)
        assert workers.voices("en") == ("en-us", "en-gb", "en-nyc")
        assert workers.default_voice("en-GB") == "en-gb"
        assert workers.default_voice("de-AT") == "de"
        assert workers.default_voice("fr") == ""
        assert workers.voices("") == ("en-us", "de", "en-gb", "en-nyc")
