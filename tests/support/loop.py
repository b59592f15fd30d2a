"""A loudspeaker in the same room as the microphone: what the one plays the other hears, to the sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE, StreamResampler, to_float

REFLECTIONS = ((0.0, 1.0), (0.0037, -0.4), (0.0071, 0.3), (0.0132, -0.25), (0.0219, 0.2), (0.041, 0.12), (0.083, -0.07))
"""(seconds after the direct sound, how loud): a small room."""
LONGEST_S = 1.0


class Loop:
    """`delay_s`: from the sound card's taking a sample to its coming back; `gain` what is left of it."""

    def __init__(
        self,
        rate: int = 48_000,
        *,
        delay_s: float = 0.06,
        gain: float = 0.5,
        room: Sequence[tuple[float, float]] = REFLECTIONS,
    ) -> None:
        self._resampler = StreamResampler(rate, UPLINK_RATE)
        self._room = [(round(at_s * UPLINK_RATE), share * gain) for at_s, share in room]
        self._sound = np.zeros(round(delay_s * UPLINK_RATE), np.float32)
        self._begun = False

    def played(self, pcm: bytes) -> None:
        """The loudspeaker took it, silence included."""
        sound = to_float(self._resampler.process(pcm))
        reach = max(at for at, _ in self._room)
        most = round(LONGEST_S * UPLINK_RATE)
        kept = self._sound[-most:] if len(self._sound) > most else self._sound
        end = len(kept) - (reach if self._begun else 0)
        out = np.zeros(end + len(sound) + reach, np.float32)
        out[: len(kept)] = kept
        for at, share in self._room:
            out[end + at : end + at + len(sound)] += share * sound
        self._sound, self._begun = out, True

    def heard(self, samples: int) -> NDArray[np.int32]:
        """What the microphone hears of it next."""
        piece, self._sound = self._sound[:samples], self._sound[samples:]
        out = np.zeros(samples, np.int32)
        out[: len(piece)] = np.clip(piece * 32768.0, -32768, 32767).astype(np.int32)
        return out
