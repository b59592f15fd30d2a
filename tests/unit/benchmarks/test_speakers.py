"""The loudspeaker without hold: it plays what it is sent, tells where it is, and can be sent a turn again."""

from __future__ import annotations

import pytest

from benchmarks.speakers import Follower
from orchestrator.messages import Played

pytestmark = pytest.mark.unit

RATE = 1000


def samples(*values: int) -> bytes:
    return b"".join(v.to_bytes(2, "little") for v in values)


def test_it_plays_in_order_and_then_silence() -> None:
    follower = Follower(RATE)
    follower.push(1, 0, samples(1, 2, 3))
    follower.push(1, 3, samples(4))
    assert follower.read(2) == samples(1, 2)
    assert follower.read(4) == samples(3, 4, 0, 0)
    assert follower.position == (1, 4)


def test_a_clear_drops_and_tells_at_once_what_was_played() -> None:
    follower = Follower(RATE)
    follower.push(1, 0, samples(1, 2, 3, 4))
    follower.read(3)
    follower.clear(1)
    assert follower.take_reports() == [Played(turn=1, samples=3)]
    assert follower.read(2) == samples(0, 0)
    assert follower.held


def test_the_same_turn_goes_on_where_it_is_sent_from() -> None:
    follower = Follower(RATE)
    follower.push(1, 0, samples(1, 2, 3, 4))
    follower.read(3)
    follower.clear(1)
    follower.push(1, 3, samples(4, 5))
    assert not follower.held
    assert follower.read(2) == samples(4, 5)
    assert follower.position == (1, 5)


def test_it_tells_its_place_every_tenth_of_a_second_and_at_the_end() -> None:
    follower = Follower(RATE)
    follower.push(1, 0, bytes(2 * 250))
    told = []
    for _ in range(30):
        follower.read(10)
        told += [played.samples for played in follower.take_reports()]
    assert told == [100, 200, 250]


def test_a_block_holds_samples_of_one_turn() -> None:
    follower = Follower(RATE)
    follower.push(1, 0, samples(1, 2, 3))
    follower.push(2, 0, samples(7, 8))
    assert follower.read(4) == samples(1, 2, 3, 0)
    assert follower.read(4) == samples(7, 8, 0, 0)
    assert [p for p in follower.take_reports() if p.turn == 1][-1].samples == 3
