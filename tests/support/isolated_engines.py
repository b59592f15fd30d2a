"""Engines that misbehave as real ones do, for processes of their own: they hang, crash, and take memory."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from base.language import ANY
from tts_workers.engine import Audio, EngineInfo, Mark, ModelSpec, Request, VoiceInfo
from tts_workers.options import read_options

ROOT = Path(__file__).resolve().parents[2]
ROUGH = "tests.support.isolated_engines:RoughEngine"
SINE = "tts_workers.engines.sine:SineEngine"
ESPEAK = "tts_workers.engines.espeak.engine:EspeakEngine"
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class _Options:
    """`at_load`: what happens there; `size_mb` is held from then on; `goodbye`: a file that its closing makes."""

    at_load: str = ""
    size_mb: int = 0
    helper: bool = False
    goodbye: str = ""


class RoughEngine:
    name = "rough"
    isolated = True

    def load(self, spec: ModelSpec) -> RoughModel:
        options = read_options(_Options, spec)
        print("a library's banner", flush=True)
        os.write(1, b"and one that knows no sys.stdout\n")
        match options.at_load:
            case "hang":
                time.sleep(3600)
            case "hang holding the GIL":
                ctypes.PyDLL(None).sleep(3600)
            case "exit":
                os._exit(3)
            case "sys.exit":
                sys.exit(4)
            case "segfault":
                ctypes.string_at(0)
            case "abort":
                os.abort()
            case "fault":
                raise RuntimeError("a fault of the load")
            case "swallow memory":
                held = []
                while True:
                    held.append(bytearray(50 * MB))
        return RoughModel(options)


class RoughModel:
    """Each request does what its text says."""

    def __init__(self, options: _Options) -> None:
        self._goodbye = options.goodbye
        self._held = bytearray(b"\x01") * (options.size_mb * MB)
        self._helper = subprocess.Popen(["sleep", "3600"]) if options.helper else None
        self.info = EngineInfo(
            name="rough",
            sample_rate=24_000,
            languages=(ANY,),
            voices=(VoiceInfo("rough", "Rough", (ANY,)),),
            default_voice="rough",
            licence="Apache-2.0",
        )

    def synthesize(self, request: Request) -> Iterator[Audio | Mark]:
        yield Audio(b"\x01\x00" * 2400)
        match request.text:
            case "crash":
                os._exit(70)
            case "segfault":
                ctypes.string_at(0)
            case "crash beside a forked one":
                if os.fork() == 0:
                    time.sleep(3600)
                os._exit(70)
            case "fault":
                raise RuntimeError("a fault of the request")
            case "sys.exit":
                sys.exit(5)
            case "memory":
                raise MemoryError
            case "hang":
                time.sleep(3600)
            case "hang holding the GIL":
                ctypes.PyDLL(None).sleep(3600)
            case "stream":
                for _ in range(10_000):
                    yield Audio(b"\x02\x00" * 2400)
            case "long":
                yield Audio(b"\x03\x00" * 24_000 * 60)
            case "threads":
                yield Audio(bytes(2 * threading.active_count()))
            case "ahead":
                while not request.cancelled():
                    yield Audio(round(request.ahead_s() * 1000).to_bytes(2, "little") * 2400)
            case "until cancelled":
                while not request.cancelled():
                    time.sleep(0.005)
        yield Audio(b"\x04\x00" * 2400)

    def close(self) -> None:
        if self._goodbye == "hang":
            time.sleep(3600)
        elif self._goodbye:
            Path(self._goodbye).touch()


_OTHERS: set[int] = set()


def ignore_others() -> None:
    """What is dead and not yet waited for by now, another test of this process started."""
    _OTHERS.clear()
    _OTHERS.update(isolated_processes())


def isolated_processes() -> list[int]:
    """Those of this process, dead or alive."""
    command = ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines() if "isolated.child" in line or "defunct" in line]
    return [int(pid) for pid, parent, _ in rows if int(parent) == os.getpid() and int(pid) not in _OTHERS]
