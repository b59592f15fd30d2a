"""WAV files in and out."""

from __future__ import annotations

import contextlib
import io
import wave
from pathlib import Path
from types import TracebackType

import numpy as np
import soxr
from numpy.typing import NDArray

from base.audio import BYTES_PER_SAMPLE, from_float
from base.errors import BadRequest

MAX_S = 3_600


def read_wav(path: Path, rate: int) -> bytes:
    """The file as mono s16le at `rate`, whatever PCM it holds (8, 16, 24 or 32 bit, any channels, any rate).

    Raises BadRequest for what is no such file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, own_rate, frames = file.getparams()[:4]
            if frames > MAX_S * own_rate:
                raise BadRequest(f"{path} is longer than an hour ({frames / own_rate:.0f} s)")
            data = file.readframes(frames)
    except (OSError, wave.Error, EOFError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "it ends too soon"
        raise BadRequest(f"cannot read {path} as a WAV file: {said}") from error
    samples = _to_float(data, width).reshape(-1, channels).mean(axis=1)
    if own_rate != rate and len(samples):
        samples = soxr.resample(samples, own_rate, rate)
    return from_float(samples.astype(np.float32))


def _to_float(data: bytes, width: int) -> NDArray[np.float64]:
    if width == 1:  # the one width that has no sign
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
    if width == 3:
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data[: len(data) // 3 * 3], np.uint8).reshape(-1, 3)
        return padded.view("<i4").ravel().astype(np.float64) / 2**31
    kind, full = {2: ("<i2", 2**15), 4: ("<i4", 2**31)}[width]
    return np.frombuffer(data, kind).astype(np.float64) / full


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
