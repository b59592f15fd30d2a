"""What a decode costs, found by decoding something for nobody. For recognisers of whole clips."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE


def decode_seconds(decode: Callable[[NDArray[np.float32]], object]) -> float:
    """Of a second of noise (16 kHz), the second time: the first allocates."""
    noise = np.random.default_rng(1).normal(0.0, 0.05, UPLINK_RATE).astype(np.float32)
    took_s = 0.0
    for _ in range(2):
        began = time.perf_counter()
        decode(noise)
        took_s = time.perf_counter() - began
    return took_s
