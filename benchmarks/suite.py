"""Which benchmarks there are, and how they are run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.rows import Row


@dataclass(frozen=True, slots=True)
class Options:
    """`quick`: fewer repetitions, the same scenes. `note` tells whoever watches what is being done."""

    quick: bool = False
    note: Callable[[str], None] = lambda _: None

    def pick(self, whole: int, quick: int) -> int:
        return quick if self.quick else whole


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`module` has `run(options) -> list[Row]`. `command`: how it is run, where that is not with `--only`."""

    name: str
    title: str
    module: str = ""
    command: str = ""

    def run(self, options: Options) -> list[Row]:
        module = importlib.import_module(self.module or f"benchmarks.{self.name}")
        found: list[Row] = module.run(options)
        return found


BENCHMARKS = (
    Benchmark("vad", "What is noticed of speech, how soon, and what passes for it"),
    Benchmark("response", "From the user's last word to the reply's first sound"),
    Benchmark("first_audio", "What the orchestrator adds to a voice's first audio"),
    Benchmark("barge_in", "From a word over a reply to silence"),
    Benchmark("false_alarm", "A noise over a reply, and not a sample lost"),
    Benchmark("echo", "A loudspeaker that the microphone hears, and who speaks over it"),
    Benchmark("control", "PAUSE, RESUME and STOP at the TTS worker"),
    Benchmark("load", "Forty sessions at once, and what they cost"),
    Benchmark("livekit", "Conversations in LiveKit rooms, and what LiveKit itself costs"),
    Benchmark("recognition", "How many PocketSphinx streams this machine carries"),
    Benchmark("intelligible", "Whether what is said can be understood"),
    Benchmark("residency", "Models that come and go"),
    Benchmark("piper", "Piper: first audio, and memory that comes back"),
    Benchmark("whisper", "Whisper and Moonshine: what streaming costs in words and in time"),
    Benchmark("waste", "Audio made and never heard"),
)


def chosen(names: Sequence[str]) -> list[Benchmark]:
    """Those of `names`, all without any. Raises KeyError with the names there are."""
    known = {b.name: b for b in BENCHMARKS}
    for name in names:
        if name not in known:
            raise KeyError(f"benchmark {name!r} is unknown; there are {', '.join(known)}")
    return [b for b in BENCHMARKS if not names or b.name in names]


def run(benchmark: Benchmark, options: Options) -> list[Row]:
    """Its rows. One that breaks gives a row that says so: the others still count."""
    try:
        return benchmark.run(options)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        options.note(f"{benchmark.name}: {type(error).__name__}: {error}")
        return [Row(benchmark.name, "", None, note=f"{type(error).__name__}: {lines[0]}", n=0)]
