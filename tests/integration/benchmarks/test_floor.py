"""The floor and its users, as processes of their own: what the load benchmark compares with."""

from __future__ import annotations

import json

import pytest

from benchmarks.machine import cpu_seconds, resident_mb, this_machine
from benchmarks.stack import Failed, processes

pytestmark = pytest.mark.integration


def test_users_of_the_floor_are_hummed_at_and_heard() -> None:
    with processes() as made:
        floor = made.start("floor", "-m", "benchmarks.floor")
        plan = {"address": floor.address, "scene": "floor", "sessions": 3, "seconds": 0.5, "warm_s": 0.3}
        crowd = made.start("crowd", "-m", "benchmarks.crowd", json.dumps(plan))
        found = crowd.read_line(30)
        assert found["sessions"] == 3
        assert found["lost"] == []
        assert found["messages"] > 3 * 5
        assert found["played_s"] > 0
        assert cpu_seconds(floor.pid) > 0
        assert resident_mb(floor.pid) > 5
        crowd.popen.wait(20)
        assert crowd.popen.returncode == 0
    assert floor.popen.returncode is not None


def test_a_process_that_ends_says_what_it_logged() -> None:
    with processes() as made, pytest.raises(Failed, match="no such plan"):
        made.start("broken", "-c", "raise SystemExit('no such plan')")


def test_the_machine_is_named() -> None:
    machine = this_machine()
    assert machine.cpu
    assert machine.cores >= 1
    assert "uvloop" in machine.loop or machine.loop == "asyncio"
