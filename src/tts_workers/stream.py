"""PURE: one synthesis stream: its turns, credit, controls and cancels.

`handle(event, now)` and `next_frame(now)` change the state and return commands, which the driver carries out in order;
`next_frame` also returns what to write next, so that nothing that a later PAUSE or STOP would withhold ever waits
outside. The rules:

- A turn is opened by the first message that names it and speaks when it has text or an end; turns speak one after
  another, lowest id first. Ids increase: once a turn speaks, lower ones can't be opened any more, and those that were
  only reserved or given credit are forgotten.
- The stream holds one slot while any turn of it is reserved or has something speakable that was not all sent. A
  reservation without text lapses after `reserve_s`.
- One chunk is synthesised at a time; the engine runs ahead of what was sent by `ahead` samples at most, plus the piece
  it is at.
- Audio needs credit; marks, ends and errors need none. A turn's first audio message has one frame, later ones up to
  five; a turn's last frame is padded with silence, and so is the last before a flush, as no text follows for a while.
- STOP is a watermark: open turns up to it are finished STOPPED, later ones up to it as soon as they are heard of.
- PAUSE withholds everything of its turn but errors; RESUME lets it go on.
- At most `max_backlog` code points not yet spoken, over all turns: the turn that exceeds it fails, nothing blocks.
- Each turn that had text, an end or a stop is finished exactly once. Text of a turn that completed is an error of that
  turn; of one that was stopped or failed it is ignored, as it may have been on its way.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

from base.errors import AntiphonError, AtCapacity, BadRequest, TimedOut, Unavailable, WrongState
from tts_workers import values as v
from tts_workers.turn import Chunk, Turn

MAX_CHUNKS = 512
"""Not yet spoken, of a stream; empty ones cost no code points."""
MAX_UNWRITTEN = 1024
"""Frames other than audio and marks that wait for a client who does not read."""
REMEMBERED = 64
"""Turns whose end is remembered, for what still comes of them."""


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """`frame` is 20 ms in samples; `ahead` in samples; the others in code points, turns and seconds."""

    frame: int
    ahead: int
    max_backlog: int = 4000
    max_turns: int = 256
    max_frames: int = 5
    reserve_s: float = 30.0
    stall_s: float = 120.0
    job_s: float = 30.0


@dataclass(slots=True)
class _Running:
    job: v.Job
    turn: Turn
    chunk: Chunk
    until: int
    moved_at: float
    begun: bool = False


class Stream:
    """See the module."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._turns: dict[int, Turn] = {}
        self._ended: OrderedDict[int, v.Finished] = OrderedDict()
        self._current: Turn | None = None
        self._highest = -1
        self._watermark = -1
        self._slot = "none"  # "asked", "held"
        self._running: _Running | None = None
        self._jobs = 0
        self._frames: deque[v.Frame] = deque()
        self._commands: list[v.Command] = []
        self._moved_at = 0.0
        self._half_closed = False
        self._closed = False
        self._draining = False
        self._aborted = False

    # --- what the driver calls ----------------------------------------------------------------------------------------

    def handle(self, event: v.Event, now: float) -> list[v.Command]:
        """Takes one event; returns what to do, in order."""
        if not self._closed:
            self._take(event, now)
            self._settle(now)
        elif isinstance(event, v.SlotGiven):
            self._commands.append(v.ReturnSlot())
        return self._drain()

    def next_frame(self, now: float) -> tuple[v.Frame | None, list[v.Command]]:
        """What to write now, and what to do then; None when everything has to wait."""
        frame = None if self._closed else self._next(now)
        if frame is not None:
            self._settle(now)
        return frame, self._drain()

    def next_deadline(self) -> float | None:
        """When to call `handle_timer`, if nothing else happens before."""
        due = [t.reserved_until for t in self._turns.values() if t.reserved_until is not None]
        due += [t.opened_at + self._config.stall_s for t in self._turns.values() if not t.touched]
        if self._current is not None:
            due.append(self._moved_at + self._config.stall_s)
        if self._running is not None and self._hungry(self._running):
            due.append(self._running.moved_at + self._config.job_s)
        return min(due, default=None) if not self._closed else None

    def handle_timer(self, now: float) -> list[v.Command]:
        if not self._closed:
            self._expire(now)
            self._settle(now)
        return self._drain()

    @property
    def finished(self) -> bool:
        """The client has closed its side and got everything."""
        return self._half_closed and not self._turns and not self._frames

    @property
    def busy(self) -> bool:
        """A turn is being spoken, or an end or error waits to be written."""
        return any(t.touched for t in self._turns.values()) or bool(self._frames)

    @property
    def open_turns(self) -> tuple[int, ...]:
        return tuple(self._turns)

    @property
    def backlog(self) -> int:
        """Code points taken and not yet spoken."""
        return sum(t.unspoken() for t in self._turns.values())

    def samples_sent(self, turn: int) -> int:
        if (open_ := self._turns.get(turn)) is not None:
            return open_.sent
        return self._ended[turn].samples if turn in self._ended else 0

    # --- events -------------------------------------------------------------------------------------------------------

    def _take(self, event: v.Event, now: float) -> None:
        match event:
            case v.Text():
                self._take_text(event, now)
            case v.EndOfTurn(turn=id):
                if (turn := self._reach(id, now, strict=False)) is not None:
                    turn.ended = turn.touched = True
                    turn.reserved_until = None
                    self._progress(turn, now)
            case v.Credit(turn=id, until_sample=until):
                if (turn := self._reach(id, now, strict=False, quiet=True)) is not None:
                    turn.credit = max(turn.credit, until)
                    self._progress(turn, now)
            case v.Reserve(turn=id):
                self._take_reserve(id, now)
            case v.Control(turn=id, action=action):
                self._take_control(id, action, now)
            case v.Flush(turn=id):
                if (turn := self._turns.get(id)) is not None:
                    turn.flushed = True
                    self._progress(turn, now)
            case v.Invalid(turn=id, error=error):
                self._fail_id(id, error)
            case v.HalfClosed():
                self._half_close(now)
            case v.Closed():
                self._close()
            case v.Draining():
                self._draining = True
            case v.SlotGiven() | v.SlotRefused():
                self._take_slot(event, now)
            case v.Produced() | v.JobDone() | v.JobFailed():
                self._take_work(event, now)

    def _take_text(self, text: v.Text, now: float) -> None:
        turn = self._reach(text.turn, now, strict=True)
        if turn is None:
            return
        if turn.ended:
            message = f"text of turn {turn.id} after its end; give it a new turn"
            self._fail(turn, WrongState(message, reason="TURN_ENDED"))
            return
        chunks = sum(len(t.chunks) for t in self._turns.values())
        backlog = self.backlog + len(text.text)
        if backlog > self._config.max_backlog or chunks >= MAX_CHUNKS:
            what = f"{backlog} characters" if chunks < MAX_CHUNKS else f"{chunks + 1} chunks"
            most = self._config.max_backlog if chunks < MAX_CHUNKS else MAX_CHUNKS
            message = f"{what} would wait to be spoken; at most {most} may: send text as it is spoken"
            self._fail(turn, AtCapacity(message, reason="BACKLOG"))
            return
        turn.add(text)
        self._progress(turn, now)

    def _take_reserve(self, id: int, now: float) -> None:
        turn = self._reach(id, now, strict=True)
        if turn is None:
            return
        if not turn.touched:
            turn.reserved_until = now + self._config.reserve_s
        turn.reserve_asked = True

    def _take_control(self, id: int, action: v.Action, now: float) -> None:
        if action is v.Action.STOP:
            self._watermark = max(self._watermark, id)
            for over in [t for t in self._turns.values() if t.id <= id]:
                self._end(over, v.Reason.STOPPED)
            return
        turn = self._turns.get(id)
        if turn is None and action is v.Action.PAUSE:
            turn = self._reach(id, now, strict=False, quiet=True)
        if turn is not None:
            turn.paused = action is v.Action.PAUSE
            self._progress(turn, now)

    def _take_slot(self, event: v.SlotGiven | v.SlotRefused, now: float) -> None:
        if isinstance(event, v.SlotGiven):
            self._slot = "held"
            return
        self._slot = "none"
        for turn in [t for t in self._turns.values() if _wants_slot(t)]:
            self._fail(turn, event.error)

    def _take_work(self, event: v.Produced | v.JobDone | v.JobFailed, now: float) -> None:
        running = self._running
        if running is None or running.job.id != event.job:
            return
        turn, chunk = running.turn, running.chunk
        if isinstance(event, v.JobFailed):
            self._running = None
            self._fail(turn, event.error)
            return
        if not running.begun:
            running.begun = True
            turn.begin(chunk)
        if isinstance(event, v.Produced):
            turn.take(chunk, event.pcm, event.words)
            turn.held = event.held
            running.moved_at = now
        else:
            turn.finish(chunk)
            turn.held = 0
            self._running = None
        self._progress(turn, now)

    def _half_close(self, now: float) -> None:
        self._half_closed = True
        for turn in list(self._turns.values()):
            turn.ended = turn.unlimited = True
            if not turn.touched:
                self._drop(turn)

    def _close(self) -> None:
        self._closed = True
        self._stop_running()
        self._turns.clear()
        self._current = None
        self._frames.clear()
        if self._slot == "held":
            self._slot = "none"
            self._commands.append(v.ReturnSlot())

    def _expire(self, now: float) -> None:
        config = self._config
        for turn in list(self._turns.values()):
            if turn.reserved_until is not None and turn.reserved_until <= now:
                turn.reserved_until = None
                turn.reserve_asked = False
            if not turn.touched and turn.opened_at + config.stall_s <= now:
                self._drop(turn)
        running = self._running
        if running is not None and self._hungry(running) and running.moved_at + config.job_s <= now:
            message = f"the engine gave nothing for {config.job_s:g} s in turn {running.turn.id}"
            self._fail(running.turn, TimedOut(message, reason="ENGINE_STALLED"))
        current = self._current
        if current is not None and self._moved_at + config.stall_s <= now:
            message = f"turn {current.id} stood still for {config.stall_s:g} s: no text, no end of turn, or no credit"
            self._fail(current, TimedOut(message, reason="TURN_STALLED"))

    # --- turns --------------------------------------------------------------------------------------------------------

    def _reach(self, id: int, now: float, *, strict: bool, quiet: bool = False) -> Turn | None:
        """The open turn `id`, opened if it is new. `strict`: one that is over is an error; `quiet`: nothing is said."""
        if (turn := self._turns.get(id)) is not None:
            return turn
        if (ended := self._ended.get(id)) is not None:
            if strict and ended.reason is v.Reason.COMPLETED:
                self._say(v.Failed(id, WrongState(f"turn {id} is over; take a higher number", reason="TURN_OVER")))
            return None
        if id <= self._watermark:
            if not quiet and id >= self._oldest():
                self._finish(v.Finished(id, v.Reason.STOPPED, 0, 0))
            return None
        if id < self._highest:
            if not quiet and id >= self._oldest():
                message = f"turn {id} was not opened before turn {self._highest} spoke; turn numbers increase"
                self._fail_id(id, BadRequest(message, reason="TURN_ORDER"))
            return None
        return None if self._half_closed else self._open(id, now, quiet=quiet)

    def _open(self, id: int, now: float, *, quiet: bool) -> Turn | None:
        if self._draining:
            error: AntiphonError = Unavailable("the worker is shutting down; go to another", reason="DRAINING")
        elif len(self._turns) >= self._config.max_turns:
            message = f"{len(self._turns)} turns are open already, the most there may be; end or stop some"
            error = AtCapacity(message, reason="TOO_MANY_TURNS")
        else:
            self._turns[id] = turn = Turn(id, now)
            return turn
        if not quiet:
            self._fail_id(id, error)
        return None

    def _oldest(self) -> int:
        """Turns below this one may have ended and been forgotten."""
        return min(self._ended) if len(self._ended) == REMEMBERED else -1

    def _end(self, turn: Turn, reason: v.Reason) -> None:
        self._drop(turn)
        wasted = turn.waiting + turn.held if reason is not v.Reason.COMPLETED else 0
        self._finish(v.Finished(turn.id, reason, turn.sent, turn.spoken(), wasted))

    def _fail(self, turn: Turn, error: AntiphonError) -> None:
        self._say(v.Failed(turn.id, error))
        self._end(turn, v.Reason.FAILED)

    def _fail_id(self, id: int, error: AntiphonError) -> None:
        """An error of a turn that may be open, over or unknown."""
        if (turn := self._turns.get(id)) is not None:
            self._fail(turn, error)
            return
        if id not in self._ended:
            self._say(v.Failed(id, error))
            self._finish(v.Finished(id, v.Reason.FAILED, 0, 0))

    def _drop(self, turn: Turn) -> None:
        del self._turns[turn.id]
        if self._running is not None and self._running.turn is turn:
            self._stop_running()
        if self._current is turn:
            self._current = None

    def _finish(self, finished: v.Finished) -> None:
        self._say(finished)
        self._ended[finished.turn] = finished
        self._highest = max(self._highest, finished.turn)
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def _say(self, frame: v.Frame) -> None:
        if self._aborted:
            return
        self._frames.append(frame)
        if len(self._frames) > MAX_UNWRITTEN:
            self._aborted = True
            message = f"{len(self._frames)} answers wait to be read; read the stream while writing to it"
            self._commands.append(v.Abort(AtCapacity(message, reason="NOT_READING")))

    def _progress(self, turn: Turn, now: float) -> None:
        if turn is self._current:
            self._moved_at = now

    # --- what follows from the state ----------------------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        """Finishes, starts, allows and asks for whatever the state now asks for."""
        while True:
            if self._current is None:
                self._choose(now)
            turn = self._current
            if turn is None:
                break
            if self._running is None:
                turn.skip_unspeakable()
            if not (turn.ended and turn.whole) or turn.waiting or turn.marks or turn.paused:
                break
            self._end(turn, v.Reason.COMPLETED)
        self._settle_slot()
        self._settle_work(now)

    def _choose(self, now: float) -> None:
        ready = [t for t in self._turns.values() if t.touched]
        if not ready:
            return
        self._current = min(ready, key=lambda t: t.id)
        self._moved_at = now
        self._highest = max(self._highest, self._current.id)
        for turn in [t for t in self._turns.values() if t.id < self._current.id]:
            self._drop(turn)

    def _settle_slot(self) -> None:
        wanted = any(_wants_slot(t) for t in self._turns.values())
        if wanted and self._slot == "none":
            self._slot = "asked"
            self._commands.append(v.AskSlot())
        elif not wanted and self._slot != "none":
            # One that is still asked for is given up: a model may be loading for it.
            self._slot = "none"
            self._commands.append(v.ReturnSlot())
        elif self._slot == "held":
            for turn in self._turns.values():
                if turn.reserve_asked:
                    turn.reserve_asked = False
                    self._say(v.Reserved(turn.id))

    def _settle_work(self, now: float) -> None:
        turn, running = self._current, self._running
        if running is not None:
            until = running.turn.sent + self._config.ahead
            if until - running.until >= self._config.ahead // 2:
                if not self._hungry(running):
                    running.moved_at = now
                running.until = until
                self._commands.append(v.Allow(running.job.id, until))
        elif turn is not None and turn.todo and self._slot == "held" and turn.waiting < self._config.ahead:
            self._start(turn, now)

    def _start(self, turn: Turn, now: float) -> None:
        chunk = turn.todo.popleft()
        self._jobs += 1
        job = v.Job(
            id=self._jobs,
            turn=turn.id,
            chunk=chunk.number,
            text=chunk.text,
            first=not turn.started,
            last=turn.ended and not any(c.speakable for c in turn.todo),
            previous_text=turn.previous_text,
            language=chunk.language,
            voice=turn.voice,
            style=turn.style,
            start_sample=turn.produced,
        )
        turn.started = True
        until = turn.sent + self._config.ahead
        self._running = _Running(job, turn, chunk, until, now)
        self._commands.append(v.Start(job, until))

    def _stop_running(self) -> None:
        if self._running is not None:
            self._commands.append(v.Cancel(self._running.job.id))
            self._running = None

    def _hungry(self, running: _Running) -> bool:
        """The engine may produce: if nothing comes, that is its fault."""
        return running.turn.produced < running.until

    def _next(self, now: float) -> v.Frame | None:
        if self._frames:
            return self._frames.popleft()
        turn = self._current
        if turn is None or turn.paused:
            return None
        if turn.marks:
            marks, turn.marks = tuple(turn.marks), []
            return v.Marks(turn.id, marks)
        sample = turn.sent
        pcm = turn.cut(self._config.frame, 1 if sample == 0 else self._config.max_frames)
        if not pcm:
            return None
        self._progress(turn, now)
        return v.Audio(turn.id, sample, pcm)

    def _drain(self) -> list[v.Command]:
        commands, self._commands = self._commands, []
        return commands


def _wants_slot(turn: Turn) -> bool:
    return turn.needs_slot or turn.reserved_until is not None
