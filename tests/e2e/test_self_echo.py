"""A loudspeaker that the microphone hears: nobody is interrupted by themselves, and the user still interrupts."""

from __future__ import annotations

from pathlib import Path

import pytest

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
EARS = ["pocketsphinx", pytest.param("moonshine", marks=needs_moonshine)]
LOOPS = {"a cable": {"room": ((0.0, 1.0),), "delay_s": 0.02, "gain": 0.8}, "a room": {"delay_s": 0.12, "gain": 0.25}}


@pytest.mark.parametrize("ears", EARS)
@pytest.mark.parametrize("loop", LOOPS)
async def test_a_reply_that_the_microphone_hears_is_heard_whole_and_the_user_told(
    tmp_path: Path, ears: str, loop: str
) -> None:
    with running(tmp_path, ears=ears) as system, speaking() as speech:
        async with person(system.url, speech, greeting=False, loop=Loop(**LOOPS[loop])) as someone:
            someone.session.say(REPLY)
            finished = await someone.until_finished(1)
            assert (finished.heard, finished.reason) == (REPLY, "complete")
            assert not someone.all(m.TurnEnded), "nobody said anything"
            assert [notice.code for notice in someone.all(m.Notice)] == ["self_echo"]
            assert not any(transcript.text for transcript in someone.all(m.Transcript))
            await _is_obeyed(someone)


async def test_so_it_is_over_grpc(tmp_path: Path) -> None:
    with running(tmp_path) as system, speaking() as speech:
        async with person(f"grpc://{system.grpc}", speech, greeting=False, loop=Loop(**LOOPS["a room"])) as someone:
            someone.session.say(REPLY)
            finished = await someone.until_finished(1)
            assert (finished.heard, finished.reason) == (REPLY, "complete")
            assert not someone.all(m.TurnEnded)
            assert [notice.code for notice in someone.all(m.Notice)] == ["self_echo"]


async def _is_obeyed(someone: Person) -> None:
    someone.session.say(REPLY)
    await someone.until_heard(2, "There are one hundred")
    await someone.say("stop please, I have heard enough of that")
    finished = await someone.until_finished(2)
    assert finished.reason == "barge_in"
