"""The tour as a responder: what `plan` decides, spoken piece by piece.

It shows off what is best here and needs no recognition for it: it counts and asks to be interrupted, and then says at
which number it was stopped and which was heard last. What it says is a pure function of the history, the context and
the time; nothing is remembered here, so one responder serves every session.

Closing remarks ("you let me finish", a noise that was taken for a cough) wait until what came before was heard: they
would not be true earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import datetime

from base.language import unless_english
from orchestrator.conversation.history import Item
from orchestrator.ports import Context, Delta, Done, Text
from orchestrator.responders.tour.phrases import PHRASES
from orchestrator.responders.tour.plan import noise_remark, plan
from orchestrator.responders.tour.scene import Scene

LONG = 200
"""Characters from which on a reply waits for its end to be heard: long enough for a noise to come between."""


def local_time() -> datetime:
    return datetime.now().astimezone()


class TourResponder:
    """See the module. `phrases` is what a recogniser's grammar should have; `now` is the clock that it tells."""

    name = "tour"
    early = True
    phrases: tuple[str, ...] = PHRASES

    def __init__(self, now: Callable[[], datetime] = local_time) -> None:
        self._now = now

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncGenerator[Delta, None]:
        scene = Scene(history, context, self._now())
        planned = plan(scene)
        language = unless_english(context.language)
        if planned.adjust is not None:
            yield planned.adjust
        for piece in _spaced(planned.pieces):
            yield Text(piece, language)
            await asyncio.sleep(0)
        if planned.closing or sum(map(len, planned.pieces)) >= LONG:
            await context.progress.wait_heard()
            noises = context.progress.false_alarms
            remark = (noise_remark(scene, noises),) if noises else ()
            for piece in (*remark, *planned.closing):
                yield Text(f" {piece}", language)
                await asyncio.sleep(0)
        yield Done()

    async def warm(self) -> None:
        """Always ready."""

    async def close(self) -> None:
        """Holds nothing."""


def _spaced(pieces: Iterable[str]) -> list[str]:
    return [f" {piece}" if n else piece for n, piece in enumerate(pieces)]
