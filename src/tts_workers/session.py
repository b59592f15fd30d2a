"""The driver of one session: carries out what its pure `Stream` decides, and writes its frames.

Carrying out never waits: jobs go to engine threads, frames are pulled by whoever writes, timers call back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from base.errors import AntiphonError, AtCapacity
from base.log import get_logger
from tts_workers import values as v
from tts_workers.engine import Style
from tts_workers.models import Gains, LoadedModel, Speaker, Voices
from tts_workers.runner import Gate, Runner
from tts_workers.stream import Stream, StreamConfig
from worker.admission import Slot, Slots
from worker.loader import Answer, Lease

log = get_logger("tts")


@dataclass(frozen=True, slots=True)
class Terms:
    """What StartSession agreed on; the model itself is had by a lease, from one turn to the next."""

    model: str
    voices: Voices
    speaker: Speaker
    style: Style
    rate: int


class Leases(Protocol):
    """The loader, as a session sees it; `worker.loader.Loader` says what these do."""

    def acquire_nowait(self, id: str, answer: Answer[LoadedModel], revoked: Callable[[AntiphonError], None]) -> int: ...

    def release_nowait(self, ticket: int, linger_s: float = 0.0) -> None: ...

    def leases(self, id: str) -> int: ...


class Session:
    """One session on the event loop. Whoever makes it calls `close`, in whatever way it ends."""

    def __init__(
        self,
        id: str,
        terms: Terms,
        config: StreamConfig,
        slots: Slots,
        leases: Leases,
        linger_s: float,
        runner: Runner,
        finished: Callable[[v.Finished], None] = lambda _: None,
    ) -> None:
        self.id = id
        self.terms = terms
        self.attached = False
        self.claim: Callable[[], None] = lambda: None
        """Withdraws its claim on the model; see `house.claim_nowait`."""
        self._stream = Stream(config)
        self._ahead = config.ahead
        self._slots = slots
        self._leases = leases
        self._linger_s = linger_s
        self._runner = runner
        self._finished = finished
        self._slot: Slot | None = None
        self._ticket: int | None = None
        self._model: LoadedModel | None = None
        self._gains = Gains()
        self._gates: dict[int, Gate] = {}
        self._asked: dict[int, float] = {}
        self._first_audio: dict[int, float] = {}
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        """When it goes off: uvloop's handles do not always tell."""
        self._over = asyncio.Event()
        self._error: AntiphonError | None = None
        self._closed = False

    @property
    def label(self) -> str:
        """For logs: a session's id is a secret."""
        return self.id[:6]

    @property
    def busy(self) -> bool:
        return self._stream.busy

    @property
    def backlog(self) -> int:
        return self._stream.backlog

    def handle(self, event: v.Event) -> None:
        """Takes one event, and everything that follows from it."""
        now = self._loop.time()
        commands = self._stream.handle(event, now)
        if isinstance(event, v.Text) and event.turn in self._stream.open_turns:
            self._asked.setdefault(event.turn, now)
        self._carry_out(commands)

    def samples_sent(self, turn: int) -> int:
        return self._stream.samples_sent(turn)

    def end(self, error: AntiphonError | None = None) -> None:
        """The stream ends, with `error` or cleanly; what is not written is dropped."""
        if not self._over.is_set():
            self._over.set()
            self._error = error
            self._wake.set()

    def close(self) -> None:
        """Gives everything back."""
        if not self._closed:
            self._closed = True
            self.end()
            self.claim()
            self.handle(v.Closed())
            self._give_back()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    async def next_frame(self) -> v.Frame | None:
        """What to write next, waiting for it; None when the session is over."""
        while not self._over.is_set():
            frame, commands = self._stream.next_frame(self._loop.time())
            self._carry_out(commands)
            if frame is not None:
                self._note(frame)
                return frame
            if self._stream.finished:
                return None
            self._wake.clear()
            await self._wake.wait()
        return None

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Does `work` until it is done, or the session is over: then it is cancelled, whatever it waits for (a client
        who does not read). Raises the error that ended the session.
        """
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(work)
            working.add_done_callback(lambda _: self._over.set())
            await self._over.wait()
            working.cancel()
        if self._error is not None:
            raise self._error

    async def write_all(self, write: Callable[[v.Frame], Awaitable[None]]) -> None:
        """Writes until the session is over; back-pressure is the writer's."""
        while (frame := await self.next_frame()) is not None:
            await write(frame)

    # --- carrying out -------------------------------------------------------------------------------------------------

    def _carry_out(self, commands: list[v.Command]) -> None:
        queue = deque(commands)
        while queue:
            event = self._do(queue.popleft())
            if event is not None:
                queue.extend(self._stream.handle(event, self._loop.time()))
        self._wake.set()
        self._arm()

    def _do(self, command: v.Command) -> v.Event | None:
        match command:
            case v.AskSlot():
                return self._ask_slot()
            case v.ReturnSlot():
                self._give_back()
            case v.Start(job=job, until_sample=until):
                return self._start(job, until)
            case v.Allow(job=id, until_sample=until):
                if (gate := self._gates.get(id)) is not None:
                    gate.allow(until)
            case v.Cancel(job=id):
                if (gate := self._gates.pop(id, None)) is not None:
                    gate.cancel()
            case v.Abort(error=error):
                self.end(error)
        return None

    def _ask_slot(self) -> v.Event | None:
        """The model first, which may have to be loaded, then a slot. The answer comes now, or as an event later."""
        at_once: list[v.Event] = []
        asking = True

        def answer(found: Lease[LoadedModel] | AntiphonError) -> None:
            event = self._answered(found)
            if asking:
                at_once.append(event)
            else:
                self.handle(event)

        self._ticket = self._leases.acquire_nowait(self.terms.model, answer, self._revoked)
        asking = False
        return at_once[0] if at_once else None

    def _answered(self, found: Lease[LoadedModel] | AntiphonError) -> v.Event:
        if isinstance(found, AntiphonError):
            self._ticket = None
            return v.SlotRefused(found)
        self._ticket = found.ticket
        most = found.model.info.max_concurrent
        try:
            if most and self._leases.leases(found.id) > most:
                raise AtCapacity(
                    f"model {found.id!r} speaks {most} turns at once already; try another worker, or again",
                    retry_after_s=0.5,
                )
            self._slot = self._slots.reserve()
        except AntiphonError as error:
            self._give_back()
            return v.SlotRefused(error)
        self._model = found.model
        return v.SlotGiven()

    def _revoked(self, error: AntiphonError) -> None:
        """The model goes: what it speaks fails, and the lease goes back with the slot."""
        for turn in self._stream.open_turns:
            self.handle(v.Invalid(turn, error))

    def _give_back(self) -> None:
        slot, self._slot = self._slot, None
        ticket, self._ticket = self._ticket, None
        self._model = None
        if slot is not None:
            slot.release()
        if ticket is not None:
            self._leases.release_nowait(ticket, self._linger_s if slot is not None else 0.0)

    def _start(self, job: v.Job, until: int) -> v.Event | None:
        model = self._model
        assert model is not None, "a job starts while the slot is held"
        try:
            speaker, style = self._speaker(job)
            gate = Gate(until, until - self._ahead)
            self._runner.start_nowait(job, model, self._gains, speaker, style, self.terms.rate, gate, self._from_job)
        except AntiphonError as error:
            return v.JobFailed(job.id, error)
        self._gates[job.id] = gate
        return None

    def _speaker(self, job: v.Job) -> tuple[Speaker, Style]:
        """Voice and style hold for the turn, from its first text; the language for its chunk."""
        terms = self.terms
        speaker = terms.voices.speaker(job.voice, "") if job.voice else terms.speaker
        return terms.voices.speaker_of(speaker, job.language), job.style or terms.style

    def _from_job(self, event: v.Produced | v.JobDone | v.JobFailed) -> None:
        if event.job not in self._gates:
            return
        if not isinstance(event, v.Produced):
            del self._gates[event.job]
        self.handle(event)

    def _note(self, frame: v.Frame) -> None:
        """One line a turn, when it is over."""
        if isinstance(frame, v.Audio) and frame.sample == 0:
            self._first_audio[frame.turn] = self._loop.time() - self._asked.get(frame.turn, self._loop.time())
        elif isinstance(frame, v.Finished):
            self._log(frame)
            self._finished(frame)

    def _log(self, finished: v.Finished) -> None:
        self._asked.pop(finished.turn, None)
        first = self._first_audio.pop(finished.turn, None)
        log.info(
            "turn.done",
            session=self.label,
            turn=finished.turn,
            reason=finished.reason.value,
            audio_s=round(finished.samples / self.terms.rate, 3),
            spoken=finished.spoken,
            wasted_s=round(finished.wasted / self.terms.rate, 3),
            first_audio_s=None if first is None else round(first, 4),
            model=self.terms.model,
            voice=self.terms.speaker.voice,
        )

    # --- time ---------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        due = self._stream.next_deadline() if not self._closed else None
        if due is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None or self._due > due:
            if self._timer is not None:
                self._timer.cancel()
            self._due = due
            self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._carry_out(self._stream.handle_timer(self._loop.time()))
