"""How loud a frame is, in four blocks of 5 ms. Pure.

From each block the parabola that fits it best is taken away first: what swings slower than about 150 Hz (mains hum, a
DC offset, thumps through the table, wind) hardly counts, and speech, whose energy lies above, nearly all. It costs one
small matrix product, has no state and no delay. 5 ms is less than a glottal period of a low voice and more than half a
key click.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE

FRAME_SAMPLES = UPLINK_RATE // 50
BLOCK_SAMPLES = UPLINK_RATE // 200
BLOCKS = FRAME_SAMPLES // BLOCK_SAMPLES
SILENT_DBFS = -120.0


def _without_slow() -> NDArray[np.float32]:
    """Takes the parabola that fits best away from a block; shape (BLOCK_SAMPLES, BLOCK_SAMPLES)."""
    t = np.linspace(-1.0, 1.0, BLOCK_SAMPLES)
    slow = np.linalg.qr(np.stack([t**0, t, t * t], axis=1))[0]
    rest: NDArray[np.float32] = (np.eye(BLOCK_SAMPLES) - slow @ slow.T).astype(np.float32)
    return rest


_WITHOUT_SLOW = _without_slow()
_PCM, _FLOAT = np.dtype("<i2"), np.dtype(np.float32)
_SHAPE = (BLOCKS, BLOCK_SAMPLES)
_FULL_SCALE = BLOCK_SAMPLES * 32768.0**2
_LEAST = _FULL_SCALE * 10 ** (SILENT_DBFS / 10)


def block_levels(pcm: bytes) -> list[float]:
    """dB below a full-scale square wave, a block; at least SILENT_DBFS. `pcm` is one frame of s16le.

    Raises ValueError for anything but FRAME_SAMPLES samples.
    """
    if len(pcm) != FRAME_SAMPLES * 2:
        raise ValueError(f"a frame of {len(pcm)} bytes; it must have {FRAME_SAMPLES * 2} (20 ms of s16le at 16 kHz)")
    # Every frame of every session comes here: as few calls of numpy as can be.
    swift = np.frombuffer(pcm, _PCM).astype(_FLOAT).reshape(_SHAPE).dot(_WITHOUT_SLOW)
    energy: list[float] = np.vecdot(swift, swift).tolist()
    return [10.0 * math.log10(e / _FULL_SCALE) if e > _LEAST else SILENT_DBFS for e in energy]
