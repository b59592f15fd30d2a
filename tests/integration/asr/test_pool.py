"""The pool over real child processes, which run the scripted recogniser: what goes wrong there is scripted."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from asr.ears import Failed
from asr.pool import ChildSpec, PoolLimits, pool
from asr.recognizer import Final, Partial, RecognizerConfig, RecognizerInfo
from base.errors import AtCapacity, BadRequest, TimedOut, Unavailable

pytestmark = pytest.mark.integration

INFO = RecognizerInfo("scripted", ("en",), "Apache-2.0")
FACTORY = "asr.engines.scripted:ScriptedRecognizer"
PCM = bytes(3_200)
LIMIT_S = 30.0


@asynccontextmanager
async def scripted(*script, most=2, stall_s=20.0, idle_s=60.0):
    spec = ChildSpec(INFO, FACTORY, {"script": script, "word_s": 0.1})
    async with pool(spec, PoolLimits(most, idle_s=idle_s, stall_s=stall_s)) as made:
        yield made


class User:
    """A session's news, by utterance."""

    def __init__(self, ears, **config):
        self.session = ears.open(RecognizerConfig(**config))
        self.news = {}
        self.changed = asyncio.Event()

    def take(self, news):
        self.news.setdefault(news.utterance, []).append(news)
        self.changed.set()

    def begin(self, utterance, pieces=4):
        hearing = self.session.begin_nowait(utterance, 0, self.take)
        for _ in range(pieces):
            hearing.push_nowait(PCM)
        return hearing

    def say(self, utterance, pieces=4):
        hearing = self.begin(utterance, pieces)
        hearing.finish_nowait()
        return hearing

    async def wait_end(self, utterance):
        async with asyncio.timeout(LIMIT_S):
            while not (found := [n for n in self.news.get(utterance, ()) if not isinstance(n, Partial)]):
                self.changed.clear()
                await self.changed.wait()
        return found[0]


async def until(condition):
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.01)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc").exists()


async def test_a_session_hears_one_utterance_after_another_on_any_child():
    async with scripted("one two three", "four") as ears:
        user = User(ears)
        user.say(1)
        assert (await user.wait_end(1)).text == "one two three"
        assert [n.text for n in user.news[1] if isinstance(n, Partial)] == ["one", "one two", "one two three"]
        other = User(ears)
        blocker = other.begin(1)
        user.say(2)
        assert (await user.wait_end(2)).text == "four"  # where the session was in its script went along
        blocker.cancel_nowait()
        await until(lambda: ears.busy == 0)
        assert ears.rtf >= 0.0


async def test_utterances_of_one_session_overlap():
    async with scripted("[[slow 1.0]] slow", "quick") as ears:
        user = User(ears)
        user.say(1)
        user.session.adaptation = "1"
        user.say(2)
        assert (await user.wait_end(2)).text == "quick"
        assert not any(isinstance(n, Final) for n in user.news[1])
        assert (await user.wait_end(1)).text == "slow"


async def test_a_full_pool_refuses_at_once_and_says_when_to_try_again():
    async with scripted("words", most=1) as ears:
        user = User(ears)
        first = user.begin(1)
        with pytest.raises(AtCapacity) as refused:
            user.begin(2)
        assert refused.value.retry_after_s
        assert ears.busy == ears.slots == 1
        first.finish_nowait()
        await user.wait_end(1)
        user.say(3)
        assert isinstance(await user.wait_end(3), Final)


async def test_in_a_full_pool_the_next_may_begin_as_soon_as_one_was_cancelled():
    async with scripted("[[slow 0.3]] never heard", "heard", most=1) as ears:
        user = User(ears)
        user.say(1).cancel_nowait()
        user.session.adaptation = "1"
        second = user.begin(2)
        with pytest.raises(AtCapacity):
            user.begin(3)
        second.finish_nowait()
        assert (await user.wait_end(2)).text == "heard"
        assert 1 not in user.news or all(isinstance(n, Partial) for n in user.news[1])
        await until(lambda: ears.busy == 0)


