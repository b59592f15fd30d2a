"""How much of what the microphone hears is what the loudspeaker plays. Pure.

Two questions, as words cannot answer either of a fragment of 100 to 400 ms:

- **Is the loudspeaker in it?** The cross-correlation of both, whitened so that every frequency counts alike (GCC-PHAT:
  Knapp and Carter, "The generalized correlation method for estimation of time delay", 1976), has one sharp peak at the
  time that sound takes from the one to the other, whatever the level, the room's colour and who else speaks. `sharp` is
  its height over the root mean square of all other delays. Another voice has no such peak, not with the same words
  either: no two voices agree in phase.
- **Is anything else in it?** `share` is the part of the energy that the best short filter (`TAPS`, by least squares)
  makes of what is played: the direct sound and the first reflections. What it leaves is late reverberation,
  distortion, noise, or somebody who speaks.

Both are reckoned at 8 kHz, of pre-emphasised sound: a voice's lowest overtones, which are loud and alike in all voices,
count no more than the others. The reckoning costs about a millisecond, half of it where there is no peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.decimator import Sound

RATE = 8_000
TAPS = 64
BEFORE = 12
"""So many of the taps lie before the peak."""
SHARP = 20.0
"""From here on a peak is one wherever it is: no two voices have one so high."""
NEAR = round(0.03 * RATE)
"""How far two delays of one way may lie apart: the playhead is reckoned from news that comes in steps."""
LOWEST_HZ, HIGHEST_HZ = 200.0, 3_600.0
_EMPHASIS = 0.9
_FLOOR = 1e-3
"""Of the mean magnitude: what is weaker at a frequency says nothing about it."""
_RIDGE = 0.01


@dataclass(frozen=True, slots=True)
class Likeness:
    """`lag`: samples by which what is heard follows what is played, counted from the first delay that was looked at.
    `share` is not reckoned, and is 0, where there is no peak.
    """

    sharp: float
    share: float
    lag: int


NONE = Likeness(0.0, 0.0, 0)


def likeness(heard: Sound, played: Sound, expected: int | None = None) -> Likeness:
    """Both mono at `RATE`, any scale. `played` is longer than `heard` by the delays that are looked at, the shortest
    last: its last samples sounded when the last ones of `heard` came, or just after. `expected`: the lag that it had
    before; where no other peak is `SHARP`, the one within `NEAR` of that is looked at.
    """
    delays = len(played) - len(heard)
    if len(heard) < TAPS or delays <= TAPS:
        return NONE
    y, x = _emphasised(heard), _emphasised(played)
    energy = float(y @ y)
    if energy <= 0.0 or not x.any():
        return NONE
    correlation = _whitened(y, x, delays)
    height = np.abs(correlation)
    peak = int(height.argmax())
    rms = float(np.sqrt(np.mean(height * height)))
    if rms <= 0.0:
        return NONE
    if height[peak] < SHARP * rms:
        if expected is None:
            return Likeness(float(height[peak]) / rms, 0.0, delays - peak)
        first = min(max(0, delays - expected - NEAR), delays)
        peak = first + int(height[first : max(first, delays - expected + NEAR) + 1].argmax())
    return Likeness(float(height[peak]) / rms, _share(y, x, peak, energy), delays - peak)


def _emphasised(x: Sound) -> Sound:
    out = x.astype(np.float32, copy=True)
    out[1:] -= np.float32(_EMPHASIS) * x[:-1]
    return out


def _whitened(y: Sound, x: Sound, delays: int) -> Sound:
    """At m: how well `y` fits `x` from its sample m on. What wraps around lies beyond the delays."""
    size = _size(len(x))
    cross = np.fft.rfft(x, size) * np.conj(np.fft.rfft(y, size))
    magnitude = np.abs(cross)
    cross /= magnitude + _FLOOR * float(magnitude.mean()) + 1e-20
    low, high = round(LOWEST_HZ / RATE * size), round(HIGHEST_HZ / RATE * size)
    cross[:low] = cross[high:] = 0.0
    out: Sound = np.fft.irfft(cross, size)[: delays + 1].astype(np.float32)
    return out


def _share(y: Sound, x: Sound, peak: int, energy: float) -> float:
    """Of `energy`, what a filter of x around `peak` makes of y: Wiener's, by the normal equations."""
    n = len(y)
    first = peak + BEFORE - TAPS + 1
    piece = np.zeros(n + TAPS - 1, np.float32)
    begin, end = max(first, 0), min(first + len(piece), len(x))
    piece[begin - first : end - first] = x[begin:end]
    size = _size(n + 2 * TAPS)
    spectrum = np.fft.rfft(piece, size)
    own = np.fft.irfft(np.abs(spectrum) ** 2, size)[:TAPS]
    cross = np.fft.irfft(spectrum * np.conj(np.fft.rfft(y, size)), size)[:TAPS][::-1]
    places = np.arange(TAPS)
    matrix = own[np.abs(places[:, None] - places[None, :])]
    matrix[places, places] += _RIDGE * own[0] + 1e-12
    try:
        taps = np.linalg.solve(matrix, cross)
    except np.linalg.LinAlgError:
        return 0.0
    return min(1.0, max(0.0, float(cross @ taps) / energy))


def _size(samples: int) -> int:
    """The shortest transform for so many that is quick, as one of 2¹⁴ is not."""
    eighth = 1 << max(0, (samples - 1).bit_length() - 4)
    return next(size for n in (8, 9, 10, 12, 15, 16) if (size := n * eighth) >= samples)
