"""The loudspeaker of a client that cannot hold: it plays what it is sent and drops what is left on `clear`. Pure."""

from __future__ import annotations

from collections import deque

from antiphon.player import BYTES
from orchestrator.messages import Played


class Follower:
    """As `antiphon.player.Player`, for a client without `hold`: after a `clear` the same turn may be sent again."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.held = False
        """Between a `clear` and the next audio: what is missing then is not missed."""
        self._queue: deque[tuple[int, int, bytes]] = deque()
        self._place: tuple[int, int] | None = None
        self._reported = 0
        self._news: list[Played] = []

    def push(self, turn: int, sample: int, pcm: bytes) -> None:
        self._queue.append((turn, sample, pcm))
        self.held = False

    def hold(self, turn: int) -> None:
        raise AssertionError(f"turn {turn}: a client that cannot hold was told to")

    def resume(self, turn: int, sample: int) -> None:
        raise AssertionError(f"turn {turn}: a client that cannot hold was told to resume at {sample}")

    def clear(self, turn: int) -> None:
        self._queue = deque(piece for piece in self._queue if piece[0] > turn)
        self.held = True
        place = self._place
        samples = place[1] if place is not None and place[0] == turn else 0
        self._news.append(Played(turn=turn, samples=samples))

    def read(self, samples: int) -> bytes:
        out = bytearray()
        while self._queue and len(out) < samples * BYTES:
            turn, sample, pcm = self._queue.popleft()
            if self._place is None or turn > self._place[0]:
                if out:  # a block of one turn only: its place says which
                    self._queue.appendleft((turn, sample, pcm))
                    break
                self._report()
                self._place, self._reported = (turn, sample), 0
            take = min(len(pcm), samples * BYTES - len(out))
            out += pcm[:take]
            self._place = (turn, sample + take // BYTES)
            if take < len(pcm):
                self._queue.appendleft((turn, sample + take // BYTES, pcm[take:]))
        missing = samples - len(out) // BYTES
        if self._place is not None and (
            self._place[1] - self._reported >= self.rate // 10 or (missing and self._place[1] > self._reported)
        ):
            self._report()
        return bytes(out) + bytes(missing * BYTES)

    def take_reports(self) -> list[Played]:
        news, self._news = self._news, []
        return news

    @property
    def position(self) -> tuple[int, int] | None:
        return self._place

    @property
    def waiting(self) -> int:
        return sum(len(pcm) for _, _, pcm in self._queue) // BYTES

    def _report(self) -> None:
        if self._place is not None and self._place[1] > self._reported:
            self._reported = self._place[1]
            self._news.append(Played(turn=self._place[0], samples=self._place[1]))