async def test_a_child_that_dies_fails_its_utterance_and_is_replaced():
    async with scripted("[[crash]] never heard", "heard", most=1) as ears:
        before = ears.processes
        user = User(ears)
        user.say(1)
        failed = await user.wait_end(1)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, Unavailable)
        user.session.adaptation = "1"
        await until(lambda: ears.processes and ears.processes != before)
        user.say(2)
        assert (await user.wait_end(2)).text == "heard"
        assert not any(alive(pid) for pid in before)


async def test_a_child_that_is_killed_does_not_hurt_the_one_beside_it():
    async with scripted("words", most=2) as ears:
        user, other = User(ears), User(ears)
        user.begin(1)
        hearing = other.begin(1)
        await until(lambda: len(ears.processes) == 2 and len(user.news) == len(other.news) == 1)
        os.kill(ears.processes[0], signal.SIGKILL)
        assert isinstance(await user.wait_end(1), Failed)
        hearing.finish_nowait()
        assert (await other.wait_end(1)).text == "words"


async def test_a_child_that_hangs_is_ended_and_replaced():
    async with scripted("[[hang]] never", "heard", most=1, stall_s=0.6) as ears:
        before = ears.processes
        user = User(ears)
        user.say(1)
        failed = await user.wait_end(1)
        assert isinstance(failed.error, TimedOut)
        await until(lambda: not any(alive(pid) for pid in before))
        user.session.adaptation = "1"
        await until(lambda: ears.processes and ears.processes != before)
        user.say(2)
        assert (await user.wait_end(2)).text == "heard"


async def test_who_says_nothing_for_long_hangs_nobody():
    async with scripted("words", most=1, stall_s=0.3) as ears:
        user = User(ears)
        hearing = user.begin(1)
        await until(lambda: user.news)
        before = ears.processes
        await asyncio.sleep(1.0)  # longer than a stall: nothing waits to be decoded
        assert ears.processes == before
        hearing.finish_nowait()
        assert isinstance(await user.wait_end(1), Final)


async def test_an_error_of_the_recogniser_ends_the_utterance_and_keeps_the_child():
    async with scripted("[[error]]", "heard", most=1) as ears:
        before = ears.processes
        user = User(ears)
        user.say(1)
        failed = await user.wait_end(1)
        assert "the script says" in failed.error.message
        user.session.adaptation = "1"
        user.say(2)
        assert (await user.wait_end(2)).text == "heard"
        assert ears.processes == before


async def test_cancelled_utterances_free_their_child_and_say_nothing():
    async with scripted("words", most=1) as ears:
        user = User(ears)
        for utterance in range(20):
            user.begin(utterance, pieces=10).cancel_nowait()
            await until(lambda: ears.busy == 0)
        assert not any(isinstance(n, Final | Failed) for news in user.news.values() for n in news)
        user.say(99)
        assert isinstance(await user.wait_end(99), Final)


async def test_a_session_that_closes_frees_all_it_had():
    async with scripted("words", most=2) as ears:
        user = User(ears)
        user.begin(1)
        user.begin(2)
        user.session.close_nowait()
        await until(lambda: ears.busy == 0)


async def test_children_come_when_they_are_needed_and_go_when_they_are_not():
    async with scripted("words", most=3, idle_s=0.5) as ears:
        users = [User(ears) for _ in range(3)]
        for user in users:
            user.begin(1)
        await until(lambda: len(ears.processes) == 3)
        for user in users:
            user.session.close_nowait()
        await until(lambda: len(ears.processes) == 1)
        users[0].say(2)
        assert isinstance(await users[0].wait_end(2), Final)


async def test_what_cannot_load_is_unavailable_and_says_so():
    spec = ChildSpec(INFO, "asr.engines.no_such:Recognizer")
    with pytest.raises((Unavailable, ExceptionGroup)) as failed:
        async with pool(spec, PoolLimits(1)):
            pass
    error = failed.value.exceptions[0] if isinstance(failed.value, ExceptionGroup) else failed.value
    assert "does not start" in error.message


