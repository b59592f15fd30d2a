"""Models in processes of their own: what hangs, crashes or swallows memory there stays there, and leaves nothing."""

from __future__ import annotations

import gc
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from base.errors import AntiphonError, AtCapacity, Internal, Misconfigured, NotFound, TimedOut, Unavailable
from tests.support.isolated_engines import ESPEAK, MB, ROOT, ROUGH, SINE, ignore_others, isolated_processes
from tests.support.tts import LIMIT_S
from tts_workers.catalogue import ENGINES
from tts_workers.engine import Audio, Mark, ModelSpec, Request
from tts_workers.isolated import model as model_module
from tts_workers.isolated import pipe, process
from tts_workers.isolated.model import IsolatedModel, Loading
from tts_workers.models import is_isolated, start
from worker import memory

pytestmark = pytest.mark.integration

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="told by /proc, limited by RLIMIT_DATA")


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process, no open file, no thread."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    ignore_others()
    files, threads = open_files(), threading.active_count()
    yield
    gc.collect()
    until(lambda: open_files() <= files and threading.active_count() <= threads)
    assert not isolated_processes()


@pytest.fixture
def rough() -> Iterator[IsolatedModel]:
    model = load()
    yield model
    model.close()


def load(factory: str = ROUGH, **options: object) -> IsolatedModel:
    return Loading(ModelSpec("big", "rough", options), factory).load()


def speak(model: IsolatedModel, text: str) -> bytes:
    return b"".join(i.data for i in model.synthesize(Request(1, text)) if isinstance(i, Audio))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


def alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def living(group: int) -> list[str]:
    """Of a group of processes."""
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return [stat for pgid, stat in map(str.split, listed.splitlines()) if int(pgid) == group and stat[0] != "Z"]


# --- loads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hang", "hang holding the GIL"])
def test_a_load_that_hangs_can_be_killed(how: str) -> None:
    loading = Loading(ModelSpec("big", "rough", {"at_load": how}), ROUGH)
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            loading.load()
        except AntiphonError as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: bool(isolated_processes()))
    time.sleep(0.5)
    assert thread.is_alive()
    loading.kill()
    assert not isolated_processes()
    thread.join(LIMIT_S)
    (error,) = raised
    assert isinstance(error, Unavailable)
    assert "'big'" in error.message
    loading.kill()


def test_a_load_killed_before_it_began_starts_no_process() -> None:
    loading = Loading(ModelSpec("big", "rough"), ROUGH)
    loading.kill()
    with pytest.raises(Unavailable, match="'big'"):
        loading.load()


def test_a_load_killed_at_any_moment_leaves_nothing() -> None:
    for moment in range(12):
        loading = Loading(ModelSpec("big", "rough"), ROUGH)
        killer = threading.Timer(moment * 0.05, loading.kill)
        killer.start()
        try:
            model = loading.load()
        except Unavailable:
            pass
        else:
            with pytest.raises(Unavailable):
                speak(model, "until cancelled")
        killer.join()
        assert not isolated_processes()


@pytest.mark.parametrize(
    ("how", "said"),
    [("exit", "exit code 3"), ("sys.exit", "exit code 4"), ("segfault", "signal 11"), ("abort", "signal 6")],
)
def test_a_load_that_crashes_says_so(how: str, said: str) -> None:
    lost: list[AntiphonError] = []
    with pytest.raises(Unavailable, match=rf"'big' crashed while it was loaded \({said}\)") as crashed:
        Loading(ModelSpec("big", "rough", {"at_load": how}), ROUGH, lost=lost.append).load()
    assert crashed.value.reason == "LOAD_CRASHED"
    assert not lost


def test_a_load_that_raises_raises_the_same_here() -> None:
    with pytest.raises(Unavailable, match="the disk is full") as refused:
        load(SINE, load_error="the disk is full")
    assert refused.value.reason == "LOAD_FAILED"
    with pytest.raises(Misconfigured, match="no option 'at_lode'; did you mean 'at_load'"):
        load(at_lode="hang")
    with pytest.raises(Internal, match=r"'big' broke while it was loaded \(RuntimeError\)"):
        load(at_load="fault")
    with pytest.raises(Misconfigured, match=r"of model 'big' cannot be made: ModuleNotFoundError"):
        load("no.such.module:Engine")
    with pytest.raises(Misconfigured, match=r"'big'.*options"):
        load(x=object())


@on_linux
def test_a_load_that_runs_out_of_memory_is_told_from_a_crash() -> None:
    spec = ModelSpec("big", "rough", {"at_load": "swallow memory"})
    with pytest.raises(AtCapacity, match=r"'big' ran out of memory while it was loaded .*600 MB") as full:
        Loading(spec, ROUGH, memory_limit=600 * MB).load()
    assert full.value.reason == "OUT_OF_MEMORY"


# --- memory -----------------------------------------------------------------------------------------------------------


