"""How long this user pauses within a turn: what ends a turn whose words do not show whether it is over. Pure.

Only pauses at such words count, which is the caller's to see to: who pauses after "and" is waited for because of the
"and", and need not wait longer for an answer to whole sentences.

The wait is to outlast three of four of the user's own pauses. What was seen of them is weighed against what is
configured, as if that had been seen a few times: one long pause changes nothing yet, the second does. A turn that was
said in one breath speaks for a shorter wait, though not much: that somebody does not pause today is no promise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

KEPT = 16
PRIOR = 4
"""How many observations what is configured counts for."""
OUTLAST = 0.75
MARGIN_MS = 100.0
SHORTEST = 0.7
"""Of what is configured: no history makes a turn end sooner by itself."""
LONGEST_S = 3.0
"""Who is silent for longer has ended the turn, whatever comes then."""


@dataclass(slots=True)
class Pauses:
    seen: deque[float | None] = field(default_factory=lambda: deque(maxlen=KEPT))
    """Seconds; None: a turn without a pause."""

    def turn(self, pauses: Iterable[float]) -> None:
        """A turn ended that had these pauses in it, after words that did not show that more would come."""
        real = [pause for pause in pauses if 0 < pause <= LONGEST_S]
        self.seen.extend(real or [None])

    def cut_off(self, pause: float) -> None:
        """The turn was ended in this pause: the user went on."""
        if 0 < pause <= LONGEST_S:
            if self.seen and self.seen[-1] is None:
                self.seen.pop()  # so much for one breath
            self.seen.append(pause)

    def usual_ms(self, configured_ms: float) -> float:
        """What ends a turn of this user. Never far below what is configured; the caller has the ceiling."""
        shortest = SHORTEST * configured_ms
        wanted = [shortest if pause is None else pause * 1000 + MARGIN_MS for pause in self.seen]
        ordered = sorted([configured_ms] * PRIOR + [max(shortest, ms) for ms in wanted])
        return ordered[min(len(ordered) - 1, int(OUTLAST * len(ordered)))]