@pytest.mark.parametrize("first", [True, False])
def test_a_child_that_dies_at_once_is_replaced_on_uvloop_as_well(monkeypatch, first):
    """The loop is busy, so that it is dead before anything was written to it."""
    spawn = asyncio.create_subprocess_exec
    spawned = 0

    async def late(*command, **options):
        nonlocal spawned
        spawned += 1
        if spawned == (1 if first else 2):
            process = await spawn("/bin/false", **options)
            await process.wait()
            await asyncio.sleep(0.05)
            return process
        return await spawn(*command, **options)

    async def use():
        async with scripted("heard", most=3) as ears:
            user, other = User(ears), User(ears)
            user.say(1)
            assert (await user.wait_end(1)).text == "heard"
            # Two at a time: the second child has the one utterance in its pipe when it is lost.
            user.begin(2)
            other.say(1)
            await other.wait_end(1)
            user.session.close_nowait()
            await until(lambda: spawned >= 3)
            last = User(ears)
            last.say(1)
            assert (await last.wait_end(1)).text == "heard"

    monkeypatch.setattr(asyncio, "create_subprocess_exec", late)
    uvloop.run(use())


def test_what_is_sent_to_a_dead_child_is_lost_with_it_on_uvloop_as_well():
    async def use():
        async with scripted("words", most=2) as ears:
            user = User(ears)
            hearing = user.begin(1)
            await until(lambda: user.news)
            for pid in ears.processes:
                os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(LIMIT_S):
                while hearing.live:
                    hearing.push_nowait(PCM)
                    await asyncio.sleep(0)
            assert isinstance(await user.wait_end(1), Failed)

    uvloop.run(use())


async def test_another_language_is_refused_with_the_languages():
    async with scripted("words") as ears:
        with pytest.raises(BadRequest, match=r"'ja'.*en"):
            ears.open(RecognizerConfig(language="ja"))


async def test_leaving_the_pool_leaves_no_process():
    async with scripted("[[hang]] never", most=2) as ears:
        user = User(ears)
        user.say(1)
        user.begin(2)
        await until(lambda: len(ears.processes) == 2 and all(ears.processes))
        pids = ears.processes
    await until(lambda: not any(alive(pid) for pid in pids))


async def test_cancelling_at_any_moment_leaves_no_process():
    pids = set()

    async def use():
        async with scripted("[[slow 0.2]] words", most=2) as ears:
            user = User(ears)
            for utterance in range(1_000):
                user.say(utterance)
                pids.update(ears.processes)
                await user.wait_end(utterance)

    for delay in (0.0, 0.05, 0.2, 0.5, 0.9, 1.4):
        task = asyncio.create_task(use())
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await until(lambda: not any(alive(pid) for pid in pids))


PARENT = """
import asyncio
from asr.pool import ChildSpec, PoolLimits, pool
from asr.recognizer import RecognizerConfig, RecognizerInfo

async def main():
    info = RecognizerInfo("scripted", ("en",), "")
    spec = ChildSpec(info, "asr.engines.scripted:ScriptedRecognizer", {"script": ["[[hang]] x"]})
    async with pool(spec, PoolLimits(2)) as ears:
        hearing = ears.open(RecognizerConfig()).begin_nowait(1, 0, print)
        hearing.push_nowait(bytes(3200))
        hearing.finish_nowait()
        while len(ears.processes) < 2:
            await asyncio.sleep(0.01)
        print(*ears.processes, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_children_die_with_a_parent_that_is_killed():
    source = Path(__file__).parents[3] / "src"
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PARENT,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    async with asyncio.timeout(LIMIT_S):
        pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    assert all(map(alive, pids))
    parent.kill()
    await parent.wait()
    await until(lambda: not any(alive(pid) for pid in pids))