@on_linux
@pytest.mark.timeout(400)
def test_all_memory_comes_back_twenty_times() -> None:
    ours = memory.resident_bytes(os.getpid())
    for _ in range(20):
        model = load(size_mb=150)
        pid = model.pid
        assert 150 * MB < model.resident_bytes() < 300 * MB
        assert len(speak(model, "hello")) > 0
        model.close()
        assert not Path(f"/proc/{pid}").exists()
        assert model.resident_bytes() == 0
    assert memory.resident_bytes(os.getpid()) - ours < 20 * MB


@on_linux
def test_memory_of_what_it_started_counts_too() -> None:
    model = load(ESPEAK)
    try:
        speak(model, "Hello.")
        assert len(memory.family(model.pid)) > 1
        assert model.resident_bytes() > 0
    finally:
        model.close()


# --- requests ---------------------------------------------------------------------------------------------------------


def test_a_crash_in_mid_sentence_ends_its_requests_and_is_told_once() -> None:
    lost: queue.Queue[AntiphonError] = queue.Queue()
    model = Loading(ModelSpec("big", "rough"), ROUGH, lost=lost.put).load()
    beside = model.synthesize(Request(1, "hang"))
    next(beside)
    items = model.synthesize(Request(2, "crash"))
    assert isinstance(next(items), Audio)
    for running in (items, beside):
        with pytest.raises(Unavailable, match=r"'big' crashed in the middle of its work \(exit code 70\)") as crashed:
            list(running)
        assert crashed.value.reason == "ENGINE_CRASHED"
    with pytest.raises(Unavailable, match="'big'"):
        speak(model, "anybody?")
    assert lost.get(timeout=LIMIT_S).reason == "ENGINE_CRASHED"
    model.close()
    model.kill()
    assert lost.empty()


def test_a_crash_is_noticed_though_what_it_forked_holds_its_output_open() -> None:
    lost: queue.Queue[AntiphonError] = queue.Queue()
    model = Loading(ModelSpec("big", "rough"), ROUGH, lost=lost.put).load()
    pid = model.pid
    with pytest.raises(Unavailable, match="crashed in the middle of its work"):
        speak(model, "crash beside a forked one")
    assert lost.get(timeout=LIMIT_S).reason == "ENGINE_CRASHED"
    until(lambda: not living(pid))


def test_a_model_that_is_closed_is_not_lost_and_ends_its_requests() -> None:
    lost: list[AntiphonError] = []
    for end in (IsolatedModel.close, IsolatedModel.kill):
        model = Loading(ModelSpec("big", "rough"), ROUGH, lost=lost.append).load()
        items = model.synthesize(Request(1, "stream"))
        next(items)
        end(model)
        with pytest.raises(Unavailable, match="'big' is closed"):
            list(items)
    assert not lost


def test_a_callback_may_close_what_was_lost() -> None:
    done = threading.Event()
    made: list[IsolatedModel] = []

    def lost(error: AntiphonError) -> None:
        made[0].close()
        done.set()

    made.append(Loading(ModelSpec("big", "rough"), ROUGH, lost=lost).load())
    os.kill(made[0].pid, signal.SIGSEGV)
    assert done.wait(LIMIT_S)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("fault", Internal, r"'big' broke in the middle of its work \(RuntimeError\)"),
        ("sys.exit", Internal, "SystemExit"),
        ("memory", AtCapacity, "'big' ran out of memory"),
    ],
)
def test_an_error_in_one_request_leaves_the_others_alive(
    rough: IsolatedModel, text: str, error: type[AntiphonError], said: str
) -> None:
    beside = rough.synthesize(Request(1, "until cancelled"))
    next(beside)
    with pytest.raises(error, match=said):
        speak(rough, text)
    assert len(speak(rough, "hello")) == 9600
    beside.close()


def test_an_error_of_ours_keeps_its_class_and_reason() -> None:
    model = load(ESPEAK)
    try:
        with pytest.raises(NotFound, match="xx-nobody") as unknown:
            list(model.synthesize(Request(1, "Hello.", voice="xx-nobody")))
        assert unknown.value.reason == "UNKNOWN_VOICE"
    finally:
        model.close()


def test_many_requests_on_many_threads_get_their_own() -> None:
    model = load(SINE)
    texts = [f"request {i} of many " * (i % 5 + 1) for i in range(24)]
    alone = [list(model.synthesize(Request(1, text))) for text in texts]
    found: list[list[Audio | Mark]] = [[] for _ in texts]

    def run(i: int) -> None:
        found[i] = list(model.synthesize(Request(i, texts[i])))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone
    model.close()


def test_a_request_that_nobody_reads_is_held_back_and_holds_up_nobody(rough: IsolatedModel) -> None:
    unread = [rough.synthesize(Request(i, "stream")) for i in range(8)]
    for items in unread:
        next(items)
    assert len(speak(rough, "long")) == 2 * (24_000 * 60 + 4800)
    waiting = rough._host._news
    until(lambda: len(waiting) == 8)
    time.sleep(0.3)
    most = (pipe.WINDOW + pipe.PIECE) / (4800 + pipe.ITEM_COST) + 1
    assert all(0 < news.qsize() <= most for news in waiting.values())
    for items in unread:
        items.close()
    assert not waiting


