"""A session whose speech is judged by Silero VAD; which detector an orchestrator takes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asr.detectors import silero
from base.errors import Misconfigured
from benchmarks import noises
from benchmarks.speech import say
from orchestrator.checks import check
from orchestrator.detection import detection
from orchestrator.messages import Explain, Hold, Notice, Resume, TurnEnded
from orchestrator.settings import OrchestratorSettings
from tests.support.house import house
from tests.support.user import QUICK, user

pytestmark = pytest.mark.integration

COUNT = "one two three four five six"
MUSIC = noises.pcm(noises.chords(0.6, -20.0))


async def test_music_over_a_reply_costs_no_sample_and_holds_it_for_a_moment_only() -> None:
    held_s = {}
    for detector in ("webrtc", "silero"):
        async with house(detector=detector) as here:
            async with user(here.url, at_once=True) as listener:
                whole = listener.heard((await listener.asks(COUNT)).turn)
            async with user(here.url, speaks=True, hold=True, phrases=[""], endpointing=QUICK) as u:
                u.session.ask(COUNT)
                await u.hears(0.5, 1)
                u.microphone.say_nowait(MUSIC)
                await u.wait(Hold)
                begun_s = asyncio.get_running_loop().time()
                await u.wait(Resume)
                held_s[detector] = asyncio.get_running_loop().time() - begun_s
                assert (await u.finished(turn=1)).heard == COUNT
                assert u.heard(1) == whole
                assert not u.player.jumps
                assert (await u.wait(Explain)).facts["false_alarms"] == 1
                assert len(u.all(Hold)) == 1, "once dismissed it holds nothing"
    assert held_s["silero"] < 0.4
    assert held_s["silero"] < held_s["webrtc"] - 0.2


async def test_music_while_nothing_plays_begins_no_turn_and_words_do() -> None:
    async with house(detector="silero") as here, user(here.url, speaks=True, phrases=["tell me more"]) as u:
        await u.microphone.say(MUSIC)
        await u.microphone.say(say("tell me more"))
        assert (await u.wait(TurnEnded)).transcript == "tell me more"
        assert not u.all(Notice)


# --- which one -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "found"), [("auto", "silero"), ("silero", "silero"), ("webrtc", "webrtc")])
async def test_the_detector_is_the_one_asked_for_and_readyz_says_which(asked: str, found: str) -> None:
    async with house(detector=asked) as here, here.http.get(f"{here.url}/readyz") as answer:
        assert (await answer.json())["detector"] == found


def test_without_a_model_auto_is_webrtc_and_silero_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero, "_BUNDLED", ())
    assert detection(OrchestratorSettings()).name == "webrtc"
    with pytest.raises(Misconfigured, match="install whisper"):
        check(OrchestratorSettings(detector="silero"))


def test_a_bundled_model_that_is_damaged_is_done_without_unless_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "damaged.onnx").write_text("no model")
    monkeypatch.setattr("asr.detectors.silero.find_model", lambda: tmp_path / "damaged.onnx")
    assert detection(OrchestratorSettings()).name == "webrtc"
    with pytest.raises(Misconfigured, match="damaged"):
        detection(OrchestratorSettings(detector="silero"))


def test_a_file_that_is_named_is_used_or_refused(tmp_path: Path) -> None:
    found = silero.find_model()
    assert detection(OrchestratorSettings(detector_model=str(found))).name == "silero"
    with pytest.raises(Misconfigured, match="detector_model"):
        check(OrchestratorSettings(detector_model=str(tmp_path / "none.onnx")))
