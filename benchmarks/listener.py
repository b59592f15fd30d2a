"""A simulated user: a microphone, a loudspeaker and a WebSocket, all by the clock.

The microphone gives a 20 ms frame when its last sample was heard, so that the frame that begins with a word leaves
20 ms after the word began: that time counts. The loudspeaker takes 10 ms at a time, as a sound card does; what it has
taken will sound. Whoever drives (`benchmarks.clock`) calls `hear` and `speak` when they are due; lateness of the
driver counts against the system, not for it: speech began when its frame was due, sound came when it was taken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from antiphon.player import Player
from base.audio import UPLINK_RATE
from benchmarks.sound import Block, Span, first_audible, join
from benchmarks.speakers import Follower
from benchmarks.websocket import BINARY, TEXT, Connection, connect
from orchestrator import messages as m

FRAME = UPLINK_RATE // 50
FRAME_S = 0.02
BLOCK_S = 0.01
SILENCE = bytes(FRAME * 2)
SERVER_MESSAGES: msgspec.json.Decoder[m.ServerMessage] = m.server_decoder

M = TypeVar("M", bound=m.ServerMessage)


class Lost(Exception):
    """The connection ended, or what was waited for did not come."""


@dataclass(slots=True)
class Words:
    """Something said: when its first and last sample were at the microphone, once it began."""

    pcm: bytes
    began_s: float = 0.0
    ended_s: float = 0.0
    _begun: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, at_s: float) -> None:
        self.began_s = at_s
        self.ended_s = at_s + len(self.pcm) / 2 / UPLINK_RATE
        self._begun.set()

    async def wait_begun(self) -> None:
        """Its first frame has left."""
        await self._begun.wait()


@dataclass(slots=True)
class Log:
    """What happened. `spans` always; `blocks` while `listening`; messages with the time they came."""

    messages: list[tuple[float, m.ServerMessage]] = field(default_factory=list)
    first_frame_s: dict[int, float] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    audio: bytearray = field(default_factory=bytearray)
    """The samples of `spans`, when `keep_audio`."""
    blocks: list[Block] = field(default_factory=list)
    received: int = 0
    played: int = 0
    dry: int = 0
    """Samples of silence in the midst of a turn, for want of audio; a hold is no want."""
    first_sound_s: dict[int, float] = field(default_factory=dict)
    """When a turn's first audible sample sounded."""
    ended_s: float = 0.0
    """The end of the last sample played."""


