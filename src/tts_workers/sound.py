"""PURE: the sound of one chunk on its way from engine to stream: gain, resampling, peak limit, marks.

Nothing crosses chunks but the place in the turn, so nothing of a chunk is kept back when the next is late. Counts are
exact: n samples at the engine's rate become floor(n * out / in + 1/2), and marks move by the same rule.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from base.audio import StreamResampler, from_float, to_float
from base.errors import Internal
from base.loudness import PeakLimiter
from tts_workers.engine import Mark
from tts_workers.values import Word


class ChunkSound:
    """Takes what an engine yields for one chunk of `text_size` code points; its audio starts at `start` in the turn."""

    def __init__(self, rate_in: int, rate_out: int, *, gain: float, start: int, text_size: int) -> None:
        self._rate_in = rate_in
        self._rate_out = rate_out
        self._gain = np.float32(gain)
        self._start = start
        self._text_size = text_size
        self._resampler = StreamResampler(rate_in, rate_out)
        self._limiter = PeakLimiter(rate_out)
        self._taken = 0
        self._marks: deque[Mark] = deque()
        self._words: list[Word] = []
        self._last = start

    def scaled(self, samples: int) -> int:
        """A count of engine samples at the session's rate."""
        return (2 * samples * self._rate_out + self._rate_in) // (2 * self._rate_in)

    def push(self, pcm: bytes) -> bytes:
        """Audio at the engine's rate in, at the session's rate out; some is kept back until later."""
        if len(pcm) % 2:
            raise Internal(f"the engine gave {len(pcm)} bytes of audio; 16 bit samples have an even number")
        self._taken += len(pcm) // 2
        out = self._limiter.process(to_float(self._resampler.process(pcm)) * self._gain)
        self._release()
        return from_float(out)

    def finish(self) -> bytes:
        """The rest of the audio; then `words` has the rest of the marks."""
        rest = self._limiter.process(to_float(self._resampler.flush()) * self._gain)
        out = np.concatenate((rest, self._limiter.flush()))
        self._release(final=True)
        return from_float(out)

    def mark(self, mark: Mark) -> None:
        """Takes a WORD mark; it comes out with the audio that it points into."""
        self._marks.append(mark)
        self._release()

    def words(self) -> tuple[Word, ...]:
        """Marks that are due with the audio returned last; each is returned once."""
        words, self._words = tuple(self._words), []
        return words

    def _release(self, *, final: bool = False) -> None:
        while self._marks and (final or self._marks[0].sample < self._taken):
            mark = self._marks.popleft()
            sample = self._start + self.scaled(min(max(mark.sample, 0), self._taken))
            self._last = max(self._last, sample)
            start = min(max(mark.start, 0), self._text_size)
            end = min(max(mark.end, start), self._text_size)
            self._words.append(Word(start, end, self._last, mark.exact))
