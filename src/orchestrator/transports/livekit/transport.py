"""`ports.Transport` over a LiveKit room: messages by the line, audio by the sink.

The sink holds nothing: the copy is here, in the playout. A hold reads the sink's position, empties it and says how much
was heard, all at once; a resume gives it the rest again.

What has left the sink is on its way for some 50 ms more: packets, and the listener's jitter buffer. A client that holds
is told as well, by the message that overtakes them: it falls silent, keeps what still comes, and begins with that when
it is to go on (docs/decisions/0015-hold-on-the-way.md). So the sound of a reply can set out before it is wanted
(docs/decisions/0017-head-start.md).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from orchestrator.messages import Clear, Hold, Resume, ServerMessage
from orchestrator.ports import Ahead, ClientSide
from orchestrator.transports.livekit.line import Line
from orchestrator.transports.livekit.playout import Playout
from orchestrator.transports.livekit.sink import Sink

SOON_S = 0.001
WAY_S = 0.05
"""From the sink to the listener's ear, of an even stream: the encoder's frame, and the jitter buffer."""


class LiveKitTransport:
    """One session's, for one visit. `speak` is its only task; `said` sees every message, `heard` what was heard.

    `obeyed`: the client holds what is on its way to it.
    """

    holds = False
    acknowledges = True
    way_s = WAY_S

    def __init__(
        self,
        line: Line,
        sink: Sink,
        *,
        lead_s: float = 0.2,
        obeyed: bool = False,
        playout: Playout | None = None,
        said: Callable[[ServerMessage], None] = lambda _: None,
        heard: Callable[[int, int], None] = lambda _turn, _samples: None,
    ) -> None:
        self.lead_s = lead_s
        self.output_rate = sink.rate
        self._line = line
        self._sink = sink
        self._playout = playout or Playout(sink.rate)
        self._said = said
        self._heard = heard
        self._obeyed = obeyed
        self._silenced: int | None = None
        """The turn that the client holds."""
        self._side: ClientSide | None = None
        self._news = asyncio.Event()
        self._over = False

    def attach(self, side: ClientSide) -> None:
        """The session, which hears from now on what is played."""
        self._side = side

    # --- the port ---------------------------------------------------------------------------------------------------

    @property
    def ahead(self) -> Ahead | None:
        return self if self._obeyed else None

    def silent_nowait(self, turn: int) -> None:
        if not self._over:
            self._free(turn)
            self._order(Hold(turn=turn))

    def aloud_nowait(self, turn: int) -> None:
        if not self._over:
            self._order(Resume(turn=turn, sample=0))

    def send_nowait(self, message: ServerMessage) -> None:
        if not self._over:
            self._said(message)
            self._line.send_nowait(message)

    def room(self) -> int:
        return 0 if self._over else self._playout.room(self._sink.queued())

    def play_nowait(self, turn: int, sample: int, pcm: bytes) -> None:
        if not self._over:
            self._free(turn)
            self._playout.play(turn, sample, pcm)
            self._news.set()

    def hold_nowait(self, turn: int) -> None:
        if not self._over:
            self._order(Hold(turn=turn))
            self._stopped(turn, self._playout.hold(turn, self._sink.queued()))

    def resume_nowait(self, turn: int, sample: int) -> None:
        if not self._over:
            self._order(Resume(turn=turn, sample=sample))
            self._playout.resume(turn, sample)
            self._news.set()

    def clear_nowait(self, turn: int) -> None:
        if not self._over:
            self._order(Clear(turn=turn))
            self._stopped(turn, self._playout.clear(turn, self._sink.queued()))

    def close_nowait(self, code: int, reason: str) -> None:
        self._silence()
        self._line.close_nowait(code, reason)

    # --- the driver -------------------------------------------------------------------------------------------------

    def lost_nowait(self) -> None:
        """The user is gone. The last word of what they heard comes before the session learns that."""
        if not self._over:
            self._report()
            self._silence()

    async def speak(self) -> None:
        """Feeds the sink and reports, until the transport is over. Returns sooner when the sink is gone."""
        while not self._over:
            self._report()
            piece = self._playout.take(self._sink.queued())
            if piece is None:
                await self._wait()
                continue
            try:
                await self._sink.put(piece)
            except ConnectionError:
                return

    def changed_nowait(self) -> None:
        """The sink played something other than by the clock."""
        self._news.set()

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        self._news.clear()
        wait_s = self._playout.next_s(self._sink.queued())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if wait_s is None else max(SOON_S, wait_s)):
                await self._news.wait()

    def _free(self, turn: int) -> None:
        """Of an earlier turn that the client holds nothing is to be heard any more."""
        if self._silenced is not None and turn > self._silenced:
            self._order(Clear(turn=self._silenced))

    def _order(self, order: Hold | Resume | Clear) -> None:
        """To the client, for what is on its way to it."""
        if self._obeyed:
            self._silenced = order.turn if isinstance(order, Hold) else None
            self._line.send_nowait(order)

    def _stopped(self, turn: int, heard: int) -> None:
        self._sink.clear_nowait()
        self._news.set()
        self._tell(turn, heard)

    def _report(self) -> None:
        for turn, samples in self._playout.reports(self._sink.queued()):
            self._tell(turn, samples)

    def _tell(self, turn: int, samples: int) -> None:
        self._heard(turn, samples)
        if self._side is not None:
            self._side.played_nowait(turn, samples)

    def _silence(self) -> None:
        self._over = True
        self._sink.clear_nowait()
        self._news.set()
