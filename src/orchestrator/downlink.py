"""Audio → fence → pacing → playhead → transport, for one session.

**Fence.** Only the turn that was begun last passes; what comes of another is dropped and counted.

**Pacing.** The transport is fed up to its lead ahead of the listener, as the playhead knows it, and never beyond its
room. The first frame goes out when it comes; after that audio goes in messages of `BATCH_S`, or at once when less than
half the lead is left. Audio that is held waits here.

**Credit.** The voice may come `CREDIT_S` past the listener; it is told so in steps of `CREDIT_STEP_S`, first when the
turn begins, never while held.

**Hold, resume, stop** reach the transport at once. The place to go on from is the listener's own word, waited for up to
`WORD_S`; so is its last word after a stop. A turn that is held ends only when its listener has heard all of it; it is
cleared then, so that its hold ends with it.

**Ahead of time.** The sound of a reply that is due soon (`expect_nowait`) sets out while it is still held, where the
client keeps it silent until it is to be heard (`ports.Ahead`): by what its way takes, for `AHEAD_MOST_S` at most. Then,
or when it is not known any more when it is due, it stands still. Until it is resumed nobody has heard any of it.

**Another transport** (`detach_nowait`, `attach_nowait`) goes on from what was heard, on the sample: what was sent and
not played is still here. A turn lives at one sample rate, that of the transport at its beginning. Whether a clear
arrived over the last one nobody knows: the last is said again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from base.audio import BYTES_PER_SAMPLE, FRAMES_PER_SECOND
from base.errors import WrongState
from orchestrator.conversation.chunker import Chunk
from orchestrator.conversation.events import Event, FirstAudio, Heard, Playing, ReplyEnded, ReplyFailed, ReplyStopped
from orchestrator.conversation.playhead import Playhead
from orchestrator.decimator import Sound
from orchestrator.ports import SynthAudio, SynthEvent, SynthFailed, SynthFinished, SynthMarks, SynthSink, Transport
from orchestrator.sounded import Sounded
from orchestrator.ticker import Ticker
from orchestrator.turn_audio import TurnAudio

__all__ = ["Downlink", "Ticker"]

CREDIT_S = 1.0
CREDIT_STEP_S = 0.4
BEYOND_S = 1.0
"""Audio that comes this much beyond the credit given ends the turn."""
BATCH_S = 0.06
BLIND_LEAD_S = 0.04
"""The lead of a sink that neither holds nor says where it is."""
WORD_S = 0.15
TAIL_S = 0.6
"""So long after the last sample, what a microphone hears may still be it: the way through sound cards and the room."""
LATE_S, EARLY_S = 0.8, 0.1
"""How late what is played may reach the microphone, by the playhead, and how much sooner than the playhead says."""
DRY_S = 0.05
"""A loudspeaker that has had nothing to play for so long was silent; the clock is not surer."""
QUIET_S = 5.0
"""A voice that has been silent for this long after its responder failed has nothing more to say."""
AHEAD_MOST_S = 0.2
"""A reply that is not wanted so long after its sound set out is held where it is."""


@dataclass(slots=True)
class _Turn:
    turn: int
    head: Playhead
    frame: int
    granted: int
    audio: TurnAudio = field(default_factory=TurnAudio)
    given: bool = False
    """A first sample was given to a transport."""
    due_s: float | None = None
    """Held until then, as things are."""
    silent: bool = False
    """What was given is kept silent by the client: nobody has heard any."""
    moved: bool = False
    """The transport is not the one that was sent to; what was not heard is to be sent again."""
    finished: bool = False
    failure: tuple[str, str] | None = None
    news_s: float = 0.0
    held: bool = False
    silent_s: float = 0.0
    """Since when it is held, or stopping."""
    resuming: bool = False
    """Resume was asked for; the listener's word is awaited until `word_s`, as it is when `stopping`."""
    stopping: bool = False
    word_s: float = 0.0
    answered: bool = False
    waiters: list[tuple[int, asyncio.Future[None]]] = field(default_factory=list)


