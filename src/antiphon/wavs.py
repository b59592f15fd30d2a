"""WAV files in and out."""

from __future__ import annotations

import contextlib
import io
import struct
import wave
from pathlib import Path
from types import TracebackType

import numpy as np
import soxr
from numpy.typing import NDArray

from base.audio import BYTES_PER_SAMPLE, from_float
from base.errors import BadRequest

MAX_S = 3_600
MAX_RATE = 768_000
MAX_BYTES = 2**31
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_KNOWN = {
    (_PCM, 1): "u1",
    (_PCM, 2): "<i2",
    (_PCM, 3): "<i4",
    (_PCM, 4): "<i4",
    (_FLOAT, 4): "<f4",
    (_FLOAT, 8): "<f8",
}
"""What NumPy calls a sample of so many bytes; of three, once there is a fourth."""


def read_wav(path: Path, rate: int) -> bytes:
    """The file as mono s16le at `rate`, whatever it holds: integers of 8 to 32 bit or floats, any channels, any rate.

    Raises BadRequest for what is no such file.
    """
    try:
        format, data = _chunks(path)
    except OSError as error:
        raise BadRequest(f"cannot read {path} as a WAV file: {error.strerror or error}") from error
    if not format or data is None:
        raise BadRequest(f"cannot read {path} as a WAV file: it has no sound, or is none")
    kind, channels, own_rate, _, block, bits = struct.unpack_from("<HHIIHH", format)
    if kind == _EXTENSIBLE and len(format) >= 26:
        (kind,) = struct.unpack_from("<H", format, 24)
    width = (bits + 7) // 8
    if (kind, width) not in _KNOWN:
        raise BadRequest(
            f"cannot read {path} as a WAV file: its format {kind} with {bits} bit is none of those known; "
            "as 16-bit PCM it can be read (sox, ffmpeg or Audacity write that)"
        )
    if not 1 <= own_rate <= MAX_RATE or not channels or block != channels * width:
        raise BadRequest(f"cannot read {path} as a WAV file: it contradicts itself")
    if len(data) > MAX_S * own_rate * block:
        raise BadRequest(f"{path} is longer than an hour ({len(data) / own_rate / block:.0f} s)")
    samples = _to_float(kind, width, data[: len(data) // block * block])
    mono = np.nan_to_num(samples).reshape(-1, channels).mean(axis=1)
    if own_rate != rate and len(mono):
        mono = soxr.resample(mono, own_rate, rate)
    return from_float(mono.astype(np.float32))


def _chunks(path: Path) -> tuple[bytes, bytes | None]:
    """The chunks "fmt " and "data", as far as they are there. What was written as a stream tells no true sizes."""
    format, data = b"", None
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return b"", None
        while data is None and len(chunk := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", chunk)
            if name == b"data":
                data = file.read(min(size, MAX_BYTES))
            elif name == b"fmt " and 16 <= size <= 64:
                format = file.read(size + size % 2)
            else:
                file.seek(size + size % 2, 1)
    return (format if len(format) >= 16 else b""), data


def _to_float(kind: int, width: int, data: bytes) -> NDArray[np.float64]:
    """In [-1, 1]."""
    if width == 3:
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        data, width = padded.tobytes(), 4
    found: NDArray[np.float64] = np.frombuffer(data, _KNOWN[kind, width]).astype(np.float64)
    if kind == _FLOAT:
        return found
    if width == 1:  # the one width that has no sign
        return (found - 128) / 128
    return found / (1 << (8 * width - 1))


class WavWriter:
    """A mono s16le file that grows; complete after every `close`, and nearly so if the process is killed."""

    def __init__(self, path: Path, rate: int) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._raw = path.open("wb")
        except OSError as error:
            raise BadRequest(f"cannot write {path}: {error.strerror}") from error
        self._file = wave.Wave_write(self._raw)
        self._file.setnchannels(1)
        self._file.setsampwidth(BYTES_PER_SAMPLE)
        self._file.setframerate(rate)
        self._samples = 0

    @property
    def samples(self) -> int:
        """Written so far."""
        return self._samples

    def write(self, pcm: bytes) -> None:
        self._file.writeframesraw(pcm)
        self._samples += len(pcm) // BYTES_PER_SAMPLE

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
            self._raw.close()

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_wav(path: Path, pcm: bytes, rate: int) -> None:
    with WavWriter(path, rate) as file:
        file.write(pcm)


def wav_bytes(pcm: bytes, rate: int) -> bytes:
    """The file in memory."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, BYTES_PER_SAMPLE, rate, 0, "NONE", ""))
        file.writeframes(pcm)
    return made.getvalue()
