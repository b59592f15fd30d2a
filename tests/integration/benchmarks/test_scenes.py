"""The benchmarks' scenes against real services: a word over a reply is followed by silence, a noise by all the rest."""

from __future__ import annotations

import asyncio
import random

import pytest

from benchmarks import false_alarm, scenes, solo, speech
from benchmarks.listener import Listener
from benchmarks.sound import Comparison
from benchmarks.stack import metrics, stack

pytestmark = pytest.mark.integration


def test_words_stop_a_reply_and_noises_do_not() -> None:
    with stack() as made:
        address = made.orchestrator.address
        silences = solo.run(_barge_in(address))
        assert [x.outcome for x in silences] == ["silent"]
        assert 0 < (silences[0].silence_s or 0) < 1
        comparison = solo.run(_noise(address))
        assert comparison.exact, comparison
        assert metrics(address)["antiphon_sessions_opened"] == 4


async def _barge_in(address: str) -> list[scenes.BargeIn]:
    async with solo.users(address, solo.start(phrases=["wait please"])) as (listener,):
        words = [speech.synthetic_speech(0.4)]
        return await scenes.barge_in_often(listener, words, 1, random.Random(1), (0.5, 0.6))


async def _noise(address: str) -> Comparison:
    async with solo.users(address, solo.start(), solo.start(), solo.start(hold=False), keep_audio=True) as listeners:
        plain, *noisy = listeners

        async def say(listener: Listener) -> None:
            await false_alarm._say_text(listener, false_alarm.TEXT[:40])
            await asyncio.sleep(0.5)
            if listener is not plain:
                listener.say(speech.synthetic_speech(0.15), offset=137)
            await false_alarm._finished(listener)

        await asyncio.gather(*(say(listener) for listener in listeners))
        outcomes = [false_alarm._judge(x, "hum", bytes(plain.log.audio)) for x in noisy]
        assert all(x.holds for x in outcomes)
        return next((x.comparison for x in outcomes if not x.comparison.exact), outcomes[0].comparison)
