"""espeak-ng in its processes: what crashes there stays there, and it speaks as it was asked to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np
import pytest

from base.errors import AntiphonError, AtCapacity, NotFound, TimedOut, Unavailable
from pb.antiphon.v1 import synthesis_pb2 as pb
from tests.support.tts import LIMIT_S, talking, worker
from tts_workers.engine import Audio, Mark, ModelSpec, Request, Style
from tts_workers.engines.espeak.engine import EspeakEngine, EspeakModel
from tts_workers.engines.espeak.pool import Pool
from tts_workers.models import LoadedModel, load

pytestmark = pytest.mark.integration

ASK = {"voice": "gmw/en-US", "rate": 175, "pitch": 50, "range": 50, "text": "Hello there."}


def never() -> bool:
    return False


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(espeakng_loader.get_library_path(), espeakng_loader.get_data_path(), 1, answer_s=1.0)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def model() -> Iterator[EspeakModel]:
    model = EspeakEngine().load(ModelSpec("espeak", "espeak"))
    yield model
    model.close()


def speak(model: EspeakModel, text: str, **more) -> tuple[np.ndarray, list[Mark]]:
    items = list(model.synthesize(Request(1, text, **more)))
    pcm = b"".join(i.data for i in items if isinstance(i, Audio))
    return np.frombuffer(pcm, dtype="<i2").astype(float), [i for i in items if isinstance(i, Mark)]


# --- the processes ----------------------------------------------------------------------------------------------------


def test_a_child_that_dies_idle_is_replaced_and_nobody_notices(pool: Pool) -> None:
    whole = pool.ask(ASK, never)
    (pid,) = pool.pids()
    os.kill(pid, signal.SIGKILL)
    assert pool.ask(ASK, never) == whole
    assert pool.pids() != [pid]


def test_a_request_that_a_child_died_of_is_made_once_more_and_then_fails(pool: Pool) -> None:
    whole = pool.ask(ASK, never)
    killed: list[int] = []

    def ask_while_they_die(times: int) -> tuple[dict[str, Any], bytes]:
        """The next `times` children die with the request before them."""

        def kill() -> None:
            while len(killed) < times:
                for pid in pool.pids():
                    if pid not in killed:
                        os.kill(pid, signal.SIGKILL)
                        killed.append(pid)
                time.sleep(0.001)

        os.kill(pool.pids()[0], signal.SIGSTOP)
        asking = threading.Timer(0.1, kill)
        asking.start()
        try:
            return pool.ask(ASK, never)
        finally:
            asking.join()

    assert ask_while_they_die(1) == whole
    killed.clear()
    with pytest.raises(Unavailable, match="signal 9") as died:
        ask_while_they_die(2)
    assert died.value.reason == "ENGINE_CRASHED"
    assert pool.ask(ASK, never) == whole


def test_a_child_that_hangs_is_killed_and_replaced(pool: Pool) -> None:
    pool.ask(ASK, never)
    (pid,) = pool.pids()
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(TimedOut):
        pool.ask(ASK, never)
    assert not Path(f"/proc/{pid}").exists() or sys.platform != "linux"
    assert len(pool.ask(ASK, never)[1]) > 10_000


def test_a_child_heeds_no_signal_of_the_terminal(pool: Pool) -> None:
    pool.ask(ASK, never)
    (pid,) = pool.pids()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    pool.ask(ASK, never)
    assert pool.pids() == [pid]


def test_an_error_of_the_library_is_no_reason_to_replace_it(pool: Pool) -> None:
    pool.ask(ASK, never)
    before = pool.pids()
    with pytest.raises(AntiphonError, match="nonsense"):
        pool.ask({**ASK, "voice": "nonsense"}, never)
    pool.ask(ASK, never)
    assert pool.pids() == before


def test_who_waits_for_a_child_can_be_cancelled(pool: Pool) -> None:
    pool.ask(ASK, never)
    os.kill(pool.pids()[0], signal.SIGSTOP)
    failed: list[BaseException] = []

    def hang() -> None:
        try:
            pool.ask(ASK, never)
        except TimedOut as error:
            failed.append(error)

    thread = threading.Thread(target=hang)
    thread.start()
    with pytest.raises((AtCapacity, TimedOut)):
        pool.ask(ASK, lambda: True)
    thread.join()
    assert failed


def test_children_end_with_a_parent_that_was_killed() -> None:
    program = (
        "import sys, time; from tts_workers.engine import ModelSpec;"
        "from tts_workers.engines.espeak.engine import EspeakEngine;"
        "m = EspeakEngine().load(ModelSpec('e', 'espeak')); print(*m._pool.pids(), flush=True); time.sleep(60)"
    )
    env = {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=env)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + LIMIT_S
    while alive(pid):
        assert time.monotonic() < until
        time.sleep(0.01)


def alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


async def test_a_crash_between_turns_ends_none() -> None:
    async with worker(engine="espeak") as stub, talking(stub) as talk, talking(stub) as beside:
        await talk.say(1, "Warm.")
        await talk.finished(1)
        assert child_pids()
        for pid in child_pids():
            os.kill(pid, signal.SIGKILL)
        await talk.say(2, "Are you there?")
        assert (await talk.finished(2)).reason == pb.FINISH_REASON_COMPLETED
        await beside.say(1, "Here.")
        assert (await beside.finished(1)).reason == pb.FINISH_REASON_COMPLETED


def child_pids() -> list[int]:
    command = ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines() if "espeak/child.py" in line]
    return [int(pid) for pid, parent, _ in rows if int(parent) == os.getpid()]


# --- the speech -------------------------------------------------------------------------------------------------------


def test_word_marks_point_at_their_words(model: EspeakModel) -> None:
    """After a pause, sound begins where the mark says."""
    wave, marks = speak(model, "One. Two. Three. Four.")
    assert len(marks) == 4
    loud = np.abs(wave) > 300
    for mark in marks[1:]:
        assert loud[mark.sample - 2205 : mark.sample - 220].mean() < 0.05
        assert loud[mark.sample : mark.sample + 3300].mean() > 0.1


def test_marks_count_code_points_of_the_text_given(model: EspeakModel) -> None:
    text = "Größe 😀 naïve 日本 \U0001d54f café."
    _, marks = speak(model, text, voice="en-us")
    words = {text[m.start : m.end] for m in marks}
    assert {"Größe", "naïve", "café"} <= words


def test_pauses_stand_between_chunks_and_never_after_the_last(model: EspeakModel) -> None:
    def quiet_end(wave: np.ndarray) -> float:
        return (len(wave) - np.nonzero(np.abs(wave) > 100)[0][-1]) / 22_050

    alone, _ = speak(model, "That is all.")
    after, marks = speak(model, "That is all.", first=False, previous_text="I know.")
    comma, _ = speak(model, "That is all.", first=False, previous_text="I know,")
    assert quiet_end(alone) < 0.06
    assert quiet_end(after) < 0.06
    assert (len(after) - len(alone)) / 22_050 == pytest.approx(0.275, abs=0.02)
    assert (len(comma) - len(alone)) / 22_050 == pytest.approx(0.125, abs=0.02)
    assert marks[0].sample == pytest.approx(0.275 * 22_050, abs=500)


def test_pitch_range_and_rate_are_heard(model: EspeakModel) -> None:
    text = "Many mellow melodies are moving along."
    base = pitch(speak(model, text)[0])
    for semitones in (-6.0, 5.0):
        heard = 12 * np.log2(pitch(speak(model, text, style=Style(pitch=semitones))[0]) / base)
        assert heard == pytest.approx(semitones, abs=1.5)
    assert pitch(speak(model, text, voice="en-us+f3")[0]) > 1.5 * base
    flat = pitches(speak(model, text, style=Style(range=0.0))[0])
    lively = pitches(speak(model, text, style=Style(range=2.0))[0])
    assert np.std(flat) < 0.5 * np.std(lively)


def pitch(wave: np.ndarray) -> float:
    return float(np.median(pitches(wave)))


def pitches(wave: np.ndarray) -> list[float]:
    """By autocorrelation, of voiced stretches."""
    found = []
    for at in range(0, len(wave) - 2048, 512):
        piece = wave[at : at + 2048]
        if np.sqrt((piece**2).mean()) > 1500:
            r = np.correlate(piece, piece, "full")[2047:]
            lag = 50 + int(np.argmax(r[50:500]))
            if r[lag] > 0.6 * r[0]:
                found.append(22_050 / lag)
    return found


def test_unknown_voices_and_variants_are_named(model: EspeakModel) -> None:
    for voice in ("tlh", "en-us+nobody", "en-us+../../etc/passwd", "../en-us"):
        with pytest.raises(NotFound):
            speak(model, "Hello.", voice=voice)


# --- who speaks what --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded() -> Iterator[LoadedModel]:
    model = load(ModelSpec("espeak", "espeak"), -23.0)
    yield model
    model.close()


@pytest.mark.parametrize(
    ("voice", "language", "speaker", "spoken"),
    [
        ("", "", "en-us", "en-US"),
        ("", "en", "en-us", "en"),
        ("", "en-GB", "en-gb", "en-GB"),
        ("", "en_AU", "en-us", "en_AU"),
        ("", "de", "de", "de"),
        ("", "fr", "fr-fr", "fr"),
        ("", "pt-BR", "pt-br", "pt-BR"),
        ("", "zh", "cmn", "zh"),
        ("", "nb", "nb", "nb"),
        ("EN-US+F3", "", "en-us+f3", "en-US"),
        ("en", "", "en-us", "en-US"),
        ("fr", "", "fr-fr", "fr-FR"),
        ("de+f2", "en", "de+f2", "de"),
    ],
)
def test_voices_for_languages(loaded: LoadedModel, voice: str, language: str, speaker: str, spoken: str) -> None:
    found = loaded.voices.speaker(voice, language)
    assert (found.voice, found.language) == (speaker, spoken)


def test_another_language_in_between_is_spoken_by_who_can(loaded: LoadedModel) -> None:
    session = loaded.voices.speaker("en-us+f3", "")
    assert loaded.voices.speaker_of(session, "").voice == "en-us+f3"
    assert loaded.voices.speaker_of(session, "en-GB").voice == "en-us+f3"
    assert loaded.voices.speaker_of(session, "de").voice == "de+f3"
    assert loaded.voices.speaker_of(session, "tlh-nonsense").voice == "en-us+f3"


def test_who_is_not_there_is_told_with_those_who_are(loaded: LoadedModel) -> None:
    with pytest.raises(NotFound, match=r"close to it: .*en-us"):
        loaded.voices.speaker("en-uss", "")
    with pytest.raises(NotFound, match="no language 'tlh'"):
        loaded.voices.speaker("", "tlh")
    with pytest.raises(NotFound, match=r"no variant 'f33'; close to it: .*f3"):
        loaded.voices.speaker("en-us+f33", "")


def test_every_voice_that_is_offered_can_be_heard(loaded: LoadedModel) -> None:
    offered = {voice.id for voice in loaded.info.voices}
    assert offered.isdisjoint({"fo", "kaa", "xex"}), "their dictionaries are not in the package"
    assert {"cmn", "nb", "ltg", "hyw", "yue", "chr-us-qaaa-x-west", "cv", "sjn"} <= offered
    silent = []
    for voice in sorted(offered):
        try:
            loaded.gain(voice)
        except Unavailable:
            silent.append(voice)
    assert not silent


async def test_little_is_made_that_nobody_hears() -> None:
    text = "Once upon a time there was a lighthouse keeper, who collected the sounds of the sea. " * 8
    async with worker(engine="espeak") as stub, talking(stub) as talk:
        for turn in range(1, 6):
            await talk.text(turn, text)
            await talk.credit(turn, 9600 * turn * 3)
            await talk.until(lambda turn=turn: talk.samples(turn) == 9600 * turn * 3)
            await talk.control(turn, "STOP")
            assert (await talk.finished(turn)).wasted_samples < 3.6 * 48_000


async def test_a_real_voice_over_the_wire() -> None:
    async with worker(engine="espeak") as stub, talking(stub, language="de", format={"sample_rate": 16_000}) as talk:
        await talk.credit(1)
        await talk.text(1, "Guten Tag, ")
        await talk.text(1, "how do you do? ", 1, language="en")
        await talk.text(1, "你好。", 2, language="zh")
        await talk.end(1)
        done = await talk.finished(1)
        assert done.reason == pb.FINISH_REASON_COMPLETED
        assert 2.0 < done.samples / 16_000 < 6.0
        marks = talk.marks(1)
        assert [m.sample for m in marks] == sorted(m.sample for m in marks)
        assert {m.chunk for m in marks if m.kind == pb.MARK_KIND_WORD} == {0, 1, 2}
