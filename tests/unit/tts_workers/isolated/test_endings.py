"""What the end of a model's process is called."""

from __future__ import annotations

import signal

import pytest

from base.errors import AtCapacity, Misconfigured, Unavailable
from tts_workers.isolated.endings import OUT_OF_MEMORY, closed, died, is_want_of_memory

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("loading", [True, False])
def test_a_crash_names_the_model_and_how_it_ended(loading: bool) -> None:
    for code, how in ((3, "exit code 3"), (-signal.SIGSEGV, "signal 11"), (-signal.SIGKILL, "signal 9")):
        error = died("big", code, loading=loading)
        assert type(error) is Unavailable
        assert "'big'" in error.message
        assert how in error.message
        assert error.reason == ("LOAD_CRASHED" if loading else "ENGINE_CRASHED")


@pytest.mark.parametrize(
    ("code", "limit", "oom_killed"),
    [(OUT_OF_MEMORY, 0, False), (-signal.SIGKILL, 0, True), (-signal.SIGABRT, 200_000_000, False)],
)
def test_want_of_memory_is_told_from_a_crash(code: int, limit: int, oom_killed: bool) -> None:
    error = died("big", code, loading=True, limit=limit, oom_killed=oom_killed)
    assert type(error) is AtCapacity
    assert error.reason == "OUT_OF_MEMORY"
    assert "'big' ran out of memory" in error.message
    assert ("200 MB" in error.message) == (limit > 0)


def test_an_abort_without_a_limit_is_a_crash() -> None:
    assert type(died("big", -signal.SIGABRT, loading=False, oom_killed=True)) is Unavailable


def test_closed_names_the_model() -> None:
    assert "'big'" in closed("big").message


class OutOfMemoryError(RuntimeError):
    """As torch's is called."""


def caused_by(cause: BaseException) -> Exception:
    try:
        raise Misconfigured("the voice cannot be read") from cause
    except Misconfigured as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA"),
        RuntimeError("std::bad_alloc"),
        OSError(12, "Cannot allocate memory"),
        ImportError("_umath_linalg.so: failed to map segment from shared object"),
    ],
)
def test_libraries_say_in_their_ways_that_memory_is_wanting(error: Exception) -> None:
    assert is_want_of_memory(error, 0)
    assert not is_want_of_memory(caused_by(error), 0)
    assert is_want_of_memory(caused_by(error), 200_000_000)


def test_a_fault_of_another_kind_is_none_of_memory() -> None:
    assert not is_want_of_memory(caused_by(ValueError("no such file")), 200_000_000)
    assert not is_want_of_memory(SystemError("error return without exception set"), 0)
    assert is_want_of_memory(SystemError("error return without exception set"), 200_000_000)
