"""What a model takes in memory."""

from __future__ import annotations

from collections.abc import Sequence

RUNTIME_BYTES = 30_000_000
"""What ONNX Runtime and piper-tts take before the first voice (measured: 23 MB)."""
RUN_BYTES = 110_000_000
"""What one run works in, and the voice keeps for the next (measured: a medium voice, eight seconds of speech)."""


def needed(sizes: Sequence[int], runs: int) -> int:
    """Bytes, for voices whose files have `sizes`, and `runs` at once. Weights take what their file does (measured)."""
    return RUNTIME_BYTES + sum(size + RUN_BYTES for size in sizes) + max(0, runs - 1) * RUN_BYTES
