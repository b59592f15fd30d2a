from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from base.errors import BadRequest
from registry import wire
from registry.records import WorkerRecord
from registry.store import News, Put, Removed, Snapshot
from tests.support.records import fleets, worker, workers

pytestmark = pytest.mark.unit


@given(workers)
def test_a_record_comes_back_as_it_was(record: WorkerRecord) -> None:
    assert wire.record_from(wire.record_to(record)) == record


@given(fleets)
def test_news_come_back_as_they_were(fleet: list[WorkerRecord]) -> None:
    everything: list[News] = [Snapshot(tuple(fleet)), Removed("x"), *map(Put, fleet)]
    assert [wire.news_from(wire.news_to(news)) for news in everything] == everything


def test_news_of_an_unknown_arm_is_none() -> None:
    assert wire.news_from(wire.WatchResponse()) is None


@pytest.mark.parametrize("change", [{"id": ""}, {"epoch": ""}, {"address": "nowhere"}])
def test_a_record_that_nobody_could_use_is_refused(change: dict[str, str]) -> None:
    message = wire.record_to(replace(worker(), **change))  # type: ignore[arg-type]
    with pytest.raises(BadRequest) as caught:
        wire.record_from(message)
    assert caught.value.reason == "BAD_RECORD"


def test_a_worker_of_a_newer_kind_hides_no_other() -> None:
    newer = wire.record_to(worker("newer"))
    newer.kind = 99  # type: ignore[assignment]
    assert wire.records_from([newer, wire.record_to(worker("known"))]) == (worker("known"),)
    with pytest.raises(BadRequest, match="kind 99"):
        wire.record_from(newer)
