"""One model for many sessions, over a real child process; what goes wrong there is in the audio."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from asr.ears import Failed, News
from asr.recognizer import Final, Partial, RecognizerConfig, RecognizerInfo
from asr.shared import STALL_LEAST_S, SharedEars, SharedLimits, SharedSpec, shared_ears
from base.errors import AtCapacity, BadRequest, Misconfigured, TimedOut, Unavailable
from tests.support.transcribers import sound

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
INFO = RecognizerInfo("levels", ("en", "de"), "Apache-2.0", phrases=True, detection=True)
FACTORY = "tests.support.transcribers:LevelTranscriber"
PIECE = 3_200
LIMIT_S = 30.0


@pytest.fixture(autouse=True)
def _our_tests_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@asynccontextmanager
async def levels(*, limits: SharedLimits | None = None, **options: Any) -> AsyncIterator[SharedEars]:
    async with shared_ears(SharedSpec(INFO, FACTORY, options), limits or SharedLimits()) as ears:
        yield ears


class User:
    """A session's news, by utterance."""

    def __init__(self, ears: SharedEars, **config: Any) -> None:
        self.session = ears.open(RecognizerConfig(**config))
        self.news: dict[int, list[News]] = {}
        self.changed = asyncio.Event()

    def take(self, news: News) -> None:
        self.news.setdefault(news.utterance, []).append(news)
        self.changed.set()

    async def say(self, utterance: int, text: str, *, sample: int = 0, pace_s: float = 0.0, end: bool = True) -> Any:
        hearing = self.session.begin_nowait(utterance, sample, self.take)
        pcm = sound(text)
        for at in range(0, len(pcm), PIECE):
            hearing.push_nowait(pcm[at : at + PIECE])
            await asyncio.sleep(pace_s)
        if end:
            hearing.finish_nowait()
        return hearing

    async def hear(self, utterance: int, text: str, **how: Any) -> str:
        await self.say(utterance, text, **how)
        end = await self.wait_end(utterance)
        assert isinstance(end, Final), end
        return end.text

    async def wait_end(self, utterance: int) -> News:
        async with asyncio.timeout(LIMIT_S):
            while not (found := [n for n in self.news.get(utterance, ()) if not isinstance(n, Partial)]):
                self.changed.clear()
                await self.changed.wait()
        return found[0]

    async def wait_failed(self, utterance: int) -> Failed:
        end = await self.wait_end(utterance)
        assert isinstance(end, Failed), end
        return end

    def partials(self, utterance: int) -> list[Partial]:
        return [n for n in self.news[utterance] if isinstance(n, Partial)]


async def test_partials_grow_and_what_is_stable_stays() -> None:
    async with levels(blur=True) as ears:
        user = User(ears)
        said = "one two three four. five six one two three four. five six"
        text = await user.hear(1, said, pace_s=0.05)
        assert text == said
        partials = user.partials(1)
        assert len(partials) >= 2
        published = ""
        for partial in (*partials, Partial(1, text)):
            assert partial.text.startswith(published)
            published = partial.text[: partial.stable] or published
        assert published.startswith("one two three")


async def test_words_have_times_in_the_sessions_media_time() -> None:
    async with levels() as ears:
        user = User(ears)
        await user.say(1, "_ one _ two", sample=100_000)
        final = await user.wait_end(1)
        assert isinstance(final, Final)
        assert [(w.text, w.start, w.end) for w in final.words] == [
            ("one", 104_000, 108_000),
            ("two", 112_000, 116_000),
        ]
        assert final.confidence == pytest.approx(0.9)


async def test_a_long_utterance_costs_no_more_a_decode_and_is_understood_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    said = " ".join(["one two three four. five six"] * 40)  # a minute
    async with levels(log=str(log), blur=True) as ears:
        assert await User(ears).hear(1, said, pace_s=0.004) == said
    seconds = [float(line.split()[0]) for line in log.read_text().splitlines()]
    assert max(seconds) < 20.0
    assert len(seconds) > 20


async def test_a_minute_without_a_pause_or_sentence_is_understood_as_well(tmp_path: Path) -> None:
    log = tmp_path / "log"
    said = " ".join(["one two three"] * 80)
    async with levels(log=str(log)) as ears:
        assert await User(ears).hear(1, said, pace_s=0.004) == said
    assert max(float(line.split()[0]) for line in log.read_text().splitlines()) < 25.0


