"""What is wrong with a microphone, from what it gave: pure.

Levels are dBFS of 20 ms frames: the *voice* level is that of the loudest fifth of them, the *noise* level that of the
quietest tenth. A sample within 0.3 dB of full scale counts as clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

FRAME_S = 0.02
CLIPPED = 31_650
CLIPPED_SHARE = 0.001
"""Of the samples of loud frames: above it, speech is audibly torn."""
QUIET_DBFS = -45.0
"""A voice below this drowns in most recognisers' noise floor."""
SPEECH_S = 0.3
"""Less speech than this in the whole recording is none."""


class Verdict(Enum):
    NO_DEVICE = "no_device"
    DIGITAL_SILENCE = "digital_silence"
    CLIPPING = "clipping"
    TOO_QUIET = "too_quiet"
    NO_SPEECH = "sound_without_speech"
    NO_WORDS = "speech_without_words"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: Verdict
    voice_dbfs: float
    noise_dbfs: float
    peak_dbfs: float
    clipped_share: float
    speech_s: float
    words: str


def judge(pcm: bytes, rate: int, speech: list[bool], words: str | None) -> Finding:
    """`pcm` mono s16le; `speech`: what a VAD says of each 20 ms; `words`: what was recognised, None: by nobody."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float64)
    levels = frame_levels(samples, round(rate * FRAME_S))
    voice = float(np.percentile(levels, 90)) if len(levels) else -120.0
    noise = float(np.percentile(levels, 5)) if len(levels) else -120.0
    loud = np.abs(samples)[np.abs(samples) > 0.1 * 32_768]
    clipped = float(np.mean(loud >= CLIPPED)) if len(loud) else 0.0
    speech_s = sum(speech) * FRAME_S
    peak = float(np.max(np.abs(samples))) if len(samples) else 0.0
    return Finding(
        verdict=_verdict(samples, voice, clipped, speech_s, words),
        voice_dbfs=round(voice, 1),
        noise_dbfs=round(noise, 1),
        peak_dbfs=round(20 * np.log10(peak / 32_768), 1) if peak else -120.0,
        clipped_share=round(clipped, 4),
        speech_s=round(speech_s, 2),
        words=words or "",
    )


def _verdict(
    samples: NDArray[np.float64], voice_dbfs: float, clipped: float, speech_s: float, words: str | None
) -> Verdict:
    """The first that applies: what makes the later questions pointless comes first."""
    # A muted or forbidden microphone gives zeros, or one constant, or zeros with dither of one bit.
    if len(samples) == 0 or float(np.ptp(samples)) <= 2:
        return Verdict.DIGITAL_SILENCE
    if clipped >= CLIPPED_SHARE:
        return Verdict.CLIPPING
    if voice_dbfs < QUIET_DBFS:
        return Verdict.TOO_QUIET
    if speech_s < SPEECH_S:
        return Verdict.NO_SPEECH
    return Verdict.NO_WORDS if words is not None and not words.strip() else Verdict.GOOD


def frame_levels(samples: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """dBFS of each whole frame, its mean taken out; shape (frames,)."""
    whole = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.var(whole, axis=1) / 32_768.0**2 if len(whole) else np.zeros(0)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(power, 1e-12))
    return levels


def advice(finding: Finding, platform: str, *, wsl: bool = False) -> str:
    """What the user can do about it, in one or two sentences. `platform` as in sys.platform."""
    match finding.verdict:
        case Verdict.NO_DEVICE:
            return "No microphone was found. Plug one in, or choose one: antiphon chat --list-devices."
        case Verdict.DIGITAL_SILENCE:
            return (
                f"The microphone gives digital silence: it is muted, or may not be used. {_permission(platform, wsl)}"
            )
        case Verdict.CLIPPING:
            return (
                f"The microphone is too loud and clips ({finding.clipped_share:.1%} of the loud samples). "
                "Turn its level down, or speak from farther away."
            )
        case Verdict.TOO_QUIET:
            return (
                f"The microphone is too quiet (voice at {finding.voice_dbfs:.0f} dBFS, {QUIET_DBFS:.0f} is needed). "
                "Turn its level up, or speak closer to it."
            )
        case Verdict.NO_SPEECH:
            return (
                f"There is sound (at {finding.voice_dbfs:.0f} dBFS), but no speech in it. "
                "Is this the right microphone? Hum or noise may cover the voice."
            )
        case Verdict.NO_WORDS:
            return (
                "Speech was heard, but no words in it: was it English? Noise "
                f"({finding.noise_dbfs:.0f} dBFS), echo or distance may blur it."
            )
        case Verdict.GOOD:
            return (
                f"The microphone works: voice at {finding.voice_dbfs:.0f} dBFS, noise at {finding.noise_dbfs:.0f} dBFS."
            )


def _permission(platform: str, wsl: bool) -> str:
    if wsl:
        return (
            "In Windows: Settings, Privacy & security, Microphone, "
            'turn on "Let desktop apps access your microphone"; then run: wsl --shutdown'
        )
    if platform == "darwin":
        return "Grant it: System Settings, Privacy & Security, Microphone: turn on your terminal, then restart it."
    return "Unmute it and turn it up in the system's sound settings (or: pavucontrol, the tab Input Devices)."
