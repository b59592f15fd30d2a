"""A voice of your own: it buzzes as long as a text would take to say. How to write one: docs/engines.md."""

from dataclasses import dataclass

import numpy as np

from base.errors import NotFound
from base.language import matches
from tts_workers.engine import Audio, EngineInfo, VoiceInfo
from tts_workers.options import read_options

RATE = 24_000
STEP = RATE // 10


@dataclass(frozen=True)
class Options:
    hertz: float = 110.0


class Buzz:
    name = "buzz"

    def load(self, spec):
        return BuzzModel(read_options(Options, spec))


class BuzzModel:
    info = EngineInfo(
        name="buzz",
        sample_rate=RATE,
        languages=("en",),
        voices=(VoiceInfo("buzz", "Buzz", ("en",)),),
        default_voice="buzz",
        licence="Apache-2.0",
        streaming=True,
        cancellable=True,
    )

    def __init__(self, options):
        self.hertz = options.hertz

    def synthesize(self, request):
        if request.voice not in ("", "buzz") or not matches(request.language, "en"):
            raise NotFound(f"buzz has no voice {request.voice!r} for {request.language!r}; it has 'buzz', en")
        total = RATE * len(request.text) // 15
        for at in range(0, total, STEP):
            if request.cancelled():
                return
            n = np.arange(at, min(at + STEP, total))
            fade = np.clip(np.minimum(n, total - n) / 240, 0, 1)
            phase = n * self.hertz / RATE % 1
            yield Audio((6000 * fade * (2 * phase - 1)).astype("<i2").tobytes())

    def close(self): ...
