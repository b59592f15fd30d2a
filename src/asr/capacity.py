"""How many decoding processes a machine carries."""

from __future__ import annotations

import os
from pathlib import Path

PER_CORE = 4
"""A decoder needs 0.1 to 0.2 of a core while somebody speaks."""
MOST = 32
SHARE = 0.5
"""Of the memory that is free."""


def decoders_for(cores: int, free_bytes: int, child_bytes: int) -> int:
    """By cores and by memory (`free_bytes` 0: unknown), at least one."""
    by_memory = int(free_bytes * SHARE // child_bytes) if free_bytes else MOST
    return max(1, min(MOST, cores * PER_CORE, by_memory))


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_bytes() -> int:
    """Memory that can be had without swapping (Linux), or half of what there is; 0 where it is not known."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (ValueError, OSError):
        return 0
