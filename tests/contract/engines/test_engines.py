"""The kit on the mock and on the real one alike."""

from __future__ import annotations

import pytest

from tests.contract.engines.kit import EngineKit
from tests.support.isolated_engines import IsolatedEspeak, IsolatedSine
from tests.support.piper_voices import Spec
from tts_workers.engine import ModelSpec
from tts_workers.engines.espeak.engine import EspeakEngine
from tts_workers.engines.piper.engine import PiperEngine
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
    loads = 15
    deterministic = True


class TestIsolatedSineInBatches(EngineKit):
    engine = IsolatedSine
    spec = ModelSpec("sine", "sine", {"batch": 3})
    loads = 15
    deterministic = True


class TestIsolatedEspeak(EngineKit):
    engine = IsolatedEspeak
    spec = ModelSpec("espeak", "espeak")
    loads = 15


class TestPiper(EngineKit):
    engine = PiperEngine
    spec = Spec()
    deterministic = True


class TestPiperAligned(EngineKit):
    engine = PiperEngine
    spec = Spec({"aligned": True}, threads=2)
    deterministic = True


class TestPiperSpeakers(EngineKit):
    engine = PiperEngine
    spec = Spec({"speakers": 3, "names": ("ann", "bob")})
    voice = "en_US-tiny-low#bob"
    deterministic = True


class TestPiperDirectory(EngineKit):
    """Voices of different rates, with several speakers and with one, of which one has alignments."""

    engine = PiperEngine
    spec = Spec(
        {"name": "en_GB-small-low", "rate": 16_000, "pitch": 3, "aligned": True},
        {"name": "en_US-tiny-low", "speakers": 2},
    )
    deterministic = True
