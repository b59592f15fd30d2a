"""From the user's last voiced sample to the reply's first sound at the loudspeaker.

First with a recogniser and a responder that answer at once, where what is above the configured endpointing is ours;
then with PocketSphinx and espeak, as `./antiphon up` runs.
"""

from __future__ import annotations

import asyncio

import msgspec

from benchmarks import scenes, solo, speech
from benchmarks.listener import Listener
from benchmarks.rows import Budget, Row, spread
from benchmarks.stack import stack
from benchmarks.suite import Options
from orchestrator import messages as m

ENDPOINT_MS = 500
USERS = 3
NEUTRAL = "tell me about the weather"
"""Reads neither as complete nor as unfinished."""
SENTENCES = (
    "tell me about the weather",
    "do you know a good story",
    "where are you now",
    "i wonder how it may go",
    "show me a new way home",
)


def run(options: Options) -> list[Row]:
    options.note("response: scripted recognition, echo, sine")
    with stack() as made:
        scripted, _ = solo.run(_scene(made.orchestrator.address, options.pick(7, 2), USERS, scripted=True))
    options.note("response: PocketSphinx, echo, espeak")
    said = options.pick(8, 3)
    with stack(engine="espeak", ear="pocketsphinx") as made:
        real, unanswered = solo.run(_scene(made.orchestrator.address, said, 1, scripted=False))
    added = [x.response_ms - ENDPOINT_MS for x in scripted if x.reason == "silence"]
    beyond = f"last word → first sound, beyond the endpointing of {ENDPOINT_MS} ms (answers at once)"
    note = f"{unanswered} of {said} sentences: no words understood" if unanswered else ""
    return [
        spread(beyond, "ms", added, Budget(60)),
        spread("last word → first sound (answers at once)", "ms", [x.response_ms for x in scripted]),
        spread(
            "last word → first sound (PocketSphinx, espeak)", "ms", [x.response_ms for x in real], Budget(1000), note
        ),
    ]


class Turn:
    __slots__ = ("reason", "response_ms")

    def __init__(self, response_ms: float, reason: str) -> None:
        self.response_ms = response_ms
        self.reason = reason


async def _scene(address: str, turns: int, users: int, *, scripted: bool) -> tuple[list[Turn], int]:
    """The turns that were answered, and how many sentences were not. A few users, each off the others' beat."""
    begin = solo.start(responder="echo", phrases=[NEUTRAL] if scripted else [])
    begin = msgspec.structs.replace(begin, endpointing=m.Endpointing(endpoint_ms=ENDPOINT_MS, mode="fixed"))
    async with solo.users(address, *[begin] * users) as listeners:
        parts = [_talk(listener, turns, number) for number, listener in enumerate(listeners)]
        found = [turn for part in await asyncio.gather(*parts) for turn in part]
    return found, turns * users - len(found)


async def _talk(listener: Listener, turns: int, number: int) -> list[Turn]:
    """A turn counts that ended after the last word: one that ended before cut the user off."""
    await asyncio.sleep(0.3 * number)
    found = []
    for turn in range(turns):
        said = await scenes.say_all(listener, speech.say(SENTENCES[(turn + number) % len(SENTENCES)], "en-us"))
        after = (x for at, x in listener.log.messages if isinstance(x, m.TurnEnded) and at >= said.ended_s)
        news = next(after, None)
        if news is not None and news.turn in listener.log.first_sound_s:
            found.append(Turn((listener.log.first_sound_s[news.turn] - said.ended_s) * 1000, news.reason))
    return found
