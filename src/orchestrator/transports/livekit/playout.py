"""What the agent's track was given, where its listener is, and what to give it next. Pure.

The sink (an AudioSource, see sink.py) has one queue and tells how much waits in it; it can be emptied, not edited. So
everything is reckoned from samples given less samples `queued`. A copy of what was not yet played is kept: after a hold
or a clear, what the sink had of other turns is given again, and on resume the held turn from the sample named.

The first sound goes out at once; beyond `LOW_S` in the sink, audio is gathered into pieces of `PIECE_S`, since every
piece costs a trip through the library and back.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from base.audio import BYTES_PER_SAMPLE
from orchestrator.resend import Unplayed

PIECE_S = 0.1
LOW_S = 0.06
"""With less than this in the sink, what is there goes out: how late we may be without a gap."""
QUEUE_S = 0.2
"""The sink is given no more than this: beyond it, it would make us wait."""
WAITING_S = 0.3
REPORT_S = 0.1


class Piece(NamedTuple):
    """Audio of one turn; `sample` is the offset of its first sample in the turn."""

    turn: int
    sample: int
    pcm: bytes

    @property
    def samples(self) -> int:
        return len(self.pcm) // BYTES_PER_SAMPLE

    @property
    def end(self) -> int:
        return self.sample + self.samples

    def cut(self, samples: int) -> tuple[Piece, Piece]:
        at = samples * BYTES_PER_SAMPLE
        return Piece(self.turn, self.sample, self.pcm[:at]), Piece(self.turn, self.sample + samples, self.pcm[at:])


class Playout:
    """`queued`, wherever it is asked for, is what the sink says it has not played yet, in samples."""

    def __init__(self, rate: int, *, low_s: float = LOW_S, piece_s: float = PIECE_S, queue_s: float = QUEUE_S) -> None:
        self._rate = rate
        self._piece = round(piece_s * rate)
        self._low = round(low_s * rate)
        self._queue = round(queue_s * rate)
        self._every = round(REPORT_S * rate)
        self._unplayed = Unplayed(rate)
        self._waiting: deque[Piece] = deque()
        self._given: deque[Piece] = deque()
        self._turn = -1
        self._position = 0
        """The turn heard last, and how much of it."""
        self._told = (-1, 0)
        self._held: int | None = None

    # --- from the session -------------------------------------------------------------------------------------------

    @property
    def held(self) -> int | None:
        return self._held

    def waiting(self) -> int:
        """Samples that the sink was not given yet."""
        return sum(piece.samples for piece in self._waiting)

    def room(self, queued: int) -> int:
        """Samples that can be taken now."""
        if self._held is not None:
            return 0
        return max(0, round(WAITING_S * self._rate) - self.waiting() - queued)

    def play(self, turn: int, sample: int, pcm: bytes) -> None:
        self._unplayed.add(turn, sample, pcm)
        if self._held is not None and turn > self._held:
            self._held = None
        if turn != self._held:
            self._waiting.append(Piece(turn, sample, pcm))

    def hold(self, turn: int, queued: int) -> int:
        """The turn is silent once the caller has emptied the sink. Returns how much of it was heard."""
        heard = self._stop(turn, queued)
        self._held = turn
        return heard

    def resume(self, turn: int, sample: int) -> None:
        if self._held == turn:
            self._held = None
        for at, pcm in self._unplayed.rest(turn, sample):
            self._waiting.append(Piece(turn, at, pcm))

    def clear(self, turn: int, queued: int) -> int:
        """As `hold`, but what was not heard is given up."""
        heard = self._stop(turn, queued)
        if self._held == turn:
            self._held = None
        self._unplayed.drop(turn)
        return heard

    # --- to the sink ------------------------------------------------------------------------------------------------

    def take(self, queued: int) -> Piece | None:
        """What the sink is to be given now; it counts as given."""
        self._advance(queued)
        if not self._waiting:
            return None
        ready = self._ready()
        size = min(ready, self._piece)
        alone = ready == self.waiting()
        if (queued > self._low and size < self._piece and alone) or (queued and queued + size > self._queue):
            return None
        piece = self._gather(size)
        self._given.append(piece)
        return piece

    def reports(self, queued: int) -> list[tuple[int, int]]:
        """(turn, samples heard) as are due: every `REPORT_S`, and at a turn's end."""
        ends = self._advance(queued)
        out = [end for end in ends if end[0] != self._turn and end != self._told]
        now = (self._turn, self._position)
        told = self._told[1] if self._told[0] == now[0] else 0
        dry = not queued and not self._waiting
        if now[1] - told >= self._every or (dry and now != self._told and now != (-1, 0)):
            out.append(now)
        if out:
            self._told = out[-1]
        return out

    def next_s(self, queued: int) -> float | None:
        """In how many seconds to come again, if nothing else happens; None: then there is nothing to do."""
        waits = []
        if self._waiting:
            size = min(self.waiting(), self._piece)
            waits.append(queued - self._low if size < self._piece else queued + size - self._queue)
        if queued:
            told = self._told[1] if self._told[0] == self._turn else 0
            waits += [queued, self._every - (self._position - told)]
        return max(0.0, min(waits) / self._rate) if waits else None

    # --- inside -----------------------------------------------------------------------------------------------------

    def _ready(self) -> int:
        """Samples at the front that go on from each other, as far as anybody wants to know."""
        first = self._waiting[0]
        ready = 0
        for piece in self._waiting:
            if piece.turn != first.turn or piece.sample != first.sample + ready or ready >= self._piece:
                break
            ready += piece.samples
        return ready

    def _gather(self, size: int) -> Piece:
        first = self._waiting.popleft()
        pcm = bytearray(first.pcm)
        wanted = size * BYTES_PER_SAMPLE
        while len(pcm) < wanted:
            pcm += self._waiting.popleft().pcm
        whole = Piece(first.turn, first.sample, bytes(pcm))
        if len(pcm) == wanted:
            return whole
        piece, rest = whole.cut(size)
        self._waiting.appendleft(rest)
        return piece

    def _advance(self, queued: int) -> list[tuple[int, int]]:
        """Takes note of what the sink has played. Returns where each turn ended that was played to the end of it."""
        ends = []
        played = sum(piece.samples for piece in self._given) - queued
        while self._given and played > 0:
            piece = self._given.popleft()
            if piece.samples > played:
                heard, rest = piece.cut(played)
                self._given.appendleft(rest)
                piece = heard
            played -= piece.samples
            if piece.turn != self._turn and self._turn >= 0:
                ends.append((self._turn, self._position))
            self._turn, self._position = piece.turn, piece.end
            self._unplayed.played(piece.turn, piece.end)
        return ends

    def _stop(self, turn: int, queued: int) -> int:
        """Nothing of the turn is in the sink or waits for it any more; what is there of others waits again."""
        self._advance(queued)
        back = [piece for piece in (*self._given, *self._waiting) if piece.turn != turn]
        self._given.clear()
        self._waiting = deque(back)
        if self._turn != turn:
            return 0
        self._told = (turn, self._position)
        return self._position
