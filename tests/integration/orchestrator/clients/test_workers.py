"""What an orchestrator makes of the workers that there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from base.errors import NotFound
from orchestrator.clients.workers import Shunned, Workers, identity, wanted_ears, wanted_voice
from orchestrator.ports import VoiceChoice
from registry.directory import directory
from registry.leases import Leases
from registry.records import ModelRecord, Voice, WorkerKind, WorkerRecord
from registry.stores.memory import MemoryStore
from tests.support.house import until
from tests.support.records import worker

pytestmark = pytest.mark.integration

ENGLISH = ModelRecord("espeak", "espeak", languages=("en", "de"), voices=(Voice("en-us", "", ("en-US",)),))
GERMAN = ModelRecord("piper", "piper", languages=("de",), voices=(Voice("thorsten", "", ("de-DE",)),), is_default=True)


def ears(id: str, *languages: str, partials: bool = True) -> WorkerRecord:
    features = frozenset({"partials"} if partials else ())
    model = ModelRecord("whisper", "whisper", languages=languages, features=features)
    return worker(id, kind=WorkerKind.ASR, models=(model,))


class World:
    def __init__(self, store: MemoryStore, workers: Workers) -> None:
        self.store = store
        self.workers = workers

    async def put(self, *records: WorkerRecord) -> None:
        for record in records:
            await self.store.put(record, 60.0)
        ids = {r.id for r in records}
        await until(lambda: ids <= {w.id for kind in WorkerKind for w in self.workers.of(kind)})


@asynccontextmanager
async def world(*records: WorkerRecord) -> AsyncIterator[World]:
    store = MemoryStore(Leases())
    async with directory(store) as known:
        workers = Workers(known)
        made = World(store, workers)
        await made.put(*records)
        yield made
        await workers.close()


async def test_a_voice_is_checked_against_everybody() -> None:
    async with world(worker("w1", models=(ENGLISH,)), worker("w2", models=(GERMAN,))) as w:
        check = w.workers.check_voice
        check(VoiceChoice(voice="en-us", language="en"))
        check(VoiceChoice(voice="en-us+f3"))
        check(VoiceChoice(language="de"))
        check(VoiceChoice(voice="thorsten", model="piper"))
        for choice, reason, words in (
            (VoiceChoice(voice="alto", language="en"), "VOICE_UNKNOWN", "such as en-us"),
            (VoiceChoice(voice="alto", language="fi"), "VOICE_UNKNOWN", "such as en-us, thorsten"),
            (VoiceChoice(voice="thorsten", language="en"), "VOICE_LANGUAGE", "does not speak 'en'"),
            (VoiceChoice(voice="thorsten", model="espeak"), "VOICE_LANGUAGE", "in model 'espeak'"),
            (VoiceChoice(model="xtts"), "MODEL_UNKNOWN", "espeak, piper"),
            (VoiceChoice(language="fi"), "LANGUAGE_UNKNOWN", "de, en"),
        ):
            with pytest.raises(NotFound) as refused:
                check(choice)
            assert refused.value.reason == reason
            assert words in refused.value.message


async def test_without_a_worker_nothing_is_unknown() -> None:
    async with world() as w:
        w.workers.check_voice(VoiceChoice(voice="alto", language="fi"))
        assert not w.workers.can_speak(VoiceChoice())
        assert not w.workers.can_hear("en")
        assert w.workers.gives_partials("en")
        assert w.workers.default_voice("en") == ""
        assert w.workers.facts("en") == {"tts": "", "asr": "", "hears": "no"}


async def test_a_voice_brings_its_language_where_none_is_named() -> None:
    async with world(worker("w1", models=(ENGLISH, GERMAN))) as w:
        assert w.workers.language_of("thorsten", "en") == "de-DE"
        assert w.workers.language_of("thorsten", "de") == "de"
        assert w.workers.language_of("en-us+f1", "en-GB") == "en-GB"
        assert w.workers.language_of("alto", "en") == "en"


async def test_who_hears_what_and_how() -> None:
    async with world(ears("a", "en"), ears("b", "de", partials=False)) as w:
        assert w.workers.hears() == ["de", "en"]
        assert w.workers.can_hear("en-AU")
        assert not w.workers.can_hear("fi")
        assert w.workers.gives_partials("en")
        assert not w.workers.gives_partials("de")


async def test_a_worker_fits_with_its_model_until_it_drains_or_is_another() -> None:
    both = worker("w1", models=(ENGLISH, GERMAN))
    async with world(both) as w:
        english, german = (wanted_voice(VoiceChoice(voice=v)) for v in ("en-us", "thorsten"))
        who = w.workers.find(english)
        assert who is not None
        assert (who.worker.id, who.model.id) == ("w1", "espeak")
        assert w.workers.fits(who, english)
        assert not w.workers.fits(who, german), "another model of the same worker has that voice"
        assert w.workers.find(english, {identity(both)}) is None
        await w.store.put(replace(both, slots_used=1), 60.0)
        await until(lambda: w.workers.of(WorkerKind.TTS)[0].slots_used == 1)
        assert w.workers.fits(who, english)
        await w.store.put(replace(both, draining=True), 60.0)
        await until(lambda: not w.workers.of(WorkerKind.TTS))
        assert not w.workers.fits(who, english)


async def test_somebody_is_waited_for() -> None:
    async with world() as w:
        assert await w.workers.wait_for(wanted_ears("en"), timeout_s=0.01) is None
        await w.put(ears("a", "en"))
        who = await w.workers.wait_for(wanted_ears("en"), timeout_s=10.0)
        assert who is not None
        assert who.worker.id == "a"


async def test_a_channel_is_shared_and_closed_when_its_worker_is_gone() -> None:
    here, gone = worker("w1", address="127.0.0.1:9"), worker("w2", address="127.0.0.1:10")
    async with world(here) as w:
        async with w.workers.channel(here.address) as a, w.workers.channel(here.address) as b:
            assert a is b
        assert w.workers.channels == 1, "kept for the next one"
        async with w.workers.channel(gone.address):
            assert w.workers.channels == 2
        assert w.workers.channels == 1, "nobody will come back to it"
        await w.workers.close()
        assert w.workers.channels == 0


def test_who_failed_is_left_alone_for_a_while() -> None:
    now = [100.0]
    shunned = Shunned(lambda: now[0])
    one, other = worker("w1"), worker("w2", epoch="e7")
    shunned.shun(one, 2.0)
    shunned.shun(other, 0.5)
    assert shunned.now() == {"w1@e1", "w2@e7"}
    now[0] = 101.0
    assert shunned.now() == {"w1@e1"}
    now[0] = 102.0
    assert shunned.now() == frozenset()
