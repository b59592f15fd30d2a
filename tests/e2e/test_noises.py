"""What is no speech, to the default engines: it makes no turn, takes no reply away, and is never met with silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.speech import silence
from orchestrator import messages as m
from tests.support.person import Person, person
from tests.support.speech import chords, cough, hum, key_click, knock, speaking, white_noise
from tests.support.system import running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NOISES = {
    "a hum": hum(2.0),
    "music": chords(2.0),
    "a hiss": white_noise(1.5),
    "a knock": knock(),
    "a cough": cough(),
}
TYPING = b"".join(key_click(seed) + silence(0.16) for seed in range(24))
REPLY = (
    "The first thing to know about lighthouses is that they are lonely. "
    "The second is that they are tall, and the third is that nobody minds."
)
OVER = frozenset({"no_words", "steady_noise"})
REST_S = 1.0


async def test_noises_make_no_turn_and_take_no_reply_away(tmp_path: Path) -> None:
    with running(tmp_path, ANTIPHON_ORCHESTRATOR_FINAL_MS="5000") as system, speaking() as speech:
        async with person(system.url, speech, greeting=False) as someone:
            for name, noise in NOISES.items():
                await _make(someone, name, noise)
            assert not someone.all(m.TurnEnded), "nobody said anything"
            await _reply_over_typing(someone)
            assert not someone.all(m.TurnEnded), "typing says nothing"
            assert not someone.all(m.Error)


async def _make(someone: Person, name: str, noise: bytes) -> None:
    """Either it is not taken for speech, or the user is told that there were no words in it."""
    here = len(someone.log)
    await someone.microphone.say(noise + silence(REST_S))
    if any(state.state == "listening" for state in someone.all(m.State, here)):
        await someone.until(
            lambda: any(notice.code in OVER for notice in someone.all(m.Notice, here)), f"a word about {name}"
        )
    assert not any(transcript.text for transcript in someone.all(m.Transcript, here)), name


async def _reply_over_typing(someone: Person) -> None:
    """Four keys a second while something is said: it may be held, or stop and go on, but all of it is heard, once."""
    here = len(someone.log)
    someone.session.say(REPLY)
    await someone.until(lambda: someone.all(m.Reply, here), "the reply")
    await someone.microphone.say(TYPING)

    def heard() -> str:
        return " ".join(x.heard for x in someone.all(m.TurnFinished, here) if x.heard)

    await someone.until(lambda: len(heard().split()) >= len(REPLY.split()), "the whole of the reply")
    assert heard() == REPLY
