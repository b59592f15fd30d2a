"""The kit on the mock and on the real one alike."""

from __future__ import annotations

import pytest

from tests.contract.engines.kit import EngineKit
from tests.support.isolated_engines import IsolatedEspeak, IsolatedSine
from tts_workers.engine import ModelSpec
from tts_workers.engines.espeak.engine import EspeakEngine
from tts_workers.engines.sine import SineEngine

pytestmark = pytest.mark.contract


class TestSine(EngineKit):
    engine = SineEngine
    spec = ModelSpec("sine", "sine")
    deterministic = True


class TestSineInBatches(EngineKit):
    """The other form of the port."""

    engine = SineEngine
    spec = ModelSpec("sine", "sine", {"batch": 3})
    deterministic = True


class TestEspeak(EngineKit):
    engine = EspeakEngine
    spec = ModelSpec("espeak", "espeak")


class TestEspeakVariant(EngineKit):
    engine = EspeakEngine
    spec = ModelSpec("espeak", "espeak", {"processes": 1})
    voice = "en-gb+f3"


class TestIsolatedSine(EngineKit):
    engine = IsolatedSine
    spec = ModelSpec("sine", "sine")
    deterministic = True


class TestIsolatedSineInBatches(EngineKit):
    engine = IsolatedSine
    spec = ModelSpec("sine", "sine", {"batch": 3})
    deterministic = True


class TestIsolatedEspeak(EngineKit):
    engine = IsolatedEspeak
    spec = ModelSpec("espeak", "espeak")
