"""How much of a turn was written that its listener has not said to have played: pure.

A gRPC stream takes what its receiver allows (its flow control window, 4 MiB with gRPC's C core: 43 s of audio), and
tells nobody how much of it has arrived. What is written there no hold can overtake. The one thing that says how far the
listener is, is its own word; so while it gives one, no more than `most` samples are under way to it. A turn whose
listener has said nothing yet is left to the downlink, which feeds by the clock then.
"""

from __future__ import annotations


class Underway:
    """`most`: samples beyond the listener's last word."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._turn = -1
        self._end = 0
        self._said: int | None = None

    def sent(self, turn: int, end: int) -> None:
        """The turn's audio up to `end` was handed over; after a hold that may be less than before."""
        if turn != self._turn:
            self._turn, self._said = turn, None
        self._end = end

    def played(self, turn: int, samples: int) -> None:
        if turn == self._turn:
            self._said = max(self._said or 0, samples)

    def room(self) -> int | None:
        """Samples that may still be sent; None: nothing is known."""
        return None if self._said is None else max(0, self._most - (self._end - self._said))
