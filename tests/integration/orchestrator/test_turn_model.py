"""A session with a turn detector from a file: it is asked off the loop, and its word counts, unless `fixed`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from base.errors import Misconfigured
from orchestrator import wire
from orchestrator.app import orchestrator
from orchestrator.messages import Endpointing, Explain, TurnEnded
from orchestrator.ports import Said
from orchestrator.settings import OrchestratorSettings
from orchestrator.turn_ear import TurnEar
from tests.support.house import house
from tests.support.turn_models import certain_model
from tests.support.user import user

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytestmark = pytest.mark.integration

ADAPTIVE = Endpointing(endpoint_ms=800)
FIXED = Endpointing(endpoint_ms=800, mode="fixed")


@pytest.mark.parametrize(
    ("done", "endpointing", "reason", "least_ms", "most_ms"),
    [
        (0.99, ADAPTIVE, "complete", 350, 780),
        (0.01, ADAPTIVE, "unfinished", 1900, 3000),
        (0.99, FIXED, "silence", 780, 1500),
    ],
)
async def test_its_word_counts_unless_the_endpoint_is_fixed(
    tmp_path: Path, done: float, endpointing: Endpointing, reason: str, least_ms: float, most_ms: float
) -> None:
    model = certain_model(tmp_path / "turn.onnx", done)
    async with house(turn_model=model) as here:
        async with user(here.url, speaks=True, phrases=["tell me more"], endpointing=endpointing) as u:
            await u.speaks()
            ended = await u.wait(TurnEnded)
            assert (ended.transcript, ended.reason) == ("tell me more", reason)
            facts = (await u.wait(Explain)).facts
            assert least_ms <= facts["endpoint_ms"] <= most_ms
            assert not u.errors()
        await here.wait_free()


async def test_it_is_told_what_the_user_was_found_to_speak_though_nobody_answers_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    asks, heard = TurnEar.done, wire.partial

    async def done(self: TurnEar, said: Said) -> float | None:
        told.append(said.language)
        return await asks(self, said)

    monkeypatch.setattr(TurnEar, "done", done)
    monkeypatch.setattr(wire, "partial", lambda response: replace(heard(response), language="de"))
    model = certain_model(tmp_path / "turn.onnx", 0.99)
    start = {"language": "*", "phrases": ["tell me more"], "endpointing": ADAPTIVE}
    english = {"options": {"languages": ["en"]}}
    async with house(turn_model=model, tts_settings=english) as here, user(here.url, speaks=True, **start) as u:
        await u.speaks()
        await u.wait(TurnEnded)
        assert told == ["de"]
        assert u.started.language == "en"


async def test_an_orchestrator_does_not_start_with_a_model_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="turn_model"):
        async with orchestrator(OrchestratorSettings(port=0, turn_model=str(tmp_path / "none.onnx"))):
            pass
