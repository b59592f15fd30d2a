"""Speech with the ends of its words, by espeak, and by flite where that program is. Mono floats at 16 kHz."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from base.audio import UPLINK_RATE, StreamResampler, to_float
from base.errors import Unavailable
from benchmarks import noises, speech
from benchmarks.ears.clips import read_wav
from benchmarks.noises import Floats
from tts_workers.engine import Audio, Mark

LEVEL_DBFS = -20.0
FLITE = "flite"
FLITE_S = 30.0


@dataclass(frozen=True, slots=True)
class Piece:
    """What is said without a pause. `first` and `last`: its voiced samples, to one past the last."""

    sound: Floats
    first: int
    last: int
    ends: tuple[tuple[str, int], ...] = ()
    """Each word with its end in samples; empty where the program does not tell."""


def has_flite() -> bool:
    return shutil.which(FLITE) is not None


def espeak(text: str, voice: str) -> Piece:
    """By the espeak engine. A word ends where the next one begins."""
    audio, begins = bytearray(), []
    for part in speech.synthesis(text, voice):
        if isinstance(part, Audio):
            audio += part.data
        elif isinstance(part, Mark):
            begins.append((text[part.start : part.end], part.sample))
    rate = speech.espeak_rate()
    sound, first, last = _ready(_resampled(bytes(audio), rate))
    starts = [min(last, max(first, sample * UPLINK_RATE // rate)) for _, sample in begins]
    return Piece(sound, first, last, tuple(zip((word for word, _ in begins), [*starts[1:], last], strict=True)))


def flite(text: str, voice: str) -> Piece:
    """By the program. Raises Unavailable."""
    if not has_flite():
        raise Unavailable(f"the program {FLITE} is not here; a package of that name has it", reason="NO_FLITE")
    with tempfile.TemporaryDirectory(prefix="antiphon-flite-") as folder:
        path = Path(folder) / "said.wav"
        command = [FLITE, "-voice", voice, "-t", text, "-o", str(path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=FLITE_S, check=False)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{FLITE} said nothing for {FLITE_S:g} s (voice {voice})", reason="NO_FLITE") from None
        if done.returncode or not path.is_file():
            raise Unavailable(f"{FLITE} failed with voice {voice}: {done.stderr.strip()[:200]}", reason="NO_FLITE")
        return Piece(*_ready(to_float(read_wav(path)).astype(np.float64)))


def _resampled(pcm: bytes, rate: int) -> Floats:
    resampler = StreamResampler(rate, UPLINK_RATE)
    return to_float(resampler.process(pcm) + resampler.flush()).astype(np.float64)


def _ready(sound: Floats) -> tuple[Floats, int, int]:
    """At the level of all speech, and where it is voiced: from its first to its last sample above VOICED_FLOOR."""
    loud = sound[np.abs(sound) > 0.01 * np.abs(sound).max()]
    sound = sound * (noises.gain(LEVEL_DBFS) / float(np.sqrt(np.mean(loud * loud))))
    sound = np.clip(sound, -0.95, 0.95)
    voiced = np.flatnonzero(np.abs(sound) >= speech.VOICED_FLOOR)
    return sound, int(voiced[0]), int(voiced[-1]) + 1