async def test_phrases_and_language_of_a_session_reach_the_model(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with levels(log=str(log)) as ears:
        await User(ears, language="de-AT", phrases=("one", "two")).hear(1, "one")
        await User(ears).hear(1, "one")
        await User(ears, language="*").hear(1, "one")
    assert log.read_text().splitlines() == ["0.25 de-AT one,two True", "0.25 - - True", "0.25 - - True"]


async def test_a_model_of_one_language_detects_none() -> None:
    info = RecognizerInfo("levels", ("en",), "Apache-2.0")
    async with shared_ears(SharedSpec(info, FACTORY), SharedLimits()) as ears:
        user = User(ears, language="*")
        await user.hear(1, "one two one two one two one two")
        assert {n.language for n in user.news[1] if isinstance(n, Partial | Final)} == {""}


async def test_a_language_that_was_detected_for_sure_is_kept_for_the_session(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with levels(log=str(log)) as ears:
        user = User(ears)
        await user.hear(1, "ja")  # too short to be sure
        await user.hear(2, "ja ja ja ja ja")
        await user.hear(3, "one")
        await User(ears).hear(1, "one")
        finals = [n for number in (1, 2, 3) for n in user.news[number] if isinstance(n, Final)]
        assert [final.language for final in finals] == ["", "de", "de"]
        given = User(ears, language="de")
        await given.hear(1, "ja ja ja ja ja")
        assert {n.language for n in given.news[1] if isinstance(n, Final)} == {""}, "nothing was to be detected"
    decoded = [line.split()[1] for line in log.read_text().splitlines() if line.endswith("True")]
    assert decoded == ["-", "-", "de", "-", "de"]


async def test_a_language_that_the_model_lacks_is_refused() -> None:
    async with levels() as ears:
        with pytest.raises(BadRequest, match=r"'ja'.*en, de"):
            ears.open(RecognizerConfig(language="ja"))


async def test_what_is_unsure_is_asked_again_at_the_end() -> None:
    async with levels() as ears:
        user = User(ears)
        assert await user.hear(1, "[unsure] one _ _ _ _ _ _", pace_s=0.05) == "[unsure] one"


async def test_after_silence_the_final_needs_no_decode_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with levels(log=str(log)) as ears:
        user = User(ears)
        hearing = await user.say(1, "one two _ _", end=False)
        async with asyncio.timeout(LIMIT_S):
            while not user.news.get(1):
                await asyncio.sleep(0.01)
        hearing.finish_nowait()
        final = user.news[1][-1]
        assert isinstance(final, Final)
        assert final.text == "one two"
    assert [line.split()[-1] for line in decodes(log)] == ["False"]


async def test_a_final_needs_one_decode_after_speech_besides_the_one_under_way(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with levels(decode_s=0.2, log=str(log)) as ears:
        user = User(ears)
        for utterance in range(5):
            await user.say(utterance, "one two three four. five", pace_s=0.1)
            begun = len(decodes(log))
            await user.wait_end(utterance)
            assert len(decodes(log)) <= begun + 1
            assert decodes(log)[-1].endswith("True")


async def test_who_has_finished_comes_before_those_who_go_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with levels(decode_s=0.15, log=str(log)) as ears:
        talkers = [User(ears) for _ in range(6)]
        talking = [asyncio.create_task(t.say(1, "one two three " * 6, pace_s=0.1, end=False)) for t in talkers]
        async with asyncio.timeout(LIMIT_S):
            while len(decodes(log)) < 8:  # all six wait again for the model
                await asyncio.sleep(0.01)
        user = User(ears)
        await user.say(1, "one")
        begun = len(decodes(log))
        assert isinstance(await user.wait_end(1), Final)
        # The clip after the one under way, whoever has waited for longer.
        assert decodes(log)[begun].endswith("True")
        for task in talking:
            task.cancel()


def decodes(log: Path) -> list[str]:
    """A line for each that has begun."""
    return log.read_text().splitlines() if log.exists() else []


async def test_more_speakers_than_the_model_keeps_up_with_are_refused_and_nobody_else_is_slowed() -> None:
    async with levels(decode_s=0.3, limits=SharedLimits(behind_s=10.0, most=3)) as ears:
        assert ears.slots == 3
        users = [User(ears) for _ in range(4)]
        hearings = [await u.say(1, "one two", end=False) for u in users[:3]]
        with pytest.raises(AtCapacity, match="3 are being heard"):
            await users[3].say(1, "one")
        for hearing in hearings:
            hearing.finish_nowait()
        for user in users[:3]:
            assert isinstance(await user.wait_end(1), Final)
        assert await users[3].hear(2, "one") == "one"


async def test_of_those_who_stop_together_who_cannot_be_answered_in_time_is_told_and_the_others_are_answered() -> None:
    async with levels(decode_s=0.4, limits=SharedLimits(behind_s=1.0)) as ears:
        users = [User(ears) for _ in range(ears.slots)]
        assert len(users) == 3
        hearings = [await u.say(1, "one two", end=False) for u in users]
        for hearing in hearings:
            hearing.finish_nowait()
        # Three decodes take longer than a second: it is known at the end of speech who would come last.
        assert "at the same moment" in (await users[-1].wait_failed(1)).error.message
        assert not any(isinstance(n, Final) for u in users for n in u.news.get(1, ()))
        assert isinstance(await users[0].wait_end(1), Final)
        assert await users[-1].hear(2, "one") == "one"


async def test_audio_that_comes_faster_than_it_can_be_decoded_ends_its_utterance_only() -> None:
    async with levels(decode_s=0.5) as ears:
        user, other = User(ears), User(ears)
        await user.say(1, "one " * 160)
        failed = await user.wait_failed(1)
        assert isinstance(failed.error, AtCapacity)
        assert await other.hear(1, "two") == "two"


@pytest.mark.parametrize(
    ("text", "kind"), [("[hang]", TimedOut), ("[crash]", Unavailable)], ids=["hangs", "dies in a decode"]
)
async def test_a_child_that_is_lost_takes_its_utterance_along_and_the_others_go_on(text: str, kind: type) -> None:
    async with levels(limits=SharedLimits(stall_s=1.0, load_s=20.0)) as ears:
        bystander = User(ears)
        hearing = await bystander.say(1, "one", end=False)
        before = ears.processes
        user = User(ears)
        await user.say(1, text)
        failed = await user.wait_failed(1)
        assert isinstance(failed.error, kind)
        assert failed.error.message
        hearing.finish_nowait()
        end = await bystander.wait_end(1)
        assert isinstance(end, Final)
        assert end.text == "one"
        assert await user.hear(2, "two three") == "two three"
        assert ears.processes != before


async def test_a_decode_that_hangs_is_told_by_what_decodes_cost_and_who_only_queued_is_heard() -> None:
    async with levels(decode_s=0.01, limits=SharedLimits(stall_s=25.0)) as ears:
        user, waits = User(ears), User(ears)
        assert await user.hear(1, "one") == "one"
        await user.say(2, "[hang]")
        await waits.say(1, "two three")
        assert "more than 2 s" in (await user.wait_failed(2)).error.message
        end = await waits.wait_end(1)
        assert isinstance(end, Final), end
        assert end.text == "two three"


async def test_the_first_decode_of_a_child_may_take_longer_than_the_others() -> None:
    async with levels(decode_s=0.01, first_s=STALL_LEAST_S + 0.5, limits=SharedLimits(stall_s=25.0)) as ears:
        assert await User(ears).hear(1, "one") == "one"
        assert ears.listening.cost_s


async def test_a_killed_child_is_replaced() -> None:
    async with levels() as ears:
        user = User(ears)
        assert await user.hear(1, "one") == "one"
        before = ears.processes
        os.kill(before[0], signal.SIGKILL)
        async with asyncio.timeout(LIMIT_S):
            while ears.processes == before:
                await asyncio.sleep(0.01)
        assert await user.hear(2, "two") == "two"


async def test_an_error_of_one_clip_ends_its_utterance_only() -> None:
    async with levels() as ears:
        user = User(ears)
        await user.say(1, "[error]")
        assert "this clip fails" in (await user.wait_failed(1)).error.message
        assert await user.hear(2, "two") == "two"


async def test_a_model_that_cannot_be_loaded_says_why_at_once() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(Misconfigured, match="no such weights")):
        async with levels(fail="no such weights"):
            pass


async def test_a_load_that_hangs_is_ended() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(TimedOut, match="did not load within 0.2 s")):
        async with levels(hang=True, limits=SharedLimits(load_s=0.2)):
            pass


async def test_cancelled_utterances_have_no_news_and_hold_no_place() -> None:
    async with levels(decode_s=0.05, limits=SharedLimits(most=1)) as ears:
        user = User(ears)
        for n in range(8):
            hearing = await user.say(n, "one two three", end=n % 2 == 0, pace_s=0.003 * n)
            hearing.cancel_nowait()
            seen = len(user.news.get(n, ()))
            await asyncio.sleep(0.02 * n)
            assert len(user.news.get(n, ())) == seen or isinstance(user.news[n][-1], Final)
            assert ears.busy == 0
        assert await user.hear(99, "one") == "one"


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.1, 0.4, 0.8])
async def test_ended_at_any_moment_it_leaves_no_process_and_no_task(after_s: float) -> None:
    tasks = asyncio.all_tasks()

    async def live() -> None:
        async with levels(decode_s=0.1) as ears:
            pids.extend(ears.processes)
            user = User(ears)
            await user.say(1, "one two three " * 3, pace_s=0.02)
            await asyncio.sleep(LIMIT_S)

    pids: list[int] = []
    living = asyncio.create_task(live())
    await asyncio.sleep(after_s)
    living.cancel()
    with pytest.raises(asyncio.CancelledError):
        await living
    assert asyncio.all_tasks() == tasks
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_silence_that_takes_no_decode_makes_the_model_seem_no_quicker() -> None:
    async with levels(decode_s=0.0) as ears:
        ears.listening.cost_s = 0.5
        user = User(ears)
        for utterance in range(5):
            await user.hear(utterance, "_ _ _ _")
        assert ears.listening.cost_s == pytest.approx(0.5)
