"""The last queue before the loudspeaker, for a client that says `"hold": true`: pure, and exact to the sample.

Audio comes in as `(turn, sample, pcm)`, whoever owns the loudspeaker takes it out with `read`, and `hold`, `resume` and
`clear` of the server act on what is between. All offsets are samples of a turn at the output rate.

What `played` tells the server, every 100 ms of sound and at the end: samples of the turn that were read, less what is
still under way in the sound card (`latency` samples); on hold and clear all of them, since what the card has taken
will sound. It never goes back within a turn.

Not thread safe: `antiphon.devices` puts a lock around it.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.messages import Played

BYTES = 2

REWIND_S = 2.0
"""How much of what was played is kept, so that a `resume` may name a sample a little back."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """`dry`: samples of silence put out in mid-turn for want of audio. `late`: samples of turns that are over."""

    played: int
    silence: int
    dry: int
    late: int
    gaps: int


class _Turn:
    """One turn's audio from sample `base` on; `at` is the next to be played, never again one before `floor`."""

    __slots__ = ("at", "base", "data", "floor", "turn")

    def __init__(self, turn: int, sample: int) -> None:
        self.turn = turn
        self.base = sample
        self.at = sample
        self.floor = sample
        self.data = bytearray()

    @property
    def end(self) -> int:
        return self.base + len(self.data) // BYTES

    def forget(self, keep: int) -> None:
        surplus = self.at - self.base - keep
        if surplus > keep:
            del self.data[: surplus * BYTES]
            self.base += surplus


class Player:
    """See the module. `rate` is the output rate; `latency` the samples that the sink holds behind `read`."""

    def __init__(self, rate: int, *, latency: int = 0) -> None:
        self.rate = rate
        self.latency = latency
        self._held: int | None = None
        """The turn that is held; a later one's audio ends that."""
        self._away = False
        self._queue: list[_Turn] = []
        self._over = -1
        self._reported: Played | None = None
        self._since_report = 0
        self._since_audio = 0
        self._news: list[Played] = []
        self._played = self._silence = self._dry = self._late = self._gaps = 0

    @property
    def held(self) -> bool:
        return self._away or self._held is not None

    # --- from the server -----------------------------------------------------------------------------------------

    def push(self, turn: int, sample: int, pcm: bytes) -> None:
        """Audio of `turn`, `sample` being the offset of its first sample. What is there already is not doubled."""
        samples = len(pcm) // BYTES
        if turn <= self._over:
            self._late += samples
            return
        if self._held is not None and turn > self._held:
            self.clear(self._held)  # it is over, and its hold with it
        if not self._queue or turn > self._queue[-1].turn:
            self._queue.append(_Turn(turn, sample))
        queue = next((q for q in self._queue if q.turn == turn), None)
        if queue is None:  # an older turn than the newest one waiting, and not there: it is over
            self._late += samples
            return
        if sample > queue.end:  # a hole: time goes on, so silence takes its place
            self._gaps += sample - queue.end
            queue.data += bytes((sample - queue.end) * BYTES)
        queue.data += pcm[(queue.end - sample) * BYTES : samples * BYTES]

    def hold(self, turn: int) -> None:
        """Silence from the next `read` on; the place is kept."""
        if self._concerns(turn) and (not self._queue or turn >= self._queue[-1].turn):
            self._held = turn
            self._report(all_read=True)

    def resume(self, turn: int, sample: int) -> None:
        """Goes on exactly at `sample`, which is where `hold` left off unless the server says otherwise.

        After a lost connection the server may not know how far we came: what was heard is not heard again.
        """
        if not self._concerns(turn):
            return
        self._held = None
        for queue in self._queue:
            if queue.turn == turn:
                queue.at = max(queue.floor, queue.base, min(sample, queue.end))

    def clear(self, turn: int) -> None:
        """Drops what was not played of `turn` and of any before it; reports what was."""
        self._over = max(self._over, turn)
        current = self._queue[0] if self._queue else None
        if current is not None and current.turn <= turn:
            self._report(all_read=True)
        known = self._reported
        if known is None or known.turn < turn:
            self._tell(Played(turn=turn, samples=0))
        elif current is None or current.turn > turn:
            self._news.append(known)
        self._queue = [q for q in self._queue if q.turn > turn]
        if self._held is not None and self._held <= turn:
            self._held = None

    def disconnected(self) -> None:
        """The server holds its own place at what it heard last, and sends again from there: so do we."""
        if self._queue:
            self._report(all_read=True)
            for queue in self._queue:
                queue.floor = queue.at
                del queue.data[max(0, queue.at - queue.base) * BYTES :]
            del self._queue[1:]
        self._held = None
        self._away = True

    def reconnected(self) -> None:
        self._away = False

    # --- from the loudspeaker ------------------------------------------------------------------------------------

    def read(self, samples: int) -> bytes:
        """Exactly `samples` for the loudspeaker; silence where there is nothing to play."""
        out = bytearray()
        while len(out) < samples * BYTES and self._queue and not self.held:
            queue = self._queue[0]
            take = min(samples - len(out) // BYTES, queue.end - queue.at)
            if take == 0:
                if len(self._queue) == 1:
                    break
                self._report(all_read=True)
                self._over = queue.turn
                del self._queue[0]
                continue
            start = (queue.at - queue.base) * BYTES
            out += queue.data[start : start + take * BYTES]
            queue.at += take
            queue.forget(round(REWIND_S * self.rate))
        missing = samples - len(out) // BYTES
        self._played += samples - missing
        self._silence += missing
        self._since_audio = self._since_audio + missing if missing == samples else missing
        if self._queue and not self.held:
            self._dry += missing
            self._since_report += samples
            ended = missing > 0 and self._unreported() > 0 and self._since_audio >= self.latency
            if ended or self._since_report >= self.rate // 10:
                self._report(all_read=False)
        return bytes(out) + bytes(missing * BYTES)

    # --- to the server -------------------------------------------------------------------------------------------

    def take_reports(self) -> list[Played]:
        """What to send, oldest first."""
        news, self._news = self._news, []
        return news

    # --- to whoever watches --------------------------------------------------------------------------------------

    @property
    def position(self) -> tuple[int, int] | None:
        """(turn, sample) that is played next."""
        return (self._queue[0].turn, self._queue[0].at) if self._queue else None

    @property
    def waiting(self) -> int:
        """Samples that could be played at once."""
        return sum(q.end - q.at for q in self._queue)

    def statistics(self) -> Statistics:
        return Statistics(self._played, self._silence, self._dry, self._late, self._gaps)

    def _concerns(self, turn: int) -> bool:
        """News about a turn that is over changes nothing; about one that has not begun, it holds for when it does."""
        return turn > self._over

    def _known(self) -> int:
        known = self._reported
        return known.samples if known is not None and self._queue and known.turn == self._queue[0].turn else 0

    def _unreported(self) -> int:
        return self._queue[0].at - self._known()

    def _report(self, *, all_read: bool) -> None:
        """`all_read`: told even if it is no news."""
        self._since_report = 0
        if not self._queue:
            return
        queue = self._queue[0]
        under_way = 0 if all_read else max(0, self.latency - self._since_audio)
        samples = max(self._known(), queue.at - under_way)
        if all_read or samples > self._known():
            self._tell(Played(turn=queue.turn, samples=samples))

    def _tell(self, played: Played) -> None:
        self._reported = played
        self._news.append(played)
