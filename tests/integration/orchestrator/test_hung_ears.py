"""One hung Whisper decode, over real processes: it costs the session whose utterance it was, and nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from orchestrator.messages import TurnEnded
from tests.support import whisper_models
from tests.support.house import house
from tests.support.user import user

pytestmark = pytest.mark.integration

ASKED = "what time is it"


def decoders() -> list[psutil.Process]:
    """The processes that the worker, which is in ours, decodes with."""
    return [p for p in psutil.Process().children() if "asr.shared_child" in p.cmdline()]


async def test_a_hung_decode_costs_one_session_its_turn_and_who_only_queued_is_heard(tmp_path: Path) -> None:
    model = whisper_models.build(tmp_path / "tiny.en", lead=1)
    async with house(asr=0, tts_settings={"options": {"char_s": 0.02}}, responder="echo", detector="webrtc") as here:
        await here.asr("asr0", engine="whisper", model=str(model))
        await here.wait_workers("tts0", "asr0")
        pcm = whisper_models.in_a_room(ASKED)
        async with user(here.url, speaks=True) as a, user(here.url, speaks=True) as b:
            await b.microphone.say(pcm)
            await b.wait(TurnEnded, transcript=ASKED)
            assert (await b.finished()).heard == ASKED  # from now on it is known what a decode costs
            [child] = decoders()
            child.suspend()
            await asyncio.gather(a.microphone.say(pcm), b.microphone.say(pcm))
            # Either may be the one that was decoded; the other one is answered, and hears of nothing.
            ends = [asyncio.create_task(who.wait(TurnEnded, transcript=ASKED)) for who in (a, b)]
            try:
                first = await _first(ends)
            finally:
                for task in ends:
                    task.cancel()
            queued = (a, b)[ends.index(first)]
            await first
            assert "no_words" not in queued.notices()
            assert "recognition_failed" not in queued.notices()
            assert child not in decoders()


async def _first(tasks: list[asyncio.Task[TurnEnded]]) -> asyncio.Task[TurnEnded]:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    return done.pop()
