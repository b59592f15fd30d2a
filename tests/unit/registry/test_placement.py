from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.language import matches
from registry.placement import Candidate, Wanted, choose
from registry.records import ModelRecord, ModelState, Voice, WorkerKind, WorkerRecord
from tests.support.records import LANGUAGES, MODEL, NAMES, fleets, worker

pytestmark = pytest.mark.unit

TTS = Wanted(WorkerKind.TTS)
wants = st.builds(
    Wanted,
    kind=st.sampled_from(WorkerKind),
    model=st.just("") | NAMES,
    voice=st.just("") | NAMES,
    language=LANGUAGES,
    features=st.frozensets(NAMES, max_size=1),
)


def ids(*fleet: WorkerRecord, wanted: Wanted = TTS, seed: int = 0) -> list[str]:
    return [c.worker.id for c in choose(fleet, wanted, random.Random(seed).random)]


def model(**changes: object) -> ModelRecord:
    return replace(MODEL, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (TTS, True),
        (Wanted(WorkerKind.ASR), False),
        (Wanted(WorkerKind.TTS, model="espeak"), True),
        (Wanted(WorkerKind.TTS, model="piper"), False),
        (Wanted(WorkerKind.TTS, voice="f1"), True),
        (Wanted(WorkerKind.TTS, voice="f2"), False),
        (Wanted(WorkerKind.TTS, language="de-AT"), True),
        (Wanted(WorkerKind.TTS, language="fr"), False),
        (Wanted(WorkerKind.TTS, voice="f1", language="de"), False),
        (Wanted(WorkerKind.TTS, features=frozenset({"marks"})), False),
    ],
)
def test_who_cannot_is_left_out(wanted: Wanted, found: bool) -> None:
    assert ids(worker(), wanted=wanted) == (["w1"] if found else [])


def test_draining_workers_are_left_out() -> None:
    assert ids(worker("a", draining=True), worker("b")) == ["b"]


def test_who_failed_is_asked_last() -> None:
    failed = model(state=ModelState.FAILED)
    assert ids(worker("a", models=(failed,)), worker("b", slots_used=4), worker("c")) == ["c", "b", "a"]
    other = model(id="other", state=ModelState.ABSENT)
    (candidate,) = choose([worker("a", models=(replace(failed, is_default=True), other))], TTS, random.Random(1).random)
    assert (candidate.model.id, candidate.failed) == ("other", False)


def test_a_model_without_languages_takes_its_voices_languages() -> None:
    record = worker(models=(model(languages=(), voices=(Voice("v", languages=("fr",)),)),))
    assert ids(record, wanted=Wanted(WorkerKind.TTS, language="fr")) == ["w1"]
    assert ids(record, wanted=Wanted(WorkerKind.TTS, language="de")) == []


def test_resident_first_then_the_very_language_and_full_ones_last() -> None:
    absent = (model(state=ModelState.ABSENT),)
    fleet = [
        worker("full", slots_used=4),
        worker("absent", models=absent),
        worker("loading", models=(model(state=ModelState.LOADING),)),
        worker("british", models=(model(languages=("en-GB",)),)),
        worker("american", models=(model(languages=("en-US",)),)),
    ]
    for seed in range(20):
        order = ids(*fleet, wanted=Wanted(WorkerKind.TTS, language="en-US"), seed=seed)
        assert order[:2] == ["american", "british"]
        assert set(order[2:4]) == {"absent", "loading"}
        assert order[4] == "full"


def test_within_a_worker_the_default_model_then_a_resident_one_then_the_closest_language() -> None:
    def chosen(*models: ModelRecord) -> str:
        (candidate,) = choose([worker(models=models)], Wanted(WorkerKind.TTS, language="en-GB"), random.random)
        return candidate.model.id

    british = model(id="british", languages=("en-GB",))
    american = model(id="american", languages=("en-US",))
    assert chosen(american, british) == "british"
    assert chosen(british, replace(american, is_default=True)) == "american"
    assert chosen(replace(british, state=ModelState.ABSENT), american) == "american"
    assert chosen(replace(american, is_default=True, languages=("fr",)), british) == "british"


def test_of_two_the_less_busy_is_always_first() -> None:
    for seed in range(50):
        assert ids(worker("busy", slots_used=3), worker("idle", slots_used=1), seed=seed) == ["idle", "busy"]


def test_many_choices_spread_and_never_start_with_the_busiest() -> None:
    fleet = [worker(str(n), slots=10, slots_used=n) for n in range(5)]
    rng = random.Random(1)
    firsts = Counter(choose(fleet, TTS, rng.random)[0].worker.id for _ in range(2_000))
    assert "4" not in firsts
    assert set(firsts) == {"0", "1", "2", "3"}
    assert firsts["0"] > firsts["1"] > firsts["2"] > firsts["3"]


def test_a_worker_without_declared_slots_is_never_full() -> None:
    (candidate,) = choose([worker(slots=0, slots_used=9)], TTS, random.random)
    assert not candidate.full


def _order(candidate: Candidate) -> tuple[bool, bool, bool]:
    return (candidate.failed, candidate.full, not candidate.resident, not candidate.close)


@given(fleets, wants, st.randoms(use_true_random=False))
def test_every_worker_that_can_and_none_that_cannot(
    fleet: list[WorkerRecord], wanted: Wanted, rng: random.Random
) -> None:
    order = choose(fleet, wanted, rng.random)
    assert len({c.worker.id for c in order}) == len(order)
    assert [_order(c) for c in order] == sorted(_order(c) for c in order)
    for c in order:
        assert c.worker in fleet
        assert c.model in c.worker.models
        assert c.worker.kind is wanted.kind
        assert not c.worker.draining
        assert c.failed == (c.model.state is ModelState.FAILED)
        assert wanted.model in ("", c.model.id)
        assert wanted.features <= c.model.features
        assert c.resident == (c.model.state is ModelState.READY)
        if wanted.voice:
            assert wanted.voice in {v.id for v in c.model.voices}
    left_out = [w for w in fleet if w.id not in {c.worker.id for c in order}]
    for w in left_out:
        if w.kind is wanted.kind and not w.draining and not wanted.voice:
            for m in w.models:
                able = wanted.features <= m.features
                spoken = m.languages or tuple(tag for v in m.voices for tag in v.languages)
                assert not (
                    able
                    and wanted.model in ("", m.id)
                    and (not spoken or any(matches(wanted.language, tag) for tag in spoken))
                )


@given(fleets, wants, st.integers())
def test_the_same_randomness_gives_the_same_order(fleet: list[WorkerRecord], wanted: Wanted, seed: int) -> None:
    assert choose(fleet, wanted, random.Random(seed).random) == choose(fleet, wanted, random.Random(seed).random)
