"""What a microphone hears besides its user: hum, hiss, music, typing, knocks. Mono floats at 16 kHz, always the same.

Levels are RMS in dBFS (the peak, for what is over at once). `pcm` makes s16le of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE, from_float

Floats = NDArray[np.float64]


def pcm(x: Floats) -> bytes:
    return from_float(np.clip(x, -1.0, 32767 / 32768).astype(np.float32))


def gain(db: float) -> float:
    return float(10 ** (db / 20))


def at_level(x: Floats, dbfs: float) -> Floats:
    return x * (gain(dbfs) / (float(np.sqrt(np.mean(x * x))) or 1.0))


def at_peak(x: Floats, dbfs: float) -> Floats:
    return x * (gain(dbfs) / (float(np.abs(x).max()) or 1.0))


def clock(seconds: float) -> Floats:
    return np.arange(round(seconds * UPLINK_RATE)) / UPLINK_RATE


# --- what goes on ----------------------------------------------------------------------------------------------------


def coloured(seconds: float, dbfs: float, slope: float, seed: int = 1) -> Floats:
    """Amplitude falls with frequency to the power of `slope`: 0 is white, 0.5 pink, 1 brown; flat below 30 Hz."""
    n = round(seconds * UPLINK_RATE)
    size = 1 << max(1, n - 1).bit_length()
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(size))
    hz = np.maximum(np.fft.rfftfreq(size, 1 / UPLINK_RATE), 30.0)
    return at_level(np.fft.irfft(spectrum / hz**slope, size)[:n], dbfs)


def white(seconds: float, dbfs: float, seed: int = 1) -> Floats:
    return coloured(seconds, dbfs, 0.0, seed)


def pink(seconds: float, dbfs: float, seed: int = 1) -> Floats:
    return coloured(seconds, dbfs, 0.5, seed)


def brown(seconds: float, dbfs: float, seed: int = 1) -> Floats:
    return coloured(seconds, dbfs, 1.0, seed)


def hum(seconds: float, dbfs: float, hz: float = 50.0) -> Floats:
    """The mains, or a motor, with its overtones."""
    t = clock(seconds)
    return at_level(sum((np.sin(2 * np.pi * hz * n * t + n) / n for n in range(1, 9)), np.zeros(len(t))), dbfs)


def chords(seconds: float, dbfs: float) -> Floats:
    """A plucked chord every half second."""
    t = clock(seconds)
    out = np.zeros(len(t))
    roots = np.random.default_rng(1).choice([174.6, 196.0, 220.0, 246.9, 261.6], len(t) // (UPLINK_RATE // 2) + 1)
    for number, root in enumerate(roots):
        begin = number * UPLINK_RATE // 2
        since = t[: max(0, min(len(t) - begin, 3 * UPLINK_RATE))]
        for note in root * np.array([1.0, 1.26, 1.5]):
            for n in (1, 2, 3, 4):
                wave = np.sin(2 * np.pi * note * n * since) / n
                out[begin : begin + len(since)] += wave * np.exp(-3 * n * since) * np.minimum(1, since / 0.005)
    return at_level(out, dbfs)


def melody(seconds: float, dbfs: float) -> Floats:
    """A tune of bells, a note every 300 ms."""
    t = clock(seconds)
    out = np.zeros(len(t))
    step = UPLINK_RATE * 3 // 10
    notes = np.random.default_rng(2).choice([524.0, 588.0, 660.0, 698.0, 784.0, 880.0, 988.0], len(t) // step + 1)
    for number, note in enumerate(notes):
        since = t[: max(0, min(len(t) - number * step, step * 3 // 2))]
        for n in (1, 2, 3):
            wave = np.sin(2 * np.pi * note * n * since) / n**1.5
            out[number * step : number * step + len(since)] += wave * np.exp(-4 * since) * np.minimum(1, since / 0.01)
    return at_level(out, dbfs)


# --- what is over at once --------------------------------------------------------------------------------------------


def click(seed: int, *, ms: float = 8.0, peak_dbfs: float = -6.0) -> Floats:
    """A key: it hits the ground, the desk answers; it comes up again, softer."""
    rng = np.random.default_rng(seed)
    t = clock(0.12)
    decay = ms / 3000
    out = rng.standard_normal(len(t)) * np.exp(-t / decay)
    up = round((0.06 + 0.04 * rng.random()) * UPLINK_RATE)
    out[up:] += 0.4 * rng.standard_normal(len(t) - up) * np.exp(-t[: len(t) - up] / decay)
    out += 0.3 * np.sin(2 * np.pi * (180 + 80 * rng.random()) * t) * np.exp(-t / 0.012)
    return at_peak(out, peak_dbfs)


def knock(seed: int, *, ms: float = 60.0, peak_dbfs: float = -4.0) -> Floats:
    """A cup set down, a fist on the table."""
    rng = np.random.default_rng(seed)
    t = clock(0.25)
    decay = ms / 4000
    out = np.sin(2 * np.pi * (120 + 120 * rng.random()) * t) * np.exp(-t / decay)
    out += 0.5 * np.sin(2 * np.pi * (350 + 200 * rng.random()) * t) * np.exp(-t / decay / 0.6)
    out += 0.5 * rng.standard_normal(len(t)) * np.exp(-t / 0.003)
    return at_peak(out, peak_dbfs)


def cough(seed: int, *, ms: float = 200.0, dbfs: float = -14.0) -> Floats:
    """Breath, and a voice in the later part of it."""
    t = clock(ms / 1000)
    breath = np.convolve(np.random.default_rng(seed).standard_normal(len(t)), np.hanning(9) / 4, "same")
    pulses = (np.diff(np.floor(np.cumsum(150 - 200 * t) / UPLINK_RATE), prepend=-1.0) > 0) * 8.0
    ring = clock(0.04)
    throat = np.convolve(pulses, np.exp(-2 * np.pi * 90 * ring) * np.sin(2 * np.pi * 600 * ring))[: len(t)]
    voice = throat * (t > ms * 3e-4) * 0.5
    return at_level((breath + voice) * np.minimum(1, t / 0.008) * np.exp(-t / (ms * 3.5e-4)), dbfs)


def slam(seed: int, *, peak_dbfs: float = -1.0) -> Floats:
    """A door."""
    rng = np.random.default_rng(seed)
    t = clock(0.8)
    thump = at_peak(brown(0.8, -20.0, seed), 0.0) * np.exp(-t / 0.09)
    crack = 0.5 * rng.standard_normal(len(t)) * np.exp(-t / 0.01)
    return at_peak(thump + crack + 0.15 * rng.standard_normal(len(t)) * np.exp(-t / 0.2), peak_dbfs)


# --- rooms -----------------------------------------------------------------------------------------------------------


def echoing(x: Floats, *, decay_s: float = 0.4, share: float = 0.35) -> Floats:
    """In a room whose echo falls by 60 dB in `decay_s`; as long as `x`."""
    n = round(decay_s * UPLINK_RATE)
    tail = np.random.default_rng(3).standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    size = 1 << (len(x) + n).bit_length()
    wet = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail / np.sqrt(np.sum(tail * tail)), size), size)[: len(x)]
    return x + share * wet


def placed(length_s: float, *pieces: tuple[float, Floats]) -> Floats:
    """`length_s` of nothing, and in it each piece from its second on; what lies beyond is cut."""
    out = np.zeros(round(length_s * UPLINK_RATE))
    for at_s, piece in pieces:
        begin = round(at_s * UPLINK_RATE)
        fits = piece[: max(0, len(out) - begin)]
        out[begin : begin + len(fits)] += fits
    return out
