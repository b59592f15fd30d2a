"""A loudspeaker that the microphone hears: nobody is interrupted by themselves, and the user still interrupts.

Whose sound it is depends on when it was played: on a machine that stalls, one reply of four may be cut. How sure it is
without stalls `benchmarks/echo.py` measures, by the microphone's own clock.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.speech import silence
from orchestrator import messages as m
from tests.support.loop import Loop
from tests.support.moonshine import needs_moonshine
from tests.support.person import Person, person
from tests.support.speech import speaking
from tests.support.system import running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

REPLY = (
    "The old lighthouse stands at the end of the harbour, and every evening somebody climbs the stairs to light the "
    "lamp. There are one hundred and twelve steps, and nobody has ever counted them twice with the same result. "
    "When the fog comes in, a horn sounds every half minute, and the dogs of the village answer it until morning."
)
SENTENCE = "The old lighthouse stands at the end of the harbour."
REPLIES = 4
APART_S = 0.8
"""An echo that goes on without a pause counts once."""
EARS = ["pocketsphinx", pytest.param("moonshine", marks=needs_moonshine)]
LOOPS = {"a cable": {"room": ((0.0, 1.0),), "delay_s": 0.02, "gain": 0.8}, "a room": {"delay_s": 0.12, "gain": 0.25}}


@pytest.mark.parametrize("ears", EARS)
@pytest.mark.parametrize("door", ["url", "grpc"])
async def test_replies_that_the_microphone_hears_are_heard_whole_and_the_user_told_and_obeyed(
    tmp_path: Path, ears: str, door: str
) -> None:
    loop = Loop(**LOOPS["a room" if door == "url" else "a cable"])
    with running(tmp_path, ears=ears) as system, speaking() as speech:
        url = system.url if door == "url" else f"grpc://{system.grpc}"
        async with person(url, speech, greeting=False, loop=loop) as someone:
            whole = 0
            for _ in range(REPLIES):
                whole += (await _says(someone, SENTENCE)).heard == SENTENCE
                await someone.microphone.say(silence(APART_S))
            assert whole >= REPLIES - 1
            assert "self_echo" in [notice.code for notice in someone.all(m.Notice)]
            someone.session.say(REPLY)
            turn = await _next(someone)
            await someone.until_heard(turn, "lighthouse")
            await someone.say("stop please, I have heard enough of that")
            assert (await someone.until_finished(turn)).reason == "barge_in"


async def _says(someone: Person, text: str) -> m.TurnFinished:
    someone.session.say(text)
    return await someone.until_finished(await _next(someone))


async def _next(someone: Person) -> int:
    """The turn that begins now."""
    over = max((x.turn for x in someone.all(m.TurnFinished)), default=0)
    return int(
        await someone.until(lambda: max((x.turn for x in someone.all(m.Reply) if x.turn > over), default=0), "turn")
    )
