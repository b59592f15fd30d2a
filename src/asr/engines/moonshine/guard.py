"""What Moonshine says and nobody said. Pure.

It has no probability of no speech, as Whisper does; what is left is what the words themselves show: the mean
log-probability of their tokens, how well the text compresses (one word over and over), and the sound, which is not
speech-like (`asr.speechlike`) or is too quiet (`asr.quiet`).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

LEAST = -1.0
"""Mean log-probability of a text that counts."""
LEAST_NOT_SPEECHLIKE = -0.25
"""For sounds that speech does not make: somebody may whisper, but then the model is to be sure of it."""
OF_NOTHING = "you"
"""What it says, and is often sure of, where there is a click, a knock or a moment of noise and nothing else."""
MOST_COMPRESSION = 2.4
"""As for Whisper (Radford et al. 2022, section 4.5)."""
LOOP = 8


def is_said(text: str, log_probability: float, *, speechlike: bool) -> bool:
    """Whether a decode's text counts; `log_probability` is its tokens' mean."""
    if not any(c.isalnum() and c.isascii() for c in text):
        return False  # Chinese, or notes: of somebody who plays or hums
    least = LEAST if speechlike else LEAST_NOT_SPEECHLIKE
    if not speechlike and "".join(filter(str.isalnum, text.casefold())) == OF_NOTHING:
        return False
    return log_probability >= least and compression(text) <= MOST_COMPRESSION


def before_a_loop(words: Sequence[str]) -> int:
    """How many words there are until one to `LOOP` words are said for the second time of three or more, at the end: a
    decode that found no end went round in circles. All of them where it did not.
    """
    for size in range(1, LOOP + 1):
        again = 0
        while again + size < len(words) and words[-1 - again] == words[-1 - again - size]:
            again += 1
        if again >= 2 * size:
            return len(words) - again
    return len(words)


def compression(text: str) -> float:
    """How many times smaller zlib makes it."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))
