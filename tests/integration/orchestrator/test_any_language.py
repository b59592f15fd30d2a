"""A session that leaves its language open: over Whisper's real processes what is said is detected, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from asr.recognizer import Final, RecognizerConfig
from asr.shared import SharedEars
from orchestrator import wire
from orchestrator.messages import Endpointing, Notice, Reply, SessionUpdate, Transcript, TurnEnded, TurnFinished
from tests.support import whisper_models
from tests.support.house import house
from tests.support.user import user
from tts_workers.engine import Audio, Mark, Request
from tts_workers.engines.sine import SineModel

pytestmark = pytest.mark.integration

FAST = {"options": {"char_s": 0.02}}


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The languages in which something was spoken."""
    found: list[str] = []
    speaks = SineModel.synthesize

    def noted(self: SineModel, request: Request) -> Iterator[Audio | Mark]:
        found.append(request.language)
        return speaks(self, request)

    monkeypatch.setattr(SineModel, "synthesize", noted)
    return found


@pytest.fixture
def found_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finals alone tell a language, and it is German."""
    told = wire.final

    def final(response: wire.RecognizeResponse) -> Final:
        return replace(told(response), language="de")

    monkeypatch.setattr(wire, "final", final)


@pytest.mark.parametrize("by_session", [True, False], ids=["the session", "the operator"])
async def test_any_language_is_detected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoken: list[str], by_session: bool
) -> None:
    asked: list[str] = []
    opens = SharedEars.open

    def noted(self: SharedEars, config: RecognizerConfig) -> object:
        asked.append(config.language)
        return opens(self, config)

    monkeypatch.setattr(SharedEars, "open", noted)
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


@pytest.mark.usefixtures("found_late")
async def test_an_answer_begun_early_in_another_language_than_was_detected_is_dropped(spoken: list[str]) -> None:
    early = Endpointing(endpoint_ms=200, mode="fixed", early=True)
    script = ("tell me a story please", "[[slow 0.7]] tell me a story please")
    async with house(asr=0, tts_settings=FAST, final_ms=5000) as here:
        await here.asr("asr0", script=script, script_languages=("en", "de"))
        await here.wait_workers("tts0", "asr0")
        async with user(here.url, speaks=True, language="de", endpointing=early) as u:
            await u.speaks(1.6)
            await u.finished()
            await u.wait(TurnEnded)
            u.session.send(SessionUpdate(language="en"))
            u.session.send(SessionUpdate(language="*"))
            before = len(spoken)
            await u.speaks(1.6)
            assert (await u.wait(TurnEnded)).transcript == "tell me a story please"
            finished = await u.finished()
            assert (finished.heard, finished.reason) == ("tell me a story please", "complete")
            assert u.all(Transcript)[-1].language == "de"
            assert spoken[before:] == ["en", "de"], "begun early, and once it was known what is spoken"


@pytest.mark.usefixtures("found_late")
async def test_the_words_of_a_loudspeaker_that_the_microphone_hears_teach_no_language(spoken: list[str]) -> None:
    async with house(asr=0, tts_settings={"options": {"char_s": 0.08}}, final_ms=5000) as here:
        await here.asr("asr0", script=("thirty forty fifty sixty", "tell me more"), script_languages=("en", "de"))
        await here.wait_workers("tts0", "asr0")
        async with user(here.url, speaks=True, language="*") as u:
            u.session.say("twenty thirty forty fifty sixty seventy eighty ninety")
            await u.hears(1.2, (await u.wait(Reply)).turn)
            await u.speaks(0.4)
            finished = await u.finished()
            assert (finished.reason, finished.unheard) == ("complete", "")
            assert not u.all(TurnEnded), "nobody said anything"
            assert not any(t.text or t.language for t in u.all(Transcript) if t.final)
            u.session.say("one two three")
            await u.finished()
            assert spoken[-1] == "en"
            await u.speaks(0.8)
            assert (await u.wait(TurnEnded)).transcript == "tell me more"
            assert u.all(Transcript)[-1].language == "de", "the user does"


@pytest.mark.usefixtures("found_late")
async def test_where_nobody_speaks_what_was_detected_it_is_spoken_as_usual_until_somebody_does(
    spoken: list[str],
) -> None:
    async with house(asr=0, tts=0) as here:
        await here.asr("asr0", script=("what time is it",))
        await here.wait_workers("asr0")
        async with user(here.url, speaks=True, language="*") as u:
            await u.speaks(1.0)
            await u.wait(TurnEnded)
            assert u.all(Transcript)[-1].language == "de"
            await here.tts("english", options={"char_s": 0.02, "languages": ["en"]})
            await here.wait_workers("asr0", "english")
            await u.finished()
            await u.speaks(1.0)
            assert ((await u.finished()).reason, spoken[-1]) == ("complete", "en")
            await here.tts("any", **FAST)
            await here.wait_workers("asr0", "english", "any")
            await u.speaks(1.0)
            assert ((await u.finished()).reason, spoken[-1]) == ("complete", "de")
