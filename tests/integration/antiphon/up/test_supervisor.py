"""The supervisor on real processes: small fakes of the services."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import psutil
import pytest

from antiphon.up.plan import Crashed, Phase, Policy, Service
from antiphon.up.supervisor import Program, Supervisor

pytestmark = pytest.mark.integration

FAKE = Path(__file__).parents[3] / "support" / "fake_service.py"
QUICK = Policy(base_s=0.05, cap_s=0.2, stable_s=60.0, ready_s=30.0, stop_s=20.0)
LIMIT_S = 30.0


class News:
    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.tails: list[str] = []

    def ready(self, name: str, address: str, *, again: bool) -> None:
        self.told.append(("ready again" if again else "ready", name))

    def crashed(self, crash: Crashed, tail: Sequence[str]) -> None:
        self.told.append(("crashed", crash.name, str(crash.code)))
        self.tails += tail

    def stopping(self, *, hurried: bool) -> None:
        self.told.append(("hurried" if hurried else "stopping",))

    def line(self, name: str, line: str) -> None:
        pass


def fake(name: str, *more: str, needs: tuple[str, ...] = (), vital: bool = False) -> Program:
    return Program(Service(name, needs=needs, vital=vital), lambda _: [sys.executable, str(FAKE), name, *more])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


@contextlib.asynccontextmanager
async def running(
    tmp_path: Path, *programs: Program, policy: Policy = QUICK
) -> AsyncIterator[tuple[Supervisor, News, asyncio.Task[int]]]:
    news = News()
    supervisor = Supervisor(programs, news, log_dir=tmp_path / "log", policy=policy)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(supervisor.run())
        try:
            yield supervisor, news, task
        finally:
            task.cancel()


async def test_starts_in_order_and_leaves_nothing(tmp_path: Path) -> None:
    programs = (fake("registry", vital=True), fake("tts", needs=("registry",)))
    async with running(tmp_path, *programs) as (supervisor, news, task):
        await until(lambda: ("ready", "tts") in news.told)
        pids = list(supervisor.pids().values())
        assert len(pids) == 2
        supervisor.stop_nowait()
        assert await asyncio.wait_for(task, LIMIT_S) == 0
    assert news.told == [("ready", "registry"), ("ready", "tts"), ("stopping",)]
    assert not any(alive(pid) for pid in pids)
    assert (tmp_path / "log" / "tts.log").read_text() == "tts says hello\n"


async def test_a_crashed_service_comes_back_and_its_last_words_are_shown(tmp_path: Path) -> None:
    async with running(tmp_path, fake("tts", "--crash-once", str(tmp_path / "crashed"))) as (supervisor, news, task):
        await until(lambda: ("ready again", "tts") in news.told)
        assert ("crashed", "tts", "3") in news.told
        assert "tts has an accident" in news.tails
        supervisor.stop_nowait()
        assert await asyncio.wait_for(task, LIMIT_S) == 0


async def test_a_killed_service_takes_its_own_children_along_and_comes_back(tmp_path: Path) -> None:
    pool = tmp_path / "grandchild"
    async with running(tmp_path, fake("asr", "--grandchild", str(pool))) as (supervisor, news, task):
        await until(lambda: ("ready", "asr") in news.told)
        grandchild = int(pool.read_text())
        assert alive(grandchild)
        os.kill(supervisor.pids()["asr"], signal.SIGKILL)
        await until(lambda: ("ready again", "asr") in news.told)
        assert ("crashed", "asr", "-9") in news.told
        await until(lambda: not alive(grandchild))
        last = int(pool.read_text())
        supervisor.stop_nowait()
        await asyncio.wait_for(task, LIMIT_S)
        await until(lambda: not alive(last))


async def test_a_wrong_setting_stops_everything_and_says_why(tmp_path: Path) -> None:
    programs = (fake("registry", vital=True), fake("tts", "--exit", "78", needs=("registry",)))
    async with running(tmp_path, *programs) as (_, news, task):
        assert await asyncio.wait_for(task, LIMIT_S) == 78
    assert "tts cannot go on" in news.tails


async def test_a_program_that_is_not_there_is_a_crash_like_any_other(tmp_path: Path) -> None:
    gone = Program(Service("registry", vital=True), lambda _: [str(tmp_path / "nowhere")])
    async with running(tmp_path, gone) as (_, news, task):
        assert await asyncio.wait_for(task, LIMIT_S) == 1
    assert any("cannot start registry" in line for line in news.tails)


async def test_one_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    policy = Policy(stop_s=0.2)
    async with running(tmp_path, fake("deaf", "--deaf"), policy=policy) as (supervisor, news, task):
        await until(lambda: ("ready", "deaf") in news.told)
        pid = supervisor.pids()["deaf"]
        supervisor.stop_nowait()
        assert await asyncio.wait_for(task, LIMIT_S) == 0
    assert not alive(pid)


async def test_a_second_stop_kills_at_once(tmp_path: Path) -> None:
    policy = Policy(stop_s=3_600.0)
    async with running(tmp_path, fake("deaf", "--deaf"), policy=policy) as (supervisor, news, task):
        await until(lambda: ("ready", "deaf") in news.told)
        supervisor.stop_nowait()
        supervisor.stop_nowait()
        assert await asyncio.wait_for(task, LIMIT_S) == 130
    assert ("hurried",) in news.told


async def test_one_that_never_gets_ready_is_started_again(tmp_path: Path) -> None:
    started = tmp_path / "started"
    policy = Policy(base_s=0.05, ready_s=0.3)
    async with running(tmp_path, fake("silent", "--silent", "--started", str(started)), policy=policy) as (_, news, __):
        await until(lambda: started.exists() and len(started.read_text().split()) >= 2)
    assert ("crashed", "silent", "-9") in news.told


@pytest.mark.parametrize("moment", range(8))
async def test_cancelled_at_any_moment_nothing_is_left(tmp_path: Path, moment: int) -> None:
    started = tmp_path / "started"
    programs = [fake(f"s{i}", "--deaf", "--started", str(started)) for i in range(2)]
    supervisor = Supervisor(programs, News(), log_dir=tmp_path, policy=QUICK)
    task = asyncio.ensure_future(supervisor.run())
    for _ in range(moment):
        await asyncio.sleep(0)
    if moment >= 6:
        await until(lambda: moment == 6 or set(supervisor.phases().values()) == {Phase.READY})
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    own = psutil.Process()
    await until(lambda: not any(str(FAKE) in " ".join(_command(c)) for c in own.children(recursive=True)))


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.parametrize("sig", [signal.SIGKILL])
def test_when_up_itself_is_killed_its_children_end(tmp_path: Path, sig: signal.Signals) -> None:
    started = tmp_path / "started"
    script = textwrap.dedent(
        f"""
        import asyncio, sys
        sys.path[:0] = {[str(FAKE.parents[2] / "src")]!r}
        from pathlib import Path
        from antiphon.up.plan import Service
        from antiphon.up.supervisor import Program, Supervisor
        class Quiet:
            def ready(self, name, address, *, again): print(name, flush=True)
            def crashed(self, crash, tail): pass
            def stopping(self, *, hurried): pass
            def line(self, name, line): pass
        def program(name):
            argv = [sys.executable, {str(FAKE)!r}, name, "--started", {str(started)!r}]
            return Program(Service(name), lambda _: argv)
        asyncio.run(Supervisor([program("a"), program("b")], Quiet(), log_dir=Path({str(tmp_path)!r})).run())
        """
    )
    up = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert up.stdout is not None
    assert sorted([up.stdout.readline(), up.stdout.readline()]) == ["a\n", "b\n"]
    pids = [int(line) for line in started.read_text().split()]
    assert all(alive(pid) for pid in pids)
    up.send_signal(sig)
    up.wait(LIMIT_S)
    psutil.wait_procs([psutil.Process(pid) for pid in pids if alive(pid)], timeout=LIMIT_S)
    assert not any(alive(pid) for pid in pids)
