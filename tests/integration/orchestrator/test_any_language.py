"""A session that leaves its language open, over Whisper's real processes: what is said is detected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.recognizer import RecognizerConfig
from asr.shared import SharedEars
from orchestrator.messages import Notice, SessionUpdate, Transcript, TurnEnded, TurnFinished
from tests.support import whisper_models
from tests.support.house import house
from tests.support.user import user
from tts_workers.engine import Audio, Mark, Request
from tts_workers.engines.sine import SineModel

pytestmark = pytest.mark.integration

FAST = {"options": {"char_s": 0.02}}


@pytest.mark.parametrize("by_session", [True, False], ids=["the session", "the operator"])
async def test_any_language_is_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_session: bool) -> None:
    asked: list[str] = []
    opens = SharedEars.open

    def noted(self: SharedEars, config: RecognizerConfig) -> object:
        asked.append(config.language)
        return opens(self, config)

    monkeypatch.setattr(SharedEars, "open", noted)
    spoken: list[str] = []
    speaks = SineModel.synthesize

    def noted_too(self: SineModel, request: Request) -> Iterator[Audio | Mark]:
        spoken.append(request.language)
        return speaks(self, request)

    monkeypatch.setattr(SineModel, "synthesize", noted_too)
    model = whisper_models.build(tmp_path / "tiny", multilingual=True, lead=1)
    usual = {} if by_session else {"language": "*"}
    async with house(asr=0, tts_settings=FAST, responder="echo", detector="webrtc", **usual) as here:
        await here.asr("asr0", engine="whisper", model=str(model))
        await here.wait_workers("tts0", "asr0")
        async with user(here.url, speaks=True, **({"language": "*"} if by_session else {})) as u:
            assert u.session.started.can_hear
            assert u.session.started.language == "en"
            await u.microphone.say(whisper_models.in_a_room("ja nein gut"))
            assert (await u.wait(TurnEnded)).transcript == "ja nein gut"
            assert (await u.wait(TurnFinished)).reason == "complete"
            assert u.all(Transcript)[-1].language == "de"
            assert spoken[-1] == "de", "who speaks German is answered in German"
            u.session.send(SessionUpdate(language="de"))
            await u.microphone.say(whisper_models.in_a_room("ja nein gut"))
            assert (await u.wait(TurnEnded)).transcript == "ja nein gut"
            assert asked == ["*", "de"]
            assert u.all(Transcript)[-1].language == "", "nothing is to be detected any more"
            assert not u.all(Notice)


async def test_where_nobody_tells_languages_apart_the_user_is_told_and_heard_all_the_same() -> None:
    async with house(asr=1) as here, user(here.url, speaks=True, language="*", phrases=["what time is it"]) as u:
        assert not u.session.started.can_hear
        assert "apart" in (await u.wait(Notice, code="cannot_hear")).message
        await u.speaks()
        assert (await u.wait(TurnEnded)).transcript == "what time is it"
