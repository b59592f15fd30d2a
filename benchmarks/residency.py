"""Models that come and go: what a lease costs, one load however many ask, and evictions in their time.

A worker's own loader, in this process, on the sine engine: what is measured is ours, not an engine's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from base.errors import AntiphonError
from benchmarks import solo
from benchmarks.rows import Budget, Row, single, spread
from benchmarks.suite import Options
from tts_workers.engine import ModelSpec
from tts_workers.models import LoadedModel, ModelLoading
from worker.loader import Lease, Loader
from worker.residency_values import FOREVER, Limits, ModelPlan, State

MANY = 1000
TTL_S = 0.5


class _Counting(ModelLoading):
    loads = 0

    def load(self) -> LoadedModel:
        _Counting.loads += 1
        return super().load()


def run(options: Options) -> list[Row]:
    options.note("residency")
    return solo.run(_scene(options.pick(2000, 500), options.pick(20, 5)))


async def _scene(leases: int, evictions: int) -> list[Row]:
    return [
        await _ready(leases),
        await _at_once(),
        await _ttl(evictions),
    ]


def _loader(*plans: ModelPlan, changed: Callable[[], None] = lambda: None) -> Loader[LoadedModel]:
    def start(id: str, _: Callable[[AntiphonError], None]) -> ModelLoading:
        return _Counting(ModelSpec(id, "sine"), -23.0)

    return Loader(plans, Limits(), start, changed=changed)


async def _ready(count: int) -> Row:
    loader = _loader(*(ModelPlan(f"m{n}") for n in range(20)))
    for n in range(20):
        await loader.load(f"m{n}")
    took: list[float] = []
    for n in range(count):
        began = time.perf_counter()
        lease = await loader.acquire(f"m{n % 20}")
        took.append((time.perf_counter() - began) * 1000)
        lease.release()
    await loader.close(5.0)
    return spread("a lease of a ready model, with 20 in memory", "ms", took, Budget(1.0))


async def _at_once() -> Row:
    loader = _loader(ModelPlan("a"))
    before = _Counting.loads
    leases: list[Lease[LoadedModel]] = await asyncio.gather(*(loader.acquire("a") for _ in range(MANY)))
    loads = _Counting.loads - before
    for lease in leases:
        lease.release()
    await loader.close(5.0)
    return single(f"{MANY} who want one absent model at once: loads", "loads", loads, 1)


async def _ttl(count: int) -> Row:
    """From the end of its TTL until it is out of memory."""
    gone = asyncio.Event()

    def changed() -> None:
        if loader.state("a") is State.ABSENT:
            gone.set()

    loader = _loader(ModelPlan("a", ttl_s=TTL_S), ModelPlan("b", ttl_s=FOREVER), changed=changed)
    late: list[float] = []
    for _ in range(count):
        lease = await loader.acquire("a")
        gone.clear()
        lease.release()
        due = time.monotonic() + TTL_S
        await gone.wait()
        late.append((time.monotonic() - due) * 1000)
    await loader.close(5.0)
    return spread("a TTL's end to the model out of memory", "ms", late, Budget(1000.0))
