"""Speech with the ends of its words, by espeak, and by flite where that program is. Mono floats at 16 kHz."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from base.audio import UPLINK_RATE, StreamResampler, to_float
from base.errors import Unavailable
from benchmarks import noises, speech
from benchmarks.ears.clips import read_wav, spread_words
from benchmarks.noises import Floats
from tts_workers.engine import Audio, Mark

LEVEL_DBFS = -20.0
FLITE = "flite"
FLITE_S = 30.0
PAUSE = "pau"


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
    """By the program. A word ends with its last sound: how many it has is asked for each word alone, and where they do
    not add up the ends are estimated by letters. Raises Unavailable.
    """
    with tempfile.TemporaryDirectory(prefix="antiphon-flite-") as folder:
        path = Path(folder) / "said.wav"
        told = _flite("-voice", voice, "-t", text, "-psdur", "-o", str(path))
        sound, first, last = _ready(to_float(read_wav(path)).astype(np.float64))
    phones = [(phone, float(end)) for phone, _, end in (each.partition(":") for each in told.split())]
    sounds = [round(end * UPLINK_RATE) for phone, end in phones if phone != PAUSE]
    words = text.split()
    counts = [sounds_of(word, voice) for word in words]
    if sum(counts) == len(sounds):
        ends = [sounds[at - 1] for at in accumulate(counts)]
    else:
        span = (first / UPLINK_RATE, last / UPLINK_RATE)
        ends = [round(end * UPLINK_RATE) for _, end in spread_words(text, (span,))]
    placed = [min(last, max(first, end)) for end in ends[:-1]]
    return Piece(sound, first, last, tuple(zip(words, [*placed, last], strict=True)))


@functools.cache
def sounds_of(word: str, voice: str) -> int:
    """How many sounds flite makes of it."""
    return sum(phone != PAUSE for phone in _flite("-voice", voice, "-t", word, "-ps", "-o", "none").split())


def _flite(*arguments: str) -> str:
    if not has_flite():
        raise Unavailable(f"the program {FLITE} is not here; a package of that name has it", reason="NO_FLITE")
    try:
        done = subprocess.run([FLITE, *arguments], capture_output=True, text=True, timeout=FLITE_S, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{FLITE} said nothing for {FLITE_S:g} s", reason="NO_FLITE") from None
    if done.returncode:
        raise Unavailable(f"{FLITE} failed: {done.stderr.strip()[:200]}", reason="NO_FLITE")
    return done.stdout


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
