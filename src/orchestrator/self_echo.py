"""Whose sound it is that begins over a reply: the loudspeaker's, or the user's. By ear, not by words. Pure.

Words are no help with what a recogniser makes of a fragment: a reply is held as soon as its echo is voiced, so 100 to
400 ms of echo are all that is heard, and read as other words. `likeness` tells from the sound. The rules:

**Nothing is decided without the loudspeaker's sharp peak** in what is heard: `SHARP`, or less at the delay at which its
echo came before: `SHARP_BETWEEN`, or `SHARP_AGAIN` where the filter explains `SHARE_AGAIN`. Where no echo is, there is
no peak, and the user is heard as if this did not exist.

**While the sound goes on** it is the loudspeaker's if a short filter explains most of it (`ALONE`). **When it ended**
less will do (`ENDED`), as a room's late reverberation cannot be explained; but who was still heard `AFTER_S` after the
loudspeaker's last sound is the user: an echo falls silent with the loudspeaker. What is in doubt is left to the words.

**While an echo goes on** it is kept out. When less is explained than was of this loudspeaker until then (`LESS`), twice
in a row, somebody speaks over it: an utterance begins, the reply is held, and only at its end, and by more, may it
prove to be the echo alone after all.

**After `KNOWN` echoes in a row** the next sound over a reply is listened to for 100 to 160 ms before it holds the
reply. Otherwise it would be held at every phrase. The first utterance that is none takes that back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from enum import Enum

import numpy as np

from orchestrator.decimator import Sound
from orchestrator.likeness import NEAR, RATE, SHARP, Likeness, likeness

SHARP_AGAIN, SHARE_AGAIN = 6.0, 0.35
SHARP_BETWEEN = 11.0
ALONE, ENDED, LEAST = 0.5, 0.3, 0.2
LESS = 0.7
AFTER_S = 0.15
KNOWN = 3
SHORTEST_S, SHORTEST_AGAIN_S = 0.16, 0.1
EVERY_S, LONGER = 0.04, 1.5
"""A sound is looked at again when it goes on for so long; so much longer where no echo is known yet."""
DOUBT_S = 0.2
"""A sound that is not known for an echo by then is not kept waiting for longer."""
AROUND = round(0.1 * RATE)
WINDOW_S = 0.24
"""What is looked at of an echo that goes on."""
LONGEST_S = 0.6
"""What is looked at of an utterance: a longer one is told by its words."""
FADED = 0.1
"""Of its loudness: an echo so faint is over, and what is left of it is reverberation."""
_PAST = 8


class Verdict(Enum):
    ECHO = "echo"
    USER = "user"
    """Not the loudspeaker alone."""
    OPEN = "open"


class SelfEcho:
    """One session's. Sounds are as `likeness` takes them."""

    def __init__(self) -> None:
        self._row = 0
        self._lag: int | None = None
        self._shares: deque[float] = deque(maxlen=_PAST)
        self._missed = 0
        self._contested = False
        """Somebody seemed to speak over the echo."""
        self._due = 0
        self.reckoned = 0

    @property
    def known(self) -> bool:
        """The last sounds over a reply were echoes: the next one probably is, too."""
        return self._row >= KNOWN

    def forget(self) -> None:
        """Another microphone, or another loudspeaker."""
        self._row, self._lag = 0, None
        self._shares.clear()

    def begins(self) -> None:
        """Another sound."""
        self._missed, self._contested, self._due = 0, False, 0

    def due(self, heard: int) -> bool:
        """Whether a sound that goes on, and of which so many samples were heard, is to be looked at."""
        least = round((SHORTEST_S if self._lag is None else SHORTEST_AGAIN_S) * RATE)
        return not self._contested and max(least, self._due) <= heard <= LONGEST_S * RATE

    def going_on(self, heard: Sound, played: Sound) -> Verdict:
        """Of a sound from its beginning until now; ask when it is `due`."""
        self._due = round(len(heard) * LONGER if self._lag is None else len(heard) + EVERY_S * RATE)
        found = self._reckon(heard, played)
        if not self._is_there(found):
            return Verdict.OPEN
        return self._echo(found) if found.share >= min(ALONE, max(self._less, LEAST)) else Verdict.OPEN

    def ended(self, heard: Sound, played: Sound) -> Verdict:
        """Of an utterance, to its last voiced sample. It counts as none of an echo's row if it is none."""
        if len(heard) >= SHORTEST_AGAIN_S * RATE:
            found = self._reckon(heard, played)
            least = max(self._less, LEAST) if self._contested else min(ENDED, self._less)
            if self._is_there(found) and found.share >= least:
                sounds = np.flatnonzero(played)
                last = int(sounds[-1]) + 1 if len(sounds) else 0
                # Sample n of `heard` is sample n + delays - lag of `played`.
                after = len(played) - found.lag - last
                if after <= AFTER_S * RATE:
                    return self._echo(found)
        self.not_one()
        return Verdict.USER

    def not_one(self) -> None:
        """An utterance over a reply was too long for an echo."""
        self._row = 0

    def still(self, heard: Sound, played: Sound) -> Verdict:
        """Of the last `WINDOW_S` of an echo that goes on: USER when somebody speaks over it."""
        late = heard[-len(heard) // 3 :]
        if float(late @ late) * 3 < FADED * float(heard @ heard):
            return Verdict.OPEN
        found = self._reckon(heard, played, around=True)
        there = self._is_there(found)
        if there and found.share >= max(self._less, LEAST):
            self._missed = 0
            self._learn(found)
            return Verdict.ECHO
        self._missed += 1
        if self._missed < 2:
            return Verdict.OPEN
        self._contested = True
        return Verdict.USER

    # --- inside ------------------------------------------------------------------------------------------------------

    @property
    def _less(self) -> float:
        """What is explained at least of this loudspeaker's echo."""
        return LESS * float(np.median(self._shares)) if self._shares else ALONE

    def _reckon(self, heard: Sound, played: Sound, *, around: bool = False) -> Likeness:
        """`around`: at delays around the known one only, for a quarter of the work."""
        self.reckoned += 1
        if not around or self._lag is None:
            return likeness(heard, played, self._lag)
        delays = len(played) - len(heard)
        least, most = max(0, self._lag - AROUND), min(delays, self._lag + AROUND)
        found = likeness(heard, played[delays - most : len(played) - least], self._lag - least)
        return replace(found, lag=found.lag + least)

    def _is_there(self, found: Likeness) -> bool:
        if found.sharp >= SHARP:
            return True
        if self._lag is None or abs(found.lag - self._lag) > NEAR:
            return False
        return found.sharp >= (SHARP_AGAIN if found.share >= SHARE_AGAIN else SHARP_BETWEEN)

    def _echo(self, found: Likeness) -> Verdict:
        self._row += 1
        self._missed = 0
        self._learn(found)
        return Verdict.ECHO

    def _learn(self, found: Likeness) -> None:
        self._lag = found.lag
        self._shares.append(found.share)
