"""A transport without a network: a listener of its own, whose time passes when it is told to.

For tests, and the reference for what the words of the port mean. `Listener` is what a client does with what it is sent;
the tests of the real transports play their audio into the same one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from base.audio import BYTES_PER_SAMPLE
from orchestrator.messages import (
    Audio,
    AudioInput,
    Clear,
    ClientMessage,
    Hold,
    Played,
    Resume,
    ServerMessage,
    SessionStart,
    decode_base64,
)
from orchestrator.ports import Ahead, ClientSide
from orchestrator.resend import Unplayed

WAITING_S = 0.3


class Listener:
    """A loudspeaker with the queue before it. `report(turn, samples)` is called as docs/protocol.md wants `played`.

    With `holds` it knows hold and resume, else it only knows clear.
    """

    def __init__(self, rate: int, *, holds: bool, report: Callable[[int, int], None]) -> None:
        self.holds = holds
        self._held: int | None = None
        self.heard: dict[int, bytearray] = {}
        """Every turn's PCM as it left the loudspeaker."""
        self.jumps: list[tuple[int, int, int]] = []
        """(turn, from, to) wherever it did not go on at the very next sample."""
        self._report = report
        self._every = rate // 10
        self._queue: deque[Audio] = deque()
        self._turn = 0
        self._position = 0
        self._unreported = 0

    @property
    def position(self) -> tuple[int, int]:
        """The turn last heard and how much of it, in samples."""
        return self._turn, self._position

    @property
    def held(self) -> bool:
        return self._held is not None

    @property
    def queued(self) -> int:
        return sum(len(a.pcm) for a in self._queue) // BYTES_PER_SAMPLE

    def take(self, message: ServerMessage | Audio) -> None:
        match message:
            case Audio():
                if self._held is not None and message.turn > self._held:
                    self._drop(self._held)  # it is over, and its hold with it
                self._queue.append(message)
            case Hold(turn=turn) if self.holds:
                self._held = turn
                self._report(turn, self._of(turn))
            case Resume(turn=turn, sample=sample) if self.holds:
                self._held = None
                self._skip_to(turn, sample)
            case Clear(turn=turn):
                self._drop(turn)
                self._report(turn, self._of(turn))

    def empty(self) -> None:
        """Nothing waits any more, of no turn."""
        self._queue.clear()

    def advance(self, samples: int) -> bytes:
        """Time passes; returns what was heard in it, silence left out."""
        out = bytearray()
        while not self.held and self._queue and len(out) < samples * BYTES_PER_SAMPLE:
            turn, at, pcm = self._queue.popleft()
            self._arrive(turn, at)
            now = pcm[: samples * BYTES_PER_SAMPLE - len(out)]
            if len(now) < len(pcm):
                self._queue.appendleft(Audio(turn, at + len(now) // BYTES_PER_SAMPLE, pcm[len(now) :]))
            self.heard.setdefault(turn, bytearray()).extend(now)
            out += now
            self._position += len(now) // BYTES_PER_SAMPLE
            self._unreported += len(now) // BYTES_PER_SAMPLE
        if self._unreported >= self._every or (self._unreported and not self._queue):
            self._unreported = 0
            self._report(self._turn, self._position)
        return bytes(out)

    def _arrive(self, turn: int, at: int) -> None:
        if turn != self._turn:
            if self._unreported:
                self._report(self._turn, self._position)
            self._turn, self._position, self._unreported = turn, 0, 0
        if at != self._position:
            self.jumps.append((turn, self._position, at))
        self._position = at

    def _drop(self, turn: int) -> None:
        self._held = None
        self._queue = deque(a for a in self._queue if a.turn != turn)

    def _of(self, turn: int) -> int:
        self._unreported = 0
        return self._position if turn == self._turn else 0

    def _skip_to(self, turn: int, sample: int) -> None:
        kept: deque[Audio] = deque()
        for audio in self._queue:
            cut = max(0, sample - audio.sample) if audio.turn == turn else 0
            pcm = audio.pcm[cut * BYTES_PER_SAMPLE :]
            if pcm:
                kept.append(Audio(audio.turn, audio.sample + cut, pcm))
        self._queue = kept


class MemoryTransport:
    """Implements `ports.Transport`. Everything arrives at once, unless it was stalled."""

    def __init__(
        self, *, holds: bool = True, acknowledges: bool = True, output_rate: int = 48_000, lead_s: float = 0.2
    ) -> None:
        self.holds = holds
        self.ahead: Ahead | None = None
        self.acknowledges = acknowledges
        self.lead_s = lead_s
        self.output_rate = output_rate
        self.listener = Listener(output_rate, holds=holds, report=self._played)
        self.messages: list[ServerMessage] = []
        self.closed: tuple[int, str] | None = None
        self._side: ClientSide | None = None
        self._reports = acknowledges
        self._unplayed = None if holds else Unplayed(output_rate)
        self._held: int | None = None
        self._stalled = False
        self._control: deque[ServerMessage] = deque()
        self._audio: deque[Audio] = deque()

    # --- what a client does -----------------------------------------------------------------------------------------

    def attach(self, side: ClientSide) -> None:
        self._side = side

    def advance(self, samples: int) -> bytes:
        """The listener's time passes; see `Listener.advance`."""
        return self.listener.advance(samples)

    def stall(self, stalled: bool) -> None:
        """The network takes nothing more, or takes everything again: control first."""
        self._stalled = stalled
        while not stalled and (self._control or self._audio):
            if self._control:
                self._deliver(self._control.popleft())
            else:
                self.listener.take(self._audio.popleft())

    def say(self, message: ClientMessage) -> None:
        """A message from the client; audio at 16 kHz, in whole frames."""
        side = self._side
        if side is None or isinstance(message, SessionStart):
            return
        if isinstance(message, Played):
            self._played(message.turn, message.samples)
        elif isinstance(message, AudioInput):
            at = side.next_input_sample if message.sample is None else message.sample
            side.audio_nowait(at, decode_base64(message.data), 0.0)
        else:
            side.message_nowait(message)

    def leave(self) -> None:
        """The client is gone."""
        side, self._side = self._side, None
        if side is not None:
            side.lost_nowait(self)

    # --- the port ---------------------------------------------------------------------------------------------------

    def send_nowait(self, message: ServerMessage) -> None:
        if self.closed is None:
            self._control.append(message)
            self.stall(self._stalled)

    def room(self) -> int:
        if self._held is not None:
            return 0
        waiting = sum(len(a.pcm) for a in self._audio) // BYTES_PER_SAMPLE
        return max(0, round(WAITING_S * self.output_rate) - waiting)

    def play_nowait(self, turn: int, sample: int, pcm: bytes) -> None:
        if self._unplayed is not None:
            self._unplayed.add(turn, sample, pcm)
        if self._held is not None and turn > self._held:
            self._held = None
        if turn != self._held:
            self._push(Audio(turn, sample, pcm))

    def hold_nowait(self, turn: int) -> None:
        if self.holds:
            self.send_nowait(Hold(turn=turn))
            return
        self._held = turn
        self._drop(turn)

    def resume_nowait(self, turn: int, sample: int) -> None:
        if self._unplayed is None:
            self.send_nowait(Resume(turn=turn, sample=sample))
            return
        if self._held == turn:
            self._held = None
        for at, pcm in self._unplayed.rest(turn, sample):
            self._push(Audio(turn, at, pcm))

    def clear_nowait(self, turn: int) -> None:
        if self._held == turn:
            self._held = None
        if self._unplayed is not None:
            self._unplayed.drop(turn)
        self._drop(turn)

    def close_nowait(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = (code, reason)
            self.leave()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _push(self, audio: Audio) -> None:
        if self.closed is None:
            self._audio.append(audio)
            self.stall(self._stalled)

    def _drop(self, turn: int) -> None:
        self._audio = deque(a for a in self._audio if a.turn != turn)
        self.send_nowait(Clear(turn=turn))

    def _deliver(self, message: ServerMessage) -> None:
        self.messages.append(message)
        self.listener.take(message)

    def _played(self, turn: int, samples: int) -> None:
        if self._unplayed is not None:
            self._unplayed.played(turn, samples)
        if self._side is not None and self._reports:
            self._side.played_nowait(turn, samples)
