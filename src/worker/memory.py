"""Memory of this and other processes, as Linux tells it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_PROC = Path("/proc")


def resident_bytes(pid: int) -> int:
    """Of a process and of those that it started, what they share counted once; 0 where /proc does not tell."""
    return sum(_own(each) for each in family(pid))


def ours() -> int:
    """Resident bytes of this process alone; 0 where /proc does not tell."""
    try:
        return int((_PROC / "self" / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def give_back() -> None:
    """What this process has freed goes back to the system: glibc keeps most of it, a hundred megabytes a voice."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def family(pid: int) -> list[int]:
    """`pid` and those that descend from it, as far as they are there."""
    found = [pid]
    for parent in found:
        for children in _PROC.glob(f"{parent}/task/*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def oom_kills() -> int | None:
    """How many processes the kernel has killed since it started, for want of memory; None where it does not tell."""
    try:
        lines = (_PROC / "vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def _own(pid: int) -> int:
    """Its proportional set size: a page shared by two processes counts half for each."""
    try:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
