"""Piper: what the worker adds to a neural voice's own first audio, what a large voice gives back, and a real voice.

Tiny voices in Piper's format (tests/support/piper_voices.py) run through the real piper-tts and ONNX Runtime. A real
voice is measured where one is: the files named in ANTIPHON_BENCH_PIPER (a colon between two), or var/voices/*.onnx.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from antiphon.places import var_dir
from base import rpc
from base.errors import AntiphonError
from benchmarks import solo
from benchmarks.first_audio import Worker, session
from benchmarks.machine import resident_mb
from benchmarks.rows import Budget, Row, percentile, single, spread
from benchmarks.stack import processes
from benchmarks.suite import Options
from tests.support.piper_voices import make_voice
from tts_workers.engine import Audio, ModelSpec, Request
from tts_workers.models import ModelLoading
from worker.loader import Loader
from worker.memory import family, resident_bytes
from worker.residency_values import Limits, ModelPlan

TEXT = "Yes."
LONG = "Good morning, how did you sleep last night? The train to the coast leaves twenty minutes later today."
LARGE_MB = 300


def run(options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="antiphon-piper-") as folder:
        options.note("piper: a tiny voice")
        rows = _overhead(make_voice(Path(folder) / "tiny"), options.pick(40, 15))
        large = make_voice(Path(folder) / "large", megabytes=LARGE_MB)
        for where, isolate in (("the worker's process", False), ("a process of its own", True)):
            options.note(f"piper: a voice of {LARGE_MB} MB, in {where}")
            rows += solo.run(_unload(large, where, options.pick(20, 3), isolate=isolate))
    for voice in _real():
        options.note(f"piper: {voice.stem}")
        rows += _measure(voice, options.pick(10, 3))
    return rows


def _spec(voice: Path, **options: object) -> ModelSpec:
    return ModelSpec("piper", "piper", {"path": str(voice), "max_concurrent": 4, **options})


def _overhead(voice: Path, count: int) -> list[Row]:
    own = [first * 1000 for first, _ in _alone(voice, TEXT, count)]
    models = [{"id": "piper", "engine": "piper", "options": {"path": str(voice), "max_concurrent": 4}}]
    with processes() as made:
        worker = made.service("tts-worker", "--registry", "", "--models", json.dumps(models))
        through = solo.run(_at_worker(worker.address, count))
    base = percentile(own, 50)
    return [
        spread("what the worker adds to Piper's first audio", "ms", [x - base for x in through], Budget(30)),
        spread("text to first audio, at the engine itself (tiny voice)", "ms", own),
        spread("text to first audio, at the worker (tiny voice)", "ms", through),
    ]


def _alone(voice: Path, text: str, count: int) -> list[tuple[float, float]]:
    """First audio and RTF of each time, by the engine itself; one time before does not count."""
    loading = ModelLoading(_spec(voice), -23.0)
    model = loading.load()
    found = []
    try:
        for _ in range(count + 1):
            began = time.monotonic()
            first, size = 0.0, 0
            for item in model.model.synthesize(Request(turn=1, text=text)):
                if isinstance(item, Audio):
                    first = first or time.monotonic() - began
                    size += len(item.data) // 2
            found.append((first, (time.monotonic() - began) / (size / model.info.sample_rate)))
    finally:
        loading.close(model)
    return found[1:]


async def _at_worker(address: str, count: int) -> list[float]:
    async with rpc.channel(address) as channel:
        worker = Worker(channel, await session(channel, 48_000), TEXT)
        reading = asyncio.create_task(worker.run())
        found = [await worker.first_audio(turn) * 1000 for turn in range(1, count + 2)]
        worker.leave()
        await reading
    return found[1:]


async def _unload(voice: Path, where: str, times: int, *, isolate: bool) -> list[Row]:
    """How much of what this process and the model's together grew by is back after the unload, and the child gone."""
    taken: list[float] = []
    left: list[float] = []

    def start(id: str, lost: Callable[[AntiphonError], None]) -> ModelLoading:
        return ModelLoading(_spec(voice, isolate=isolate), -23.0, lost)

    loader = Loader([ModelPlan("large", isolated=isolate)], Limits(), start)
    for _ in range(times + 1):
        before = _together_mb()
        await loader.load("large")
        taken.append(_together_mb() - before)
        await loader.unload("large", force=False)
        left.append(max(0.0, _together_mb() - before))
    await loader.close(5.0)
    # The first brings along what all voices share.
    taken, left = taken[1:], left[1:]
    back = [100 * (1 - x / size) for x, size in zip(left, taken, strict=True)]
    note = f"{sum(taken) / len(taken):.0f} MB while loaded"
    return [single(f"memory back after unload, {where}, least", "%", min(back), 90, least=True, n=times, note=note)]


def _together_mb() -> float:
    """Of this process, and of those that it started."""
    gc.collect()
    ours = resident_mb(os.getpid())
    return ours + sum(resident_bytes(pid) for pid in family(os.getpid())[1:]) / 1e6


def _real() -> Sequence[Path]:
    named = os.environ.get("ANTIPHON_BENCH_PIPER", "")
    if named:
        return [Path(name) for name in named.split(":")]
    return sorted((var_dir() / "voices").glob("*.onnx"))


def _measure(voice: Path, count: int) -> list[Row]:
    found = _alone(voice, LONG, count)
    return [
        spread(f"text to first audio, at the engine itself ({voice.stem})", "ms", [1000 * first for first, _ in found]),
        spread(f"RTF ({voice.stem})", "", [rtf for _, rtf in found]),
    ]
