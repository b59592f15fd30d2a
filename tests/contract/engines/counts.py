"""What this process has of the system, to see whether it grows."""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes() -> int:
    """0 where that cannot be had."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


def child_processes() -> int:
    """Dead ones that nobody waited for too; 0 where that cannot be had."""
    return sum(len(task.read_text().split()) for task in Path("/proc/self/task").glob("*/children"))
