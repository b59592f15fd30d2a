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


def wav(kind: int, bits: int, data: bytes, *, subtype: int | None = None, channels: int = 1, told: int = -1) -> bytes:
    """As sox, ffmpeg and Audacity write those that Python's module does not know."""
    block = channels * bits // 8
    format = struct.pack("<HHIIHH", kind, channels, 16_000, 16_000 * block, block, bits)
    if subtype is not None:
        format += struct.pack("<HHIH14s", 22, bits, 0, subtype, b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71")
    size = len(data) if told < 0 else told
    chunks = struct.pack("<4sI", b"fmt ", len(format)) + format + b"LIST\x03\0\0\0abc\0"
    return b"RIFF\xff\xff\xff\xffWAVE" + chunks + struct.pack("<4sI", b"data", size) + data


TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)


@pytest.mark.parametrize(
    "content",
    [
        wav(0xFFFE, 24, b"".join(struct.pack("<i", int(x * (2**31 - 1)))[1:] for x in TONE), subtype=1),
        wav(0xFFFE, 32, (TONE * (2**31 - 1)).astype("<i4").tobytes(), subtype=1),
        wav(0xFFFE, 32, TONE.astype("<f4").tobytes(), subtype=3),
        wav(3, 32, TONE.astype("<f4").tobytes()),
        wav(3, 64, TONE.astype("<f8").tobytes()),
        wav(1, 16, (TONE * 32767).astype("<i2").tobytes(), told=2**32 - 1),
    ],
    ids=["24 bit", "32 bit", "float, extensible", "float", "double", "a stream"],
)
def test_what_sound_programs_write_is_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    pcm = np.frombuffer(read_wav(tmp_path / "x.wav", 16_000), "<i2").astype(float) / 32768
    assert len(pcm) == 16_000
    assert np.abs(pcm - TONE).max() < 0.001


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (wav(2, 4, bytes(100)), "as 16-bit PCM it can be read"),
        (wav(1, 16, bytes(100))[:30], "no sound"),
        (wav(1, 16, bytes(100), channels=0), "contradicts itself"),
    ],
    ids=["compressed", "cut short", "no channel"],
)
def test_what_cannot_be_read_says_what_can(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(BadRequest, match=says):
        read_wav(tmp_path / "x.wav", 16_000)


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
