"""smart-turn: tiny models of its signature, and files that are none. Needs ONNX and ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from base.errors import Misconfigured
from orchestrator.ports import Said
from orchestrator.turn_detectors.smart_turn import SmartTurn
from tests.support.turn_models import energy_model, other_model

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytestmark = pytest.mark.unit

RATE = 16_000


def noise(seconds: float) -> bytes:
    values = np.random.default_rng(1).normal(0, 3000, int(RATE * seconds))
    return bytes(values.clip(-32768, 32767).astype("<i2").tobytes())


def test_a_model_hears_whether_somebody_is_done(tmp_path: Path) -> None:
    """The model thinks that somebody is done if the last half second is quiet."""
    detector = SmartTurn(energy_model(tmp_path / "turn.onnx"))
    speech = noise(2.0)
    ended = detector.done(Said("", "en", speech + bytes(RATE * 2)))
    going_on = detector.done(Said("", "en", speech))
    assert 0 <= going_on < 0.5 < ended <= 1
    assert 0 <= detector.done(Said("", "en", b"")) <= 1


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "there is no file"),
        ("garbage", "is no ONNX model"),
        ("shape", "takes"),
        ("values", "one probability"),
    ],
)
def test_a_file_that_is_no_turn_detector_is_told_in_words(tmp_path: Path, kind: str, says: str) -> None:
    path = tmp_path / "turn.onnx"
    if kind == "garbage":
        path.write_bytes(b"no model at all")
    elif kind == "shape":
        other_model(path, (1, 128, 3000), 1)
    elif kind == "values":
        other_model(path, (1, 80, 800), 2)
    with pytest.raises(Misconfigured, match=says) as found:
        SmartTurn(str(path))
    assert str(path) in str(found.value)