def test_a_request_left_early_or_to_the_collector_is_cancelled_in_there(rough: IsolatedModel) -> None:
    for leave in ("close", "collect"):
        items = rough.synthesize(Request(1, "until cancelled"))
        next(items)
        assert threads_in(rough) == 2
        if leave == "close":
            items.close()
        del items
        gc.collect()
        until(lambda: threads_in(rough) == 1)


def threads_in(model: IsolatedModel) -> int:
    """That run requests, this one among them; the main thread and the reader are always there."""
    pcm = speak(model, "threads")
    return (len(pcm) - 9600) // 2 - 2


def test_a_cancel_reaches_an_engine_that_is_waited_for(rough: IsolatedModel) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    assert list(rough.synthesize(Request(1, "until cancelled", cancelled=stop.is_set)))
    until(lambda: threads_in(rough) == 1)
    timer.join()


def test_how_far_ahead_the_audio_is_comes_along(rough: IsolatedModel) -> None:
    items = rough.synthesize(Request(1, "ahead", ahead_s=lambda: 0.25 * (1 + (made[0] > 20))))
    made = [0]
    seen = set()
    for item in items:
        made[0] += 1
        assert isinstance(item, Audio)
        seen.add(int.from_bytes(item.data[:2], "little"))
        if {250, 500} <= seen:
            break
    items.close()


def test_a_child_that_reads_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STUCK_S", 0.5)
    lost: queue.Queue[AntiphonError] = queue.Queue()
    model = Loading(ModelSpec("big", "rough"), ROUGH, lost=lost.put).load()
    os.kill(model.pid, signal.SIGSTOP)
    for _ in range(8):
        items = model.synthesize(Request(1, "x" * 10_000, cancelled=iter([False, False, True]).__next__))
        with suppress(TimedOut):
            list(items)
    with pytest.raises(TimedOut, match=r"'big'.*read nothing"):
        speak(model, "anybody?")
    assert lost.get(timeout=LIMIT_S).reason == "ENGINE_STALLED"


# --- its life ---------------------------------------------------------------------------------------------------------


def test_it_heeds_no_signal_of_the_terminal(rough: IsolatedModel) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(rough.pid, number)
    assert speak(rough, "hello")


def test_the_model_is_closed_in_there_before_its_process_ends(tmp_path: Path) -> None:
    load(goodbye=str(tmp_path / "closed")).close()
    assert (tmp_path / "closed").exists()


def test_a_close_that_hangs_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "CLOSE_S", 0.3)
    load(goodbye="hang").close()


@pytest.mark.parametrize("how", ["close", "kill", "crash"])
def test_what_it_started_ends_with_it(how: str) -> None:
    model = load(helper=True)
    family = memory.family(model.pid)
    if sys.platform == "linux":
        assert len(family) == 2
    match how:
        case "close":
            model.close()
        case "kill":
            model.kill()
        case "crash":
            with pytest.raises(Unavailable):
                speak(model, "crash")
            model.close()
    until(lambda: not any(map(alive, family)))


@pytest.mark.parametrize("text", ["hello", "hang holding the GIL"])
def test_it_ends_with_a_parent_that_was_killed(text: str) -> None:
    program = (
        "import sys, time; from tts_workers.engine import ModelSpec, Request;"
        "from tts_workers.isolated.model import Loading; from tests.support.isolated_engines import ROUGH;"
        "m = Loading(ModelSpec('m', 'rough'), ROUGH).load(); items = m.synthesize(Request(1, sys.argv[1]));"
        "next(items); print(m.pid, flush=True); time.sleep(60)"
    )
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    parent = subprocess.Popen([sys.executable, "-c", program, text], stdout=subprocess.PIPE, text=True, env=env)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    if sys.platform == "linux" or text == "hello":
        parent.kill()
        parent.wait()
        until(lambda: not alive(pid))
    else:
        os.kill(pid, signal.SIGKILL)
        parent.kill()
        parent.wait()
    parent.stdout.close()


def test_it_outlives_the_thread_that_loaded_it() -> None:
    """On Linux the kernel ends a process with the thread that started it."""
    made: list[IsolatedModel] = []
    thread = threading.Thread(target=lambda: made.append(load()))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert speak(made[0], "hello")
    made[0].close()


# --- chosen by configuration ------------------------------------------------------------------------------------------


def test_an_engine_or_an_operator_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "rough", ROUGH)
    assert is_isolated(ModelSpec("a", "rough"))
    assert is_isolated(ModelSpec("a", "sine", {"isolate": True}))
    assert is_isolated(ModelSpec("a", "sine", {"memory_limit_mb": 900}))
    assert not is_isolated(ModelSpec("a", "sine"))
    with pytest.raises(Misconfigured, match="'a'"):
        is_isolated(ModelSpec("a", "sine", {"isolate": "yes, please"}))
    for spec in (ModelSpec("a", "rough"), ModelSpec("a", "sine", {"isolate": True, "memory_limit_mb": 900})):
        model = start(spec).load()
        assert isinstance(model, IsolatedModel)
        model.close()
