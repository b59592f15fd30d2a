"""From the user's last voiced sample to the reply's first sound at the loudspeaker.

First with a recogniser and a responder that answer at once, where what is above the configured endpointing is ours;
then with PocketSphinx and espeak, as `./antiphon up` runs. Then what an early start saves where the brain takes its
time, and what it wastes when every other sentence goes on after it had read as complete.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from benchmarks import scenes, solo, speech
from benchmarks.listener import Listener
from benchmarks.rows import Budget, Row, single, spread
from benchmarks.slow_brain import THINKS_S
from benchmarks.stack import Failed, metrics, stack
from benchmarks.suite import Options
from orchestrator import messages as m

ENDPOINT_MS = 500
USERS = 3
NEUTRAL = "tell me about the weather"
"""Reads neither as complete nor as unfinished."""
GOES_ON = "tell me a story please and make it short"
"""Reads as complete after its fifth word."""
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
        scripted, _ = solo.run(_scene(made.orchestrator.address, options.pick(7, 2), USERS, _start([NEUTRAL])))
    options.note("response: PocketSphinx, echo, espeak")
    said = options.pick(8, 3)
    with stack(engine="espeak", ear="pocketsphinx") as made:
        real, unanswered = solo.run(_scene(made.orchestrator.address, said, 1, _start([])))
    added = [x.response_ms - ENDPOINT_MS for x in scripted if x.reason == "silence"]
    beyond = f"last word → first sound, beyond the endpointing of {ENDPOINT_MS} ms (answers at once)"
    note = f"{unanswered} of {said} sentences: no words understood" if unanswered else ""
    return [
        spread(beyond, "ms", added, Budget(60)),
        spread("last word → first sound (answers at once)", "ms", [x.response_ms for x in scripted]),
        spread(
            "last word → first sound (PocketSphinx, espeak)", "ms", [x.response_ms for x in real], Budget(1000), note
        ),
        *_early_rows(options),
    ]


def _early_rows(options: Options) -> list[Row]:
    brain = f"a brain that thinks for {THINKS_S * 1000:.0f} ms"
    options.note(f"response: {brain}, with an early start and without")
    turns = options.pick(7, 2)
    with stack(orchestrator=("--responder", "benchmarks.slow_brain:SlowBrain")) as made:
        address = made.orchestrator.address
        late, _ = solo.run(_scene(address, turns, USERS, _start([NEUTRAL], "", early=False)))
        early, _ = solo.run(_scene(address, turns, USERS, _start([NEUTRAL], "", early=True)))
        before = _events(address)
        # A brain that answers at once, so that its voice has begun when the answer is thrown away.
        solo.run(_scene(address, 2 * turns, USERS, _start([NEUTRAL, GOES_ON], "echo", early=True)))
        found = {what: count - before.get(what, 0) for what, count in _events(address).items()}
    begun, dropped = found.get("early_starts", 0), found.get("early_dropped", 0)
    wasted = found.get("early_wasted_ms", 0) / 1000
    note = f"{begun:.0f} begun, {found.get('early_accepted', 0):.0f} accepted, {dropped:.0f} dropped"
    what = "every other sentence goes on after it read as complete"
    return [
        spread(f"last word → first sound ({brain})", "ms", [x.response_ms for x in late]),
        spread("… the same, with an early start", "ms", [x.response_ms for x in early]),
        single(f"early starts thrown away ({what})", "%", 100 * dropped / begun if begun else None, note=note),
        single("… audio made and never heard for each of them", "s", wasted / dropped if dropped else None),
    ]


def _events(address: str) -> dict[str, float]:
    """What happened in the sessions that are over, once all are."""
    deadline = time.monotonic() + 20
    while (found := metrics(address))["antiphon_sessions"]:
        if time.monotonic() > deadline:
            raise Failed("the sessions of a benchmark that ended are not over")
        time.sleep(0.05)
    prefix = 'antiphon_session_events_total{what="'
    return {name.removeprefix(prefix).rstrip('"}'): n for name, n in found.items() if name.startswith(prefix)}


class Turn:
    __slots__ = ("reason", "response_ms")

    def __init__(self, response_ms: float, reason: str) -> None:
        self.response_ms = response_ms
        self.reason = reason


def _start(phrases: list[str], responder: str = "echo", *, early: bool = False) -> m.SessionStart:
    begin = solo.start(responder=responder, phrases=phrases, greeting=early)
    endpointing = m.Endpointing(endpoint_ms=ENDPOINT_MS, mode="fixed", early=early)
    return msgspec.structs.replace(begin, endpointing=endpointing)


async def _scene(address: str, turns: int, users: int, begin: m.SessionStart) -> tuple[list[Turn], int]:
    """The turns that were answered, and how many sentences were not. A few users, each off the others' beat."""
    async with solo.users(address, *[begin] * users) as listeners:
        parts = [_talk(listener, turns, number) for number, listener in enumerate(listeners)]
        found = [turn for part in await asyncio.gather(*parts) for turn in part]
    return found, turns * users - len(found)


async def _talk(listener: Listener, turns: int, number: int) -> list[Turn]:
    """A turn counts that ended after the last word: one that ended before cut the user off."""
    await asyncio.sleep(0.3 * number)
    await listener.until(lambda: scenes.state(listener) == "idle", "the greeting's end")
    found = []
    for turn in range(turns):
        said = await scenes.say_all(listener, speech.say(SENTENCES[(turn + number) % len(SENTENCES)], "en-us"))
        after = (x for at, x in listener.log.messages if isinstance(x, m.TurnEnded) and at >= said.ended_s)
        news = next(after, None)
        if news is not None and news.turn in listener.log.first_sound_s:
            found.append(Turn((listener.log.first_sound_s[news.turn] - said.ended_s) * 1000, news.reason))
    return found
