"""Whether a clip holds anything that is loud enough to be speech. For recognisers of whole clips. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE

FLOOR = 10 ** (-55 / 20)
"""RMS of the loudest 50 ms below which nobody speaks: -55 dBFS."""
_BLOCK = UPLINK_RATE // 20


def is_quiet(samples: NDArray[np.float32]) -> bool:
    """Whether nothing in it is loud enough to be speech. Full scale is 1."""
    if not len(samples):
        return True
    whole = len(samples) // _BLOCK * _BLOCK
    blocks = samples[:whole].reshape(-1, _BLOCK) if whole else samples[None, :]
    return bool(np.sqrt(np.mean(blocks * blocks, axis=1)).max() < FLOOR)
