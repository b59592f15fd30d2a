"""Why the process of an isolated model ended, in words. Pure."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from base.errors import AntiphonError, AtCapacity, Unavailable

OUT_OF_MEMORY = 71
"""Exit code of a child that could not get the memory it asked for."""
SIGNS = ("bad_alloc", "out of memory", "allocate memory", "failed to allocate", "failed to map segment")
"""Libraries' words for it, the last the dynamic linker's, of a library that it was to load."""


def died(model: str, code: int, *, loading: bool, limit: int = 0, oom_killed: bool = False) -> AntiphonError:
    """Of `code`, as subprocess gives it: below zero it is a signal's. `limit`: bytes that the process might have.

    `oom_killed`: the kernel has killed a process for want of memory meanwhile.
    """
    during = "while it was loaded" if loading else "in the middle of its work"
    out_of_memory = code == OUT_OF_MEMORY
    out_of_memory |= code == -signal.SIGKILL and oom_killed
    # What a library without exceptions does, or one whose exceptions nobody caught.
    out_of_memory |= code == -signal.SIGABRT and limit > 0
    # A library that cannot start its threads under a limit ends the process.
    out_of_memory |= loading and limit > 0 and code > 0
    if out_of_memory:
        return out_of_memory_error(model, during, limit)
    why = f"signal {-code}" if code < 0 else f"exit code {code}"
    if loading:
        return Unavailable(
            f"model {model!r} crashed {during} ({why}); what it printed is in the worker's log", reason="LOAD_CRASHED"
        )
    return Unavailable(f"model {model!r} crashed {during} ({why})", reason="ENGINE_CRASHED", retry_after_s=0)


def out_of_memory_error(model: str, during: str, limit: int) -> AtCapacity:
    most = f" (its limit is {limit / 1e6:.0f} MB)" if limit else ""
    return AtCapacity(
        f"model {model!r} ran out of memory {during}{most}; unload another, choose a smaller one, or give it more",
        reason="OUT_OF_MEMORY",
        retry_after_s=5.0,
    )


def is_want_of_memory(error: BaseException, limit: int) -> bool:
    """Whether a failure in a process that may have `limit` bytes (0: what there is) is for want of memory."""
    if _says_so(error):
        return True
    # Under a limit an engine's own words may blame its files, or a package, for the memory that was not to be had; and
    # a SystemError is what C code raises that has not looked whether it got what it asked for.
    return limit > 0 and any(_says_so(cause) or isinstance(cause, SystemError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _says_so(error: BaseException) -> bool:
    """In one of the ways in which libraries do."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return any(sign in text for sign in SIGNS)


def closed(model: str) -> AntiphonError:
    return Unavailable(f"model {model!r} is closed", reason="MODEL_CLOSED", retry_after_s=0)
