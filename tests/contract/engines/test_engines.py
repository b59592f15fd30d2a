"""The kit on the mock and on the real one alike."""

from __future__ import annotations

import pytest

from examples.buzz_engine import Buzz
from tests.contract.engines.kit import EngineKit
from tests.support.piper_voices import Spec
from tts_workers.engine import ModelSpec, Request
from tts_workers.engines.espeak.engine import EspeakEngine
from tts_workers.engines.piper.engine import PiperEngine
from tts_workers.engines.sine import SineEngine

pytestmark = pytest.mark.contract


class TestSine(EngineKit):
    engine = SineEngine
    spec = ModelSpec("sine", "sine")
    failing = Request(turn=1, text="It begins well and then [[error]] it does not.")
    deterministic = True


class TestSineInBatches(TestSine):
    """The other form of the port."""

    spec = ModelSpec("sine", "sine", {"batch": 3})


class TestIsolatedSine(TestSine):
    isolated = True


class TestIsolatedSineInBatches(TestSineInBatches):
    isolated = True


class TestEspeak(EngineKit):
    engine = EspeakEngine
    spec = ModelSpec("espeak", "espeak")


class TestEspeakVariant(EngineKit):
    engine = EspeakEngine
    spec = ModelSpec("espeak", "espeak", {"processes": 1})
    voice = "en-gb+f3"


class TestIsolatedEspeak(TestEspeak):
    isolated = True


class TestBuzz(EngineKit):
    """The example of docs/engines.md."""

    engine = Buzz
    spec = ModelSpec("buzz", "examples.buzz_engine:Buzz")
    deterministic = True


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