class Listener:
    """See the module. `holds`: keeps its queue over a hold; else it plays what it is sent and drops it on `clear`."""

    def __init__(
        self, start: m.SessionStart, *, clock: Callable[[], float], keep_audio: bool = False, keep_messages: bool = True
    ) -> None:
        self.start = start
        self.rate = start.output_rate
        self.player: Player | Follower = Player(self.rate) if start.hold else Follower(self.rate)
        self.log = Log()
        self.keep_audio = keep_audio
        self.keep_messages = keep_messages
        self.listening = False
        """Blocks of sound are kept, to find when they sounded."""
        self.room = [SILENCE]
        """Frames that the microphone hears when nothing is said, over and over."""
        self.on_message: Callable[[m.ServerMessage], None] | None = None
        self.lost = ""
        self._clock = clock
        self._block = round(BLOCK_S * self.rate)
        self._connection: Connection | None = None
        self._frame = 0
        self._said: deque[tuple[Words, int]] = deque()
        self._tail = b""
        self._missing = 0
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    # --- the connection -----------------------------------------------------------------------------------------------

    async def open(self, address: str) -> m.SessionStarted:
        """Connects and starts the session."""
        self._connection = await connect(address, self._take, self._gone)
        self.send(self.start)
        await self.until(lambda: self.last(m.SessionStarted) is not None or self.fatal() is not None, "session_started")
        started = self.last(m.SessionStarted)
        if started is None:
            raise Lost(f"the session was refused: {self.fatal()}")
        return started

    def open_bare(self, connection: Connection) -> None:
        """For the floor's server, which knows nothing of sessions."""
        self._connection = connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send(self, message: m.ClientMessage) -> None:
        if self._connection is not None:
            self._connection.send(TEXT, m.client_encoder.encode(message))

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == BINARY:
            _, _, _, turn, sample = m.HEADER.unpack_from(payload)
            self.log.received += 1
            if turn not in self.log.first_frame_s:
                self.log.first_frame_s[turn] = self._clock()
                self._wake()
            self.player.push(turn, sample, payload[m.HEADER.size :])
            return
        message = SERVER_MESSAGES.decode(payload)
        if isinstance(message, m.Hold):
            self.player.hold(message.turn)
        elif isinstance(message, m.Resume):
            self.player.resume(message.turn, message.sample)
        elif isinstance(message, m.Clear):
            self.player.clear(message.turn)
        if self.keep_messages or isinstance(message, m.SessionStarted | m.Error):
            self.log.messages.append((self._clock(), message))
        if self.on_message is not None:
            self.on_message(message)
        self._report()
        self._wake()

    def _gone(self, why: str) -> None:
        self._connection = None
        self.lost = why
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(Lost(why))
        self._waiting.clear()

    def _report(self) -> None:
        for played in self.player.take_reports():
            self.send(played)

    # --- the two devices ----------------------------------------------------------------------------------------------

    def say(self, pcm: bytes, *, offset: int = 0) -> Words:
        """Said from the next frame on, `offset` samples into it, after what is being said already."""
        words = Words(pcm)
        self._said.append((words, offset))
        return words

    @property
    def saying(self) -> bool:
        return bool(self._said) or bool(self._tail)

    def speak(self, due_s: float) -> None:
        """The microphone's frame whose last sample was heard at `due_s`."""
        if self._connection is None:
            return
        pcm = self._tail
        while len(pcm) < FRAME * 2 and self._said:
            words, offset = self._said.popleft()
            pcm += bytes(2 * offset)
            at = len(pcm) // 2
            words.begin(due_s - FRAME_S + at / UPLINK_RATE)
            pcm += words.pcm
        room = self.room[self._frame % len(self.room)]
        frame, self._tail = (pcm[: FRAME * 2], pcm[FRAME * 2 :]) if pcm else (room, b"")
        frame += room[len(frame) :]
        self._connection.send(BINARY, m.HEADER.pack(m.PCM, 0, 0, 0, self._frame * FRAME) + frame)
        self._frame += 1

    def hear(self, taken_s: float) -> None:
        """The loudspeaker takes its next 10 ms."""
        player = self.player
        before = player.position
        pcm = player.read(self._block)
        after = player.position
        self._note(before, after, pcm, taken_s)
        if self.listening:
            self.log.blocks.append(Block(taken_s, pcm))
        self._report()

    def _note(self, before: tuple[int, int] | None, after: tuple[int, int] | None, pcm: bytes, taken_s: float) -> None:
        """Which samples were taken: from the player's place before and after."""
        if after is None:
            return
        turn, end = after
        start = before[1] if before is not None and before[0] == turn else max(0, end - self._block)
        taken = max(0, end - start)
        if before is None or before[0] != turn or self.player.held:
            self._missing = 0
        if not taken:
            self._missing += 0 if self.player.held else self._block
            return
        # Only audio that came after it tells a gap from the turn's end.
        self.log.dry += self._missing
        self._missing = self._block - taken
        self.log.played += taken
        self.log.ended_s = taken_s + taken / self.rate
        self.log.spans.append(Span(turn, start, taken))
        if self.keep_audio:
            self.log.audio += pcm[: 2 * taken]
        if turn not in self.log.first_sound_s:
            index = first_audible(pcm)
            if index is not None:
                self.log.first_sound_s[turn] = taken_s + index / self.rate

    # --- what a scenario asks -----------------------------------------------------------------------------------------

    async def until(self, holds: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
        """Waits until `holds`, looked at whenever a message or a turn's first audio came. Raises Lost."""
        if holds():
            return
        if self.lost:
            raise Lost(self.lost)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (holds, future)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            raise Lost(f"waited {timeout_s:g} s for {what}; the last news was {self._recent()}") from None
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    def last(self, kind: type[M]) -> M | None:
        return next((x for _, x in reversed(self.log.messages) if isinstance(x, kind)), None)

    def count(self, kind: type[m.ServerMessage]) -> int:
        return sum(1 for _, x in self.log.messages if isinstance(x, kind))

    def fatal(self) -> m.Error | None:
        error = self.last(m.Error)
        return error if error is not None and error.fatal else None

    def spans(self, turn: int) -> list[Span]:
        return join([s for s in self.log.spans if s.turn == turn])

    def _recent(self) -> str:
        return ", ".join(type(x).__name__ for _, x in self.log.messages[-6:]) or "none"

    def _wake(self) -> None:
        if not self._waiting:
            return
        for holds, future in list(self._waiting):
            if not future.done() and holds():
                future.set_result(None)
