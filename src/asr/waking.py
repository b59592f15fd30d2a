"""A judge of speech that is only asked while something sounds. Pure.

A network costs several times what the quick rules do, and most of the time a microphone hears nobody. So where nothing
sounds the judge sleeps; woken, it first hears what led to the sound: the last three windows, which end with the present
frame. It is then about as quick and as sure as one that never slept. While it is known that somebody speaks, two
windows are heard at a time, which costs little more than one.
"""

from __future__ import annotations

from typing import Protocol

_WAKE = 3
_SLEEP = 25
"""Frames without a sound."""


class Judge(Protocol):
    """A detector (vad.py) with a memory. It takes several windows in a row as well, and says the highest."""

    frame_samples: int

    def probability(self, pcm: bytes) -> float: ...

    def reset(self) -> None:
        """What comes next has nothing to do with what came before."""
        ...


class WakingJudge:
    """One stream's."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._size = 2 * judge.frame_samples
        self._kept = bytes(_WAKE * self._size)
        self._probability = 0.0
        self._idle = _SLEEP

    def push(self, pcm: bytes, *, sounding: bool, steady: bool = False) -> float:
        """The latest probability, after a frame in which something sounded, or not. `steady`: nobody waits for it."""
        asleep = self._idle >= _SLEEP
        self._idle = 0 if sounding else self._idle + 1
        self._kept += pcm
        if asleep:
            self._kept = self._kept[-_WAKE * self._size :]
            if not sounding:
                return 0.0
            if len(self._kept) == _WAKE * self._size:  # else it has only just fallen asleep, and has missed nothing
                self._judge.reset()
        if len(self._kept) >= self._size * (1 + steady):
            whole = len(self._kept) // self._size * self._size
            windows, self._kept = self._kept[:whole], self._kept[whole:]
            self._probability = self._judge.probability(windows)
        return self._probability
