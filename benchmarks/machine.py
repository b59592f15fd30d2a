"""The machine that was measured on, and what a process of it uses."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    cpu: str
    cores: int
    system: str
    python: str
    loop: str
    load: float
    """Runnable processes, average of the last minute, before the benchmark began."""
    additions_s: float = 0.0
    """What five million additions in a loop of Python take: machines of one name differ threefold."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def as_text(self) -> str:
        return (
            f"{self.cpu}, {self.cores} cores, {self.system}, Python {self.python}, {self.loop}; "
            f"load before the start {self.load:.1f}; five million additions take {self.additions_s:.2f} s"
        )


def this_machine() -> Machine:
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        loop=_loop(),
        load=os.getloadavg()[0],
        additions_s=_additions_s(),
    )


def _additions_s() -> float:
    began, total = time.process_time(), 0
    for number in range(5_000_000):
        total += number
    return time.process_time() - began


def _cpu() -> str:
    try:
        if sys.platform == "darwin":
            return _output("sysctl", "-n", "machdep.cpu.brand_string")
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except (OSError, subprocess.SubprocessError):
        pass
    return platform.processor() or platform.machine()


def _loop() -> str:
    """The loop that the services run on: uvloop where it is there."""
    try:
        return f"uvloop {metadata.version('uvloop')}"
    except metadata.PackageNotFoundError:
        return "asyncio"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process of ours, all threads, without its children."""
    if sys.platform == "linux":
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return parse_ps_time(_output("ps", "-o", "time=", "-p", str(pid)))


def resident_mb(pid: int) -> float:
    """Resident memory, MB (1,000,000 bytes)."""
    if sys.platform == "linux":
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise ProcessLookupError(f"process {pid} has no memory: it has ended")
    return int(_output("ps", "-o", "rss=", "-p", str(pid))) * 1024 / 1e6


def parse_ps_time(text: str) -> float:
    """ "[[days-]hours:]minutes:seconds[.hundredths]" in seconds."""
    days, _, clock = text.strip().rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + (int(days) * 86_400 if days else 0)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
