"""One turn's truth of what was sent and what was heard. Pure.

`now` (monotonic seconds) and media time (samples of the turn at the output rate) meet here. Where the listener is, is
known from two sources: what it says (`played`), and the clock, which runs on from there at the audio's own pace, never
beyond what was sent. A listener that has said nothing for `SILENT_S` is believed to be where the clock is: it was sent
nothing further ahead than its transport's lead, so that is "sent less the lead".

On a hold the clock stops at once, and what the listener says while held is where it stopped. Who keeps its own queue
over a hold is told to go on from no later than it ever said; it is there already. For everyone else the place is ours
to name.
"""

from __future__ import annotations

import math

from orchestrator.conversation.asking import asks
from orchestrator.conversation.characters import speakable
from orchestrator.conversation.chunker import Chunk
from orchestrator.conversation.events import Heard, Playing
from orchestrator.conversation.spoken import Span, Spoken
from orchestrator.ports import SpokenMark

SILENT_S = 1.0
KEPT_S = 1.0
"""Audio is kept this far behind a listener that says nothing; more is not sent again."""
MOST_LAG_S = 0.3
"""The way to the listener and back that is made up for, at most."""
DOUBT_S = 0.02
NEARLY_S = 0.02
NEARLY_FOR_S = 0.3
"""A listener that stays this near the end for this long rounds; it has heard all."""
STALLED_S = 10.0
HEARD_S = 1.5
AHEAD_S = 1.0
NEAR_S = 0.6
"""How much before and after the listener's place may be what they hear: marks are reckoned, news and sound are late."""
ANSWER_S = 1.2
"""A question that was heard this long ago may still be what "yes" answers."""


