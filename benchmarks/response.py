"""From the user's last voiced sample to the reply's first sound at the loudspeaker.

First with a recogniser and a responder that answer at once, where what is above the configured endpointing is ours;
then with PocketSphinx and espeak, as `./antiphon up` runs.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from benchmarks import solo, speech
from benchmarks.listener import Listener, Lost
from benchmarks.rows import Budget, Row, spread
from benchmarks.stack import stack
from benchmarks.suite import Options
from orchestrator import messages as m

ENDPOINT_MS = 500
USERS = 3
QUIET_S = 1.0
NEUTRAL = "tell me about the weather"
"""Reads neither as complete nor as unfinished: the endpoint falls after just the configured silence."""
SENTENCES = (
    "tell me about the weather",
    "do you know a good story",
    "where are you now",
    "i wonder how it may go",
    "show me a new way home",
)


def run(options: Options) -> list[Row]:
    turns = options.pick(7, 2)
    options.note("response: scripted recognition, echo, sine")
    with stack() as made:
        scripted = solo.run(_scene(made.orchestrator.address, turns, scripted=True))
    options.note("response: PocketSphinx, echo, espeak")
    with stack(engine="espeak", ear="pocketsphinx") as made:
        real = solo.run(_scene(made.orchestrator.address, turns, scripted=False))
    added = [x.response_ms - ENDPOINT_MS for x in scripted if x.reason == "silence"]
    return [
        spread(
            f"last word → first sound, beyond the endpointing of {ENDPOINT_MS} ms (answers at once)",
            "ms",
            added,
            Budget(60),
        ),
        spread("last word → first sound (answers at once)", "ms", [x.response_ms for x in scripted]),
        spread(
            "last word → first sound (PocketSphinx, espeak)",
            "ms",
            [x.response_ms for x in real],
            Budget(1000),
            f"{USERS * turns - len(real)} of {USERS * turns} sentences were not understood at all",
        ),
    ]


class Turn:
    __slots__ = ("reason", "response_ms")

    def __init__(self, response_ms: float, reason: str) -> None:
        self.response_ms = response_ms
        self.reason = reason


async def _scene(address: str, turns: int, *, scripted: bool) -> list[Turn]:
    """A few users at once, each after the other's beat; the machine is far from busy."""
    begin = solo.start(responder="echo", phrases=[NEUTRAL]) if scripted else solo.start(responder="echo")
    begin = msgspec.structs.replace(begin, endpointing=m.Endpointing(endpoint_ms=ENDPOINT_MS))
    async with solo.users(address, *[begin] * USERS) as listeners:
        parts = [_talk(listener, turns, number) for number, listener in enumerate(listeners)]
        return [turn for found in await asyncio.gather(*parts) for turn in found]


async def _talk(listener: Listener, turns: int, number: int) -> list[Turn]:
    """What was not understood (a notice says so) is no turn; the next sentence is said."""
    await asyncio.sleep(0.3 * number)
    found: list[Turn] = []
    for turn in range(turns):
        said = listener.say(speech.say(SENTENCES[(turn + number) % len(SENTENCES)], "en-us"))
        before = _news(listener)
        await listener.until(lambda before=before: _news(listener) > before, "turn_ended")  # type: ignore[misc]
        news = listener.last(m.TurnEnded)
        if news is None or listener.count(m.TurnEnded) == len(found):
            await asyncio.sleep(max(0.0, said.ended_s + QUIET_S - time.monotonic()))
            continue
        await listener.until(
            lambda turn=news.turn: (x := listener.last(m.TurnFinished)) is not None and x.turn >= turn,  # type: ignore[misc]
            "turn_finished",
            60.0,
        )
        if news.turn not in listener.log.first_sound_s:
            raise Lost(f"the user's turn ended, but reply {news.turn} never sounded")
        found.append(Turn((listener.log.first_sound_s[news.turn] - said.ended_s) * 1000, news.reason))
    return found


def _news(listener: Listener) -> int:
    return listener.count(m.TurnEnded) + listener.count(m.Notice)
