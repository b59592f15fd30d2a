"""Audio that was made and never heard, for each barge-in.

All that the worker synthesised (by its own count) less all that the loudspeaker played: what lay in the worker, on the
way, and in the listener's queue when a word stopped the reply. espeak makes a chunk in one go, so that the rest of one
counts too: the design allows for up to 3 s there.
"""

from __future__ import annotations

import asyncio
import random

from benchmarks import scenes, solo, speech
from benchmarks.rows import Row, single
from benchmarks.stack import Stack, metrics, stack
from benchmarks.suite import Options
from orchestrator import messages as m

MADE = "antiphon_tts_audio_seconds_total"
THROWN = "antiphon_tts_wasted_seconds_total"


def run(options: Options) -> list[Row]:
    rows = []
    for engine, limit_s in (("sine", 2.0), ("espeak", 3.0))[: options.pick(2, 1)]:
        options.note(f"waste: {engine}")
        with stack(engine=engine) as made:
            rows += _rows(made, engine, options.pick(5, 3), limit_s)
    return rows


def _rows(made: Stack, engine: str, count: int, limit_s: float) -> list[Row]:
    where = f"127.0.0.1:{made.voice_metrics}"
    before = metrics(where)
    stopped, played_s = solo.run(_scene(made.orchestrator.address, count))
    after = metrics(where)
    made_s = after[MADE] - before[MADE]
    thrown_s = after[THROWN] - before[THROWN]
    per = (made_s - played_s) / stopped if stopped else None
    note = f"made {made_s:.1f} s, heard {played_s:.1f} s; of the rest the worker itself threw away {thrown_s:.1f} s"
    return [single(f"audio made and never heard, a barge-in ({engine})", "s", per, limit_s, n=stopped, note=note)]


async def _scene(address: str, count: int) -> tuple[int, float]:
    """How many replies were stopped, and the seconds that were heard of them."""
    begin = solo.start(phrases=["wait please"], endpointing={"endpoint_ms": 150})
    async with solo.users(address, begin) as (listener,):
        words = [speech.synthetic_speech(0.5, seed=seed) for seed in range(3)]
        await scenes.barge_in_often(listener, words, count, random.Random(1), (1.0, 2.0))
        # The reply that follows the last one is stopped too, by hand.
        await scenes.wait_sounding(listener, count)
        await asyncio.sleep(0.5)
        listener.send(m.Interrupt())
        await listener.until(lambda: listener.count(m.TurnFinished) > count, "the last turn_finished")
        await asyncio.sleep(1.0)  # the worker counts what it throws away when its engine has stopped
        stopped = sum(1 for _, x in listener.log.messages if isinstance(x, m.TurnFinished) and x.unheard)
        return stopped, listener.log.played / listener.rate