class Playhead:
    """`rate`: samples a second. `acknowledges`, `holds`: what the transport says of itself."""

    def __init__(self, turn: int, rate: int, acknowledges: bool = True, holds: bool = True) -> None:
        self.turn = turn
        self.rate = rate
        self.text = Spoken(rate)
        self._acknowledges = acknowledges
        self._holds = holds
        self._writing = True
        self._total: int | None = None
        self._sent = 0
        """How far the present transport was given the turn; `_reach`: how far any was."""
        self._reach = 0
        self._said = 0
        """The furthest that a listener said; `_low`: what the present one can say without going back."""
        self._low = 0
        self._least = 0
        """What was taken for heard when the last transport was lost."""
        # The clock: the listener was at `_at` when it was `_at_s`. `_free` is the same, never put right by its word;
        # how far its word is behind that is `_lag`: the way there and back, which is no audio in hand.
        self._at = 0
        self._at_s = 0.0
        self._free = 0
        self._free_s = 0.0
        self._lag: float | None = None
        self._first_s: float | None = None
        self._said_s: float | None = None
        self._progress_s = 0.0
        self._held = self._lost = False
        self._held_at = 0
        self._held_s = self._settled_s = 0.0
        self.clamped = 0
        self.underruns = 0
        self.dry_samples = 0

    # --- the text ----------------------------------------------------------------------------------------------------

    def wrote(self, text: str) -> None:
        self.text.wrote(text)

    def finished_writing(self) -> None:
        self._writing = False

    def chunk(self, chunk: Chunk) -> None:
        self.text.chunk(chunk)

    def mark(self, mark: SpokenMark) -> list[Span]:
        return self.text.mark(mark)

    def received(self, sample_end: int) -> None:
        """Audio of the turn up to `sample_end` has come from the voice."""
        self.text.received(sample_end)

    def finished(self, samples: int, *, whole: bool = True) -> None:
        """No more audio comes; the turn has `samples`. `whole`: everything that was cut is in them."""
        self._total = samples
        if whole:
            self.text.finished(samples)

    # --- sent and played ---------------------------------------------------------------------------------------------

    @property
    def sent_samples(self) -> int:
        return self._sent

    @property
    def least(self) -> int:
        """What counts as heard whatever the present listener says: what was heard at the transports before."""
        return self._least

    def sent(self, sample_end: int, now: float) -> None:
        """The transport was given audio up to `sample_end`."""
        if self._first_s is None:
            self._first_s = now
            self._at = self._free = self._sent
            self._at_s = self._free_s = now
        else:
            dry = self._at + (now - self._at_s) * self.rate - self._sent
            if dry >= 1:
                self.underruns += 1
                self.dry_samples += int(dry)
                self._at, self._at_s = self._sent, now
            if self._free + (now - self._free_s) * self.rate > self._sent:
                self._free, self._free_s = self._sent, now
        if self._said >= self._sent:
            self._progress_s = now
        self._sent = max(self._sent, sample_end)
        self._reach = max(self._reach, self._sent)

    def played(self, samples: int, now: float) -> bool:
        """The listener says that `samples` left its loudspeaker. False: that cannot be; it was clamped and counted."""
        most = self._reach if self._lost else self._sent
        possible = self._low <= samples <= most
        self.clamped += not possible
        self._acknowledges = True
        self._low = samples = max(self._low, min(samples, most))
        if self._said_s is None or samples > self._said:
            self._progress_s = now
        self._said_s = now
        self._said = max(self._said, samples)
        if self._held or self._lost:
            self._at = max(samples, self._least)
            self._answered(samples, now)
            return possible
        if samples > self._least:
            lag = (min(self._sent, self._free + (now - self._free_s) * self.rate) - samples) / self.rate
            self._lag = min(max(lag, 0.0), MOST_LAG_S if self._lag is None else self._lag)
        self._at, self._at_s = samples, now
        return possible

    def position(self, now: float) -> int:
        """Samples of the turn that left the loudspeaker, as far as can be known."""
        if self._lost or self._held:
            return self._at
        return max(self._least, min(self._sent, round(self._at + (now - self._at_s) * self.rate)))

    def ahead(self, now: float) -> int:
        """Samples that the listener was sent and has not yet played, those on their way there and back left out."""
        lag = 0.0 if self._lag is None or self._by_clock(now) else self._lag
        return self._sent - self.position(now) - int(lag * self.rate)

    def through_s(self, now: float) -> float:
        """When the last of what was sent left the loudspeaker, or will, if it is not held. A listener that is late with
        its word is late: it is not taken for dry until it says so.
        """
        if self._said >= self._sent:
            return self._progress_s
        clock_s = self._at_s + (self._sent - self._at) / self.rate
        return clock_s if self._by_clock(now) else max(clock_s, now)

    def past(self, now: float) -> int:
        """Samples that will not be asked for again, whatever happens to the transport."""
        return max(self._said, self._least, self.position(now) - round(KEPT_S * self.rate))

    def _by_clock(self, now: float) -> bool:
        """Whether the listener's word is not to be had."""
        if not self._acknowledges:
            return True
        since = self._first_s if self._said_s is None else self._said_s
        return since is not None and now - since > SILENT_S

    # --- hold and resume ---------------------------------------------------------------------------------------------

    @property
    def held(self) -> bool:
        return self._held

    @property
    def overrun(self) -> int:
        """How much further than where the clock was at the hold the listener says it came, in samples."""
        return self._at - self._held_at if self._held else 0

    def settled(self, now: float) -> bool:
        """Since the hold the listener said where it stopped, or its word is not to be had.

        What comes sooner than the way there and back may have set out before the hold arrived: it counts when an answer
        had the time to come. One that lies before where the clock was is doubted for a frame longer. The clock is a
        little ahead of an honest listener, which plays and counts in blocks: this is no reason to wait for ever.
        """
        return now >= self._settled_s

    def _answered(self, samples: int, now: float) -> None:
        """The listener's word came during a hold."""
        way = MOST_LAG_S if self._lag is None else self._lag
        if samples < self._held_at and now < self._held_s + way:
            way += DOUBT_S
        self._settled_s = min(self._settled_s, max(now, self._held_s + way))

    def hold(self, now: float) -> None:
        if self._held:
            return
        self._at = self._held_at = self.position(now)
        known = self._lost or self._first_s is None or self._by_clock(now)
        self._held_s, self._settled_s = now, now if known else math.inf
        self._held = True

    def resume(self, now: float) -> int:
        """Goes on; returns the sample from which."""
        if self._held:
            self._held = False
            self._at_s = self._free_s = self._progress_s = now
            self._free = self._at
            if self._said_s is not None:
                self._said_s = now
            elif self._first_s is not None:
                self._first_s = now
        return max(self._said, self._least) if self._holds else self._at

    def lose(self, now: float) -> None:
        """The transport is lost. What it was sent and did not say it played is taken for not heard."""
        if self._lost:
            return
        if self._held or self._by_clock(now):
            self._at = self.position(now)
        else:
            self._at = max(self._said, self._least)
        self._lost = True
        self._settled_s = now

    def unheard(self) -> None:
        """Nothing that was sent was heard, or will be: as if it had not been sent."""
        self._sent = self._reach = self._said = self._low = self._least = self._at = self._free = 0
        self._first_s = self._said_s = self._lag = None
        self._held = self._lost = False

    def restart(self, frame: int, kept: int, acknowledges: bool, holds: bool) -> int:
        """Another transport goes on, with audio that is there from sample `kept` on.

        Returns the place to send from, a multiple of `frame`. What lies between there and `least` was heard already
        and is to be sent as silence.
        """
        self._acknowledges = acknowledges
        self._holds = holds
        self._at = self._least = max(self._at, kept)
        self._sent = self._low = self._least // frame * frame
        self._first_s = self._said_s = self._lag = None
        self._lost = self._held = False
        return self._sent

    # --- the end -----------------------------------------------------------------------------------------------------

    def ended(self, now: float) -> bool:
        """Everything was heard, and nothing more comes."""
        if self._total is None or self._sent < self._total:
            return False
        if self._said >= self._total:
            return True
        if self._by_clock(now):
            return self.position(now) >= self._total
        if self._held or self._lost or self._said_s is None:
            return False
        return self._total - self._said <= NEARLY_S * self.rate and now - self._progress_s >= NEARLY_FOR_S

    def stalled(self, now: float) -> bool:
        """The listener says again and again that it has not moved on, though there is audio to play."""
        waits = not self._held and not self._lost and self._said < self._sent
        return waits and self._said_s is not None and not self._by_clock(now) and now - self._progress_s > STALLED_S

    def heard(self, now: float) -> Heard:
        """What was heard until now; after `ended`, all."""
        samples = self._total if self._total is not None and self.ended(now) else self.position(now)
        text, unheard = self.text.heard(samples)
        return Heard(self.turn, samples, text, unheard, not self._writing and not speakable(unheard))

    def playing(self, now: float) -> Playing:
        """What the listener hears just now, for telling the loudspeaker's words from their own."""
        at, text = self.position(now), self.text.text
        whens = (-HEARD_S, -ANSWER_S, -NEAR_S, 0.0, NEAR_S, AHEAD_S)
        places = self.text.positions(max(0, at + round(when * self.rate)) for when in whens)
        start, answer, near, here, soon, end = places
        return Playing(
            self.turn, start, text[start : max(end, here)], text[near : max(soon, here)], asks(text, here, answer)
        )
