"""A test that hangs ends when its time is over, alone, and says where; the tests beside and after it run."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
LIMIT_S = 90.0

HANGING = """
import asyncio
import threading
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
import pytest

pytestmark = pytest.mark.timeout(3)


async def for_ever():
    await asyncio.Event().wait()


class TestClass:
    async def test_hangs(self, tmp_path):
        assert tmp_path
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(for_ever())
        finally:
            await asyncio.sleep(0)
            print("its context was left")


async def test_hangs_in_tidying_as_well():
    try:
        await for_ever()
    finally:
        await for_ever()


@pytest.fixture
async def never_made():
    await for_ever()


@pytest.fixture
async def never_put_away():
    yield
    await for_ever()


async def test_of_what_is_never_made(never_made):
    pass


async def test_of_what_is_never_put_away(never_put_away):
    pass


async def test_a_thread_hangs():
    await asyncio.to_thread(threading.Event().wait)


async def test_a_thread_is_left_behind():
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)


@given(st.integers())
@settings(max_examples=3, database=None, deadline=None)
async def test_examples(n):
    await asyncio.sleep(0)


class Machine(RuleBasedStateMachine):
    @rule()
    def step(self):
        pass


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=3, stateful_step_count=3, database=None, deadline=None)


def test_a_fixture_alone(tmp_path):
    assert tmp_path


async def test_its_own_timeout():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
"""


HANGS = {
    "test_hangs",
    "test_hangs_in_tidying_as_well",
    "test_of_what_is_never_made",
    "test_of_what_is_never_put_away",
    "test_a_thread_hangs",
}
GOES_ON = {
    "test_a_thread_is_left_behind",
    "test_examples",
    "runTest",
    "test_a_fixture_alone",
    "test_its_own_timeout",
}


def test_what_hangs_fails_alone_and_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "test_hanging.py").write_text(HANGING)
    words = ("-c", ROOT / "pyproject.toml", "--rootdir", tmp_path, "-p", "tests.support.time_limits")
    words += ("-p", "no:cacheprovider", "--junit-xml", "found.xml")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "test_hanging.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Two threads hang for ever, and no process waits for them.
        timeout=LIMIT_S,
    )
    assert ran.returncode == 1, ran.stdout
    found: dict[str, str] = {}
    for case in ET.parse(tmp_path / "found.xml").iter("testcase"):
        problem = next((each for each in case if each.tag in ("failure", "error")), None)
        name = case.attrib["name"]
        found[name] = found.get(name, "") or ("" if problem is None else problem.attrib["message"])
    assert {name for name, problem in found.items() if "out of time" in problem} == HANGS, ran.stdout
    assert {name for name, problem in found.items() if not problem} == GOES_ON, ran.stdout
    assert "its context was left" in ran.stdout
