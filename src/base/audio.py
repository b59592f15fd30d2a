"""Audio values and the pure transformations on them: format, framing, streaming resampling.

Everything here is mono signed 16-bit little-endian PCM in `bytes`. A frame is 20 ms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from base.errors import BadRequest

FRAMES_PER_SECOND = 50
BYTES_PER_SAMPLE = 2
UPLINK_RATE = 16_000
"""Hz. What the VAD and every recogniser hear."""

SAMPLE_RATES = (8_000, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Hz. Rates at which 20 ms is a whole number of samples, the ones a client may ask for."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Mono PCM at `sample_rate` Hz."""

    sample_rate: int = 48_000
    encoding: str = "pcm_s16le"

    def __post_init__(self) -> None:
        if self.encoding != "pcm_s16le":
            raise BadRequest(f"encoding {self.encoding!r} is not supported; use 'pcm_s16le'", reason="BAD_ENCODING")
        if self.sample_rate not in SAMPLE_RATES:
            raise BadRequest(
                f"sample rate {self.sample_rate} is not supported; use one of {', '.join(map(str, SAMPLE_RATES))}",
                reason="BAD_SAMPLE_RATE",
            )

    @property
    def frame_samples(self) -> int:
        return self.sample_rate // FRAMES_PER_SECOND

    @property
    def frame_bytes(self) -> int:
        return self.frame_samples * BYTES_PER_SAMPLE

    def seconds(self, samples: int) -> float:
        return samples / self.sample_rate

    def samples(self, seconds: float) -> int:
        return round(seconds * self.sample_rate)


def to_float(pcm: bytes) -> NDArray[np.float32]:
    """s16le bytes to float32 in [-1, 1); shape (samples,)."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768.0


def from_float(samples: NDArray[np.float32]) -> bytes:
    """float32 in [-1, 1] to s16le bytes; what lies outside is clipped, NaN becomes silence."""
    scaled: NDArray[np.float32] = samples * np.float32(32768.0)
    np.rint(scaled, out=scaled)
    if (none := np.isnan(scaled)).any():
        scaled[none] = 0.0
    np.minimum(scaled, 32767, out=scaled)
    np.maximum(scaled, -32768, out=scaled)
    return bytes(scaled.astype("<i2").tobytes())


class StreamResampler:
    """Resamples one stream of s16le PCM piece by piece, without seams (libsoxr).

    `process` may return fewer or more samples than its share, as the filter fills; `flush` returns the rest. After
    `flush` the object is new again. With equal rates it hands bytes through untouched.
    """

    def __init__(self, rate_in: int, rate_out: int, *, quality: str = "MQ") -> None:
        self._rate_in = rate_in
        self._rate_out = rate_out
        self._quality = quality
        self._stream = self._new()

    def _new(self) -> soxr.ResampleStream | None:
        if self._rate_in == self._rate_out:
            return None
        return soxr.ResampleStream(self._rate_in, self._rate_out, 1, dtype="int16", quality=self._quality)

    def process(self, pcm: bytes) -> bytes:
        if self._stream is None:
            return pcm
        out = self._stream.resample_chunk(np.frombuffer(pcm, dtype="<i2"))
        return bytes(out.astype("<i2", copy=False).tobytes())

    def flush(self) -> bytes:
        if self._stream is None:
            return b""
        out = self._stream.resample_chunk(np.zeros(0, dtype="<i2"), last=True)
        self._stream = self._new()
        return bytes(out.astype("<i2", copy=False).tobytes())


class Framer:
    """Cuts a stream of PCM into pieces of exactly `frame_bytes`; `flush` pads the last with silence."""

    def __init__(self, frame_bytes: int) -> None:
        self._size = frame_bytes
        self._rest = bytearray()

    def push(self, pcm: bytes) -> list[bytes]:
        self._rest += pcm
        whole = len(self._rest) // self._size * self._size
        out = [bytes(self._rest[i : i + self._size]) for i in range(0, whole, self._size)]
        del self._rest[:whole]
        return out

    def flush(self) -> bytes | None:
        if not self._rest:
            return None
        frame = bytes(self._rest) + bytes(self._size - len(self._rest))
        self._rest.clear()
        return frame


def rms_dbfs(pcm: bytes) -> float:
    """Level in dB below a full-scale square wave; -120 for digital silence."""
    if not pcm:
        return -120.0
    x = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    power = float(x.dot(x)) / (len(x) * 32768.0**2)
    return max(-120.0, 10.0 * math.log10(power)) if power > 0 else -120.0