class Downlink(SynthSink):
    """One session's. `post` takes events, `credit` (turn, until sample), `mark` (turn, start, end, sample, exact).

    A mark's start and end are code points of the responder's text. None of the three waits, or calls back. `rate` is
    the output rate until a transport is there.
    """

    def __init__(
        self,
        *,
        ticker: Ticker,
        post: Callable[[Event], object],
        credit: Callable[[int, int], None],
        clock: Callable[[], float] = time.monotonic,
        mark: Callable[[int, int, int, int, bool], None] | None = None,
        rate: int = 48_000,
    ) -> None:
        self._ticker = ticker
        self._post = post
        self._credit = credit
        self._clock = clock
        self._mark = mark
        self._transport: Transport | None = None
        self._rate = rate
        self._turn: _Turn | None = None
        self._last = Heard(0, 0, "", "", False)
        self._tail: tuple[float, Playing] | None = None
        """When the last turn was over, and what was heard at its end."""
        self._sounded: Sounded | None = None
        """What was played lately, once it is remembered."""
        self._cleared = 0
        """The last turn of which playout was cleared, or was to be; 0: none."""
        self._closed = False
        self._counts: Counter[str] = Counter()

    # --- the transport ------------------------------------------------------------------------------------------------

    def attach_nowait(self, transport: Transport) -> None:
        """The client is there, or there again. A turn that is not held goes on at once.

        Raises WrongState when a turn is alive at another rate: stop it first, or refuse the client.
        """
        if self._turn is not None and transport.output_rate != self._rate:
            raise WrongState(
                f"output_rate {transport.output_rate} does not fit the reply that is under way; use {self._rate}"
            )
        self.detach_nowait()
        self._transport = transport
        self._rate = transport.output_rate
        if self._sounded is not None:
            self._sounded = Sounded(self._rate)
        turn = self._turn
        if self._cleared:
            transport.clear_nowait(self._cleared)
        if turn is not None:
            turn.moved = True
            self._pump(turn, self._clock())

    def detach_nowait(self) -> None:
        """The client is gone: the turn keeps its place. What was sent and not said to be played counts as not heard."""
        self._transport = None
        turn = self._turn
        if turn is None:
            return
        now = self._clock()
        if turn.silent:  # its listener is gone, and has heard nothing
            turn.head.unheard()
            turn.given = turn.silent = False
        turn.due_s = None
        turn.head.lose(now)
        if turn.resuming:
            turn.held = turn.resuming = False
        if turn.stopping:
            self._conclude(turn, now)

    def played_nowait(self, turn: int, samples: int) -> None:
        """The listener says how much of `turn` left its loudspeaker."""
        current = self._turn
        if current is None or current.turn != turn:
            self._counts["played_stale"] += 1
            return
        now = self._clock()
        if not current.head.played(samples, now):
            self._counts["played_clamped"] += 1
        current.answered = True
        if current.stopping:
            if current.word_s and current.head.settled(now):
                self._conclude(current, now)
        elif current.finished:
            self._check_end(current, now)

    # --- the reply ----------------------------------------------------------------------------------------------------

    def begin_nowait(self, turn: int) -> None:
        """From now only this turn's audio passes."""
        now = self._clock()
        old = self._turn
        if old is not None:
            self._counts["superseded"] += 1
            self._fell_silent(old, now, dropped=True)
            self._clear(old)
            self._over(old, self._heard(old, now))
        transport = self._transport
        acknowledges, holds = (transport.acknowledges, transport.holds) if transport is not None else (True, True)
        until = round(CREDIT_S * self._rate)
        begun = _Turn(turn, Playhead(turn, self._rate, acknowledges, holds), self._rate // FRAMES_PER_SECOND, until)
        begun.moved = transport is None
        if begun.moved:
            begun.head.lose(now)
        self._counts["turns"] += 1
        self._turn = begun
        if not self._closed:
            self._ticker.add(self)
        self._credit(turn, until)

    def wrote_nowait(self, turn: int, text: str) -> None:
        if (current := self._current(turn)) is not None:
            current.head.wrote(text)

    def chunk_nowait(self, turn: int, chunk: Chunk) -> None:
        if (current := self._current(turn)) is not None:
            current.head.chunk(chunk)

    def finished_writing_nowait(self, turn: int) -> None:
        if (current := self._current(turn)) is not None:
            current.head.finished_writing()

    def fail_nowait(self, turn: int, code: str, message: str) -> None:
        """The responder failed. What it wrote before is still spoken; then the turn has failed."""
        current = self._current(turn)
        if current is not None and current.failure is None:
            current.failure = (code, message)
            current.news_s = self._clock()
            self._check_end(current, current.news_s)

    def hold_nowait(self, turn: int) -> None:
        """Silence; the place is kept. Before the first sample: none goes out."""
        current = self._current(turn)
        if current is None or current.stopping:
            return
        current.resuming = False
        if current.held:
            return
        now = self._clock()
        current.held, current.silent_s = True, now
        if self._transport is not None and current.given and not current.moved:
            self._stand(current, self._transport, now)

    def expect_nowait(self, turn: int, due_s: float | None) -> None:
        """A held turn of which nothing sounded yet is due to be resumed at `due_s`; None: nobody knows when."""
        current = self._current(turn)
        if current is None or not current.held or (current.given and not current.silent):
            return
        current.due_s = due_s
        if due_s is None and current.silent and self._transport is not None:
            self._stand(current, self._transport, self._clock())

    def resume_nowait(self, turn: int) -> None:
        """Goes on exactly where it was held."""
        current = self._current(turn)
        if current is None or not current.held or current.stopping:
            return
        now = self._clock()
        if current.head.held and not current.moved and now < current.word_s:
            current.resuming = True
        else:
            self._resume(current, now)

    def stop_nowait(self, turn: int) -> None:
        """Ends the turn. Always answered: by ReplyStopped, or by the ReplyFailed that was under way."""
        current = self._turn
        if current is None or current.turn != turn:
            self._counts["stop_stale"] += 1
            heard = self._last if self._last.turn == turn else Heard(turn, 0, "", "", False)
            self._post(ReplyStopped(turn, heard))
        elif not current.stopping:
            self._stop(current, self._clock())

    def made_s(self, turn: int) -> float:
        """Seconds of audio that came of `turn` so far; 0 for another than the current one."""
        current = self._turn
        return current.audio.received / self._rate if current is not None and current.turn == turn else 0.0

    async def wait_heard(self, turn: int) -> None:
        """Returns when all that was written so far was heard, or the turn is over."""
        current = self._current(turn)
        if current is None:
            return
        if not current.silent and self._heard_up_to(current, current.head.text.written, self._clock()):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (current.head.text.written, waiter)
        current.waiters.append(entry)
        try:
            await waiter
        finally:
            if entry in current.waiters:
                current.waiters.remove(entry)

    def close(self) -> None:
        """The session is over; nothing is posted any more."""
        self._closed = True
        if self._turn is not None:
            self._over(self._turn, self._heard(self._turn, self._clock()))

    # --- from the voice -----------------------------------------------------------------------------------------------

    def synth_nowait(self, event: SynthEvent) -> None:
        self._ticker.look_nowait(self._clock())
        turn = self._turn
        if turn is None or turn.turn != event.turn or turn.stopping or turn.finished:
            self._counts["fenced"] += 1
            return
        now = turn.news_s = self._clock()
        match event:
            case SynthAudio():
                self._take(turn, event, now)
            case SynthMarks():
                for mark in event.marks:
                    for span in turn.head.mark(mark):
                        if self._mark is not None:
                            self._mark(turn.turn, span.start, span.end, span.sample, span.exact)
            case SynthFinished():
                self._finish(turn, event.samples, now)
            case SynthFailed():
                self._give_up(turn, event.code, event.message, now)

    def _take(self, turn: _Turn, event: SynthAudio, now: float) -> None:
        end = event.sample + len(event.pcm) // BYTES_PER_SAMPLE
        if end > turn.granted + BEYOND_S * self._rate or len(event.pcm) % BYTES_PER_SAMPLE or event.sample < 0:
            self._counts["bad_audio"] += 1
            message = f"the voice sent samples {event.sample} to {end} of a turn with credit for {turn.granted}"
            self._give_up(turn, "internal", message, now)
            return
        turn.audio.add(event.sample, event.pcm)
        turn.head.received(turn.audio.received)
        self._pump(turn, now)

    def _finish(self, turn: _Turn, samples: int, now: float) -> None:
        received = turn.audio.received
        turn.head.finished(samples if received - turn.frame < samples <= received else received)
        turn.finished = True
        turn.audio.pad(turn.frame)
        self._pump(turn, now)
        self._check_end(turn, now)

    def _give_up(self, turn: _Turn, code: str, message: str, now: float) -> None:
        """No more audio comes, though there is more to say. What has come is played, unless somebody is talking."""
        turn.failure = turn.failure or (code, message)
        turn.finished = True
        turn.head.finished(turn.audio.received, whole=False)
        turn.audio.pad(turn.frame)
        if turn.held:
            self._stop(turn, now)
        else:
            self._pump(turn, now)
            self._check_end(turn, now)

    # --- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        turn = self._turn
        if turn is None:
            self._ticker.remove(self)
            return
        if turn.stopping:
            settled = turn.head.settled(now)
            if settled or now >= turn.word_s:
                self._counts["played_awaited_in_vain"] += not settled
                self._conclude(turn, now)
            return
        if turn.resuming and now >= turn.word_s:
            self._resume(turn, now)
        if not turn.held or turn.due_s is not None:
            self._pump(turn, now)
        if not turn.held and not turn.finished:
            self._grant(turn, now)
        self._check_end(turn, now)
        if turn.waiters and not turn.silent:
            for target, waiter in turn.waiters:
                if not waiter.done() and self._heard_up_to(turn, target, now):
                    waiter.set_result(None)
        if self._turn is turn and turn.head.stalled(now):
            turn.failure = ("not_played", "the listener's loudspeaker has stood still for ten seconds")
            self._stop(turn, now)

    def fault_nowait(self) -> None:
        """Something broke here; the turn is over."""
        turn = self._turn
        if turn is not None:
            samples = 0 if turn.silent else turn.head.sent_samples
            heard = Heard(turn.turn, samples, "", turn.head.text.text.strip(), False)
            self._over(turn, heard)
            self._send(ReplyFailed(turn.turn, heard, "internal", "something broke while the reply was played"))
            if turn.held:
                with contextlib.suppress(Exception):  # it may be the transport that broke
                    self._clear(turn)

    def playing(self) -> Playing | None:
        """What the listener hears just now, or heard a moment ago; None while it is silent."""
        if not self.sounds():
            return None
        if self._turn is not None and self._turn.given and not self._turn.silent:
            return self._turn.head.playing(self._clock())
        return self._tail[1] if self._tail is not None else None

    def sounds(self) -> bool:
        """Whether the listener hears a reply, or heard it a moment ago."""
        now, turn = self._clock(), self._turn
        if turn is not None and turn.given and not turn.silent:
            return not (turn.held or turn.stopping) or now - turn.silent_s <= TAIL_S
        return self._tail is not None and now - self._tail[0] <= TAIL_S

    def remember_nowait(self) -> None:
        """From now on what is played is kept for a while, for `sounding`."""
        if self._sounded is None:
            self._sounded = Sounded(self._rate)

    def sounding(self, heard_s: float, end_s: float) -> Sound:
        """What left the loudspeaker in the `heard_s` before `end_s`, in `LATE_S` before that and `EARLY_S` after it, by
        the playhead; mono at `likeness.RATE`.
        """
        sounded, turn = self._sounded, self._turn
        assert sounded is not None
        at_s, unplayed = 0.0, 0  # all of it fell silent
        if turn is not None and turn.given and not turn.silent and not turn.moved:
            at_s, unplayed = self._reach(turn, self._clock())
        return sounded.sound(at_s, end_s + EARLY_S, heard_s + LATE_S + EARLY_S, unplayed)

    def statistics(self) -> Mapping[str, float]:
        """Counts since the session began, and `buffered_samples`, `ahead_samples` of now."""
        turn = self._turn
        out: dict[str, float] = dict(self._counts)
        if turn is not None:
            out |= self._counts + Counter(_counted(turn))
            out["buffered_samples"] = turn.audio.received - turn.audio.kept
            out["ahead_samples"] = turn.head.ahead(self._clock())
        return out

    # --- inside -------------------------------------------------------------------------------------------------------

    def _current(self, turn: int) -> _Turn | None:
        current = self._turn
        if current is not None and current.turn == turn:
            return current
        self._counts["stale"] += 1
        return None

    def _pump(self, turn: _Turn, now: float) -> None:
        """Sends what is due."""
        transport = self._transport
        if transport is None or turn.stopping or (turn.held and not self._sets_out(turn, transport, now)):
            return
        if turn.moved:
            self._move(turn, transport)
        head, frame = turn.head, turn.frame
        sent = head.sent_samples
        have = turn.audio.received - sent
        if have < frame:
            return
        known = transport.holds or transport.acknowledges
        lead = round((transport.lead_s if known else min(transport.lead_s, BLIND_LEAD_S)) * self._rate)
        ahead = head.ahead(now)
        due = min(lead - ahead, have)
        last = turn.finished and due == have
        if due < frame or (due < BATCH_S * self._rate and ahead > lead // 2 and not last):
            return
        due = min(due, transport.room())
        due -= due % frame
        if due <= 0:
            self._counts["no_room"] += 1
            return
        first = not turn.given
        if first and turn.held and transport.ahead is not None:
            turn.silent = True
            transport.ahead.silent_nowait(turn.turn)
        pcm = turn.audio.take(sent, sent + due)
        if self._sounded is not None and not turn.silent:
            if turn.given and (through_s := head.through_s(now)) < now - DRY_S:
                self._sounded.fell_silent(through_s)
            self._sounded.sent(pcm)
        head.sent(sent + due, now)
        self._counts["messages"] += 1
        self._counts["frames"] += due // frame
        turn.given = True
        transport.play_nowait(turn.turn, sent, pcm)
        if not turn.silent:
            turn.audio.forget(head.past(now) // frame * frame)
        if first and not turn.silent:
            self._send(FirstAudio(turn.turn))

    def _sets_out(self, turn: _Turn, transport: Transport, now: float) -> bool:
        """Whether a held turn may be sent, because it is due by the time that it arrives."""
        if turn.due_s is None or transport.ahead is None or turn.moved or (turn.given and not turn.silent):
            return False
        late_s = now + transport.ahead.way_s - turn.due_s
        if late_s > AHEAD_MOST_S:
            turn.due_s = None
            if turn.silent:
                self._stand(turn, transport, now)
        return 0 <= late_s <= AHEAD_MOST_S and not turn.head.held

    def _stand(self, turn: _Turn, transport: Transport, now: float) -> None:
        """What was given stays where it is."""
        if turn.head.held:
            return
        turn.head.hold(now)
        turn.answered = False
        transport.hold_nowait(turn.turn)
        turn.word_s = now if turn.head.settled(now) or turn.answered else now + WORD_S

    def _move(self, turn: _Turn, transport: Transport) -> None:
        """Goes on at another transport, from what was heard at the last."""
        turn.moved = False
        place = turn.head.restart(turn.frame, turn.audio.kept, transport.acknowledges, transport.holds)
        if turn.given:
            self._counts["moved"] += 1
            turn.audio.silence(place, turn.head.least)
            transport.resume_nowait(turn.turn, place)

    def _resume(self, turn: _Turn, now: float) -> None:
        goes_on = turn.head.held and not turn.moved
        if goes_on:
            self._fell_silent(turn, now)
        turn.held = turn.resuming = False
        turn.due_s = None
        if goes_on:
            place = turn.head.resume(now)
            if self._transport is not None:
                self._transport.resume_nowait(turn.turn, place)
        elif turn.silent and not turn.moved and self._transport is not None and self._transport.ahead is not None:
            self._transport.ahead.aloud_nowait(turn.turn)
        if turn.silent:
            turn.silent = False
            if self._sounded is not None:
                # What the clock is past sounds now, and what follows as much later, as if the way were longer.
                self._sounded.sent(turn.audio.take(turn.head.position(now), turn.head.sent_samples))
            self._send(FirstAudio(turn.turn))
        self._pump(turn, now)
        self._check_end(turn, now)

    def _grant(self, turn: _Turn, now: float) -> None:
        until = turn.head.position(now) + round(CREDIT_S * self._rate)
        if until - turn.granted >= CREDIT_STEP_S * self._rate:
            turn.granted = until
            self._credit(turn.turn, until)

    def _stop(self, turn: _Turn, now: float) -> None:
        """Clears playout; the end follows when the listener has said how far it came."""
        known = turn.head.held and now >= turn.word_s
        turn.stopping, turn.word_s = True, 0.0
        turn.silent_s = turn.silent_s if turn.held else now
        if self._transport is None or turn.moved or not turn.given or turn.silent:
            self._clear(turn)
            self._conclude(turn, now)
            return
        turn.head.hold(now)
        turn.answered = False
        self._clear(turn)
        if known or turn.answered or turn.head.settled(now):
            self._conclude(turn, now)
        else:
            turn.word_s = now + WORD_S

    def _clear(self, turn: _Turn) -> None:
        if turn.given:
            self._cleared = turn.turn
            if self._transport is not None:
                self._transport.clear_nowait(turn.turn)

    def _check_end(self, turn: _Turn, now: float) -> None:
        """Ends the turn when all of it was heard."""
        if turn.stopping or turn.silent or self._turn is not turn:
            return
        if not turn.finished:
            quiet = turn.failure is not None and now - turn.news_s > QUIET_S
            if not quiet or turn.head.position(now) < turn.audio.received:
                return
            turn.head.finished(turn.audio.received, whole=False)
            turn.finished = True
        if (turn.given or not turn.held) and turn.head.ended(now):
            self._conclude(turn, now)

    def _conclude(self, turn: _Turn, now: float) -> None:
        heard = self._heard(turn, now)
        if turn.given and not turn.silent:
            self._tail = (turn.silent_s if turn.held or turn.stopping else now, turn.head.playing(now))
            self._fell_silent(turn, now, dropped=True)
        self._over(turn, heard)
        if turn.held and not turn.stopping:
            self._clear(turn)
        if turn.failure is not None:
            self._send(ReplyFailed(turn.turn, heard, *turn.failure))
        elif turn.stopping:
            self._send(ReplyStopped(turn.turn, heard))
        else:
            self._send(ReplyEnded(turn.turn, heard))

    def _heard(self, turn: _Turn, now: float) -> Heard:
        if turn.silent:
            turn.head.unheard()
        return turn.head.heard(now)

    def _over(self, turn: _Turn, heard: Heard) -> None:
        self._turn = None
        self._last = heard
        self._ticker.remove(self)
        self._counts.update(_counted(turn))
        for _, waiter in turn.waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _reach(self, turn: _Turn, now: float) -> tuple[float, int]:
        """When all but so many of the samples that were sent had sounded, or will have; and how many."""
        head = turn.head
        if turn.held or turn.stopping:
            silent_s = turn.silent_s + head.overrun / self._rate
            return silent_s, head.sent_samples - head.position(silent_s)
        return head.through_s(now), 0

    def _fell_silent(self, turn: _Turn, now: float, *, dropped: bool = False) -> None:
        """`dropped`: what was sent and has not sounded never will."""
        if self._sounded is None or not turn.given or turn.silent or turn.moved:
            return
        at_s, unplayed = self._reach(turn, now)
        if at_s > now and not unplayed:
            at_s, unplayed = now, turn.head.sent_samples - turn.head.position(now)
        self._sounded.fell_silent(at_s, unplayed, dropped=dropped)

    def _send(self, event: Event) -> None:
        if not self._closed:
            self._post(event)

    def _heard_up_to(self, turn: _Turn, place: int, now: float) -> bool:
        return turn.head.text.heard_up_to(place, turn.head.position(now))


def _counted(turn: _Turn) -> dict[str, int]:
    """What a turn's own parts count."""
    return {
        "underruns": turn.head.underruns,
        "dry_samples": turn.head.dry_samples,
        "gap_samples": turn.audio.gap,
        "overlap_samples": turn.audio.overlap,
        "unknown_marks": turn.head.text.unknown_marks,
    }
