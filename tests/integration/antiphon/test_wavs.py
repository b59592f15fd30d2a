"""WAV files of every kind that people have."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.wavs import WavWriter, read_wav, write_wav
from base.errors import BadRequest

pytestmark = pytest.mark.integration


def write(path: Path, samples: NDArray[np.float64], *, width: int, channels: int, rate: int) -> None:
    if width == 1:
        data = np.rint(samples * 127 + 128).astype(np.uint8).tobytes()
    elif width == 3:
        data = b"".join(struct.pack("<i", int(x * (2**31 - 1)))[1:] for x in samples)
    else:
        data = np.rint(samples * (2 ** (8 * width - 1) - 1)).astype({2: "<i2", 4: "<i4"}[width]).tobytes()
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(data)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_any_kind_comes_out_as_mono_at_the_rate(tmp_path: Path, width: int, channels: int, rate: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    write(tmp_path / "x.wav", np.repeat(tone, channels), width=width, channels=channels, rate=rate)
    pcm = np.frombuffer(read_wav(tmp_path / "x.wav", 16_000), "<i2").astype(float) / 32768
    assert len(pcm) == 16_000
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert np.abs(pcm[800:-800] - expected[800:-800]).max() < 0.02


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no wave at all, only text" * 10])
def test_what_is_no_wav_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(BadRequest, match=r"x\.wav as a WAV file"):
        read_wav(tmp_path / "x.wav", 16_000)
    with pytest.raises(BadRequest, match="No such file"):
        read_wav(tmp_path / "gone.wav", 16_000)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    pcm = np.arange(-500, 500, dtype="<i2").tobytes()
    write_wav(tmp_path / "new folder" / "x.wav", pcm, 24_000)
    assert read_wav(tmp_path / "new folder" / "x.wav", 24_000) == pcm
    with pytest.raises(BadRequest, match="cannot write"):
        WavWriter(tmp_path, 24_000)
