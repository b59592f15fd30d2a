"""Exit codes: the same for every command, and the ones that services end with (`base.lifecycle`)."""

from __future__ import annotations

from base.errors import AntiphonError, AtCapacity, BadRequest, Misconfigured, TimedOut, Unavailable

OK = 0
FAILURE = 1
USAGE = 2
UNAVAILABLE = 69
RESTART_ME = 75
MISCONFIGURED = 78
STOPPED = 130

TABLE = {
    OK: "done",
    FAILURE: "it went wrong; the message says how",
    USAGE: "the command line was not understood, or a value on it is not possible",
    UNAVAILABLE: "something that is needed is not there: a running system, a device, a worker with room",
    RESTART_ME: "a device or library hangs; only a new process helps (workers)",
    MISCONFIGURED: "a setting is wrong: the file, a variable or a flag; starting again will not help",
    STOPPED: "stopped by a signal before it was done",
}


def code_of(error: AntiphonError) -> int:
    if isinstance(error, Misconfigured):
        return MISCONFIGURED
    if isinstance(error, Unavailable | AtCapacity | TimedOut):
        return UNAVAILABLE
    return USAGE if isinstance(error, BadRequest) else FAILURE


def as_text() -> str:
    return "\n".join(f"  {code:>3}  {meaning}" for code, meaning in TABLE.items())
