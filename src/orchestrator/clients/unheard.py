"""One utterance as its recogniser was told it, and all that another one needs to go on with it. Pure.

Its audio is kept until there is a final, up to `KEPT_BYTES`, the newest: what nobody was told of yet (`untold`), and
what somebody was, who may be lost. A recogniser that is lost leaves text that the user was shown: what was stable of it
stands, word for word, whoever hears the rest. Another one hears what is kept again, says the same in words of its own,
and its text is taken from where the stable one ends (`continued`). What is given up is kept no longer; all of its text
stands as it is, and what is heard from then on follows it. So it is where a recogniser ends what is too long for it
(`go_on`), but for the audio that it did not hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from base.audio import BYTES_PER_SAMPLE, UPLINK_RATE
from orchestrator.conversation.words import is_cjk, spans

KEPT_BYTES = UPLINK_RATE * BYTES_PER_SAMPLE * 20
MESSAGE_BYTES = UPLINK_RATE * BYTES_PER_SAMPLE
"""What has waited, and what is told again, goes in messages of up to a second."""
MOST_LOSSES = 2
"""So many recognisers may be lost while they hear an utterance; another one is not tried with the same audio."""
LOOKED_AT = 120
"""Words of stable text that are looked for in what is heard again: in twice as many at its end."""
_SAME, _OTHER = 2, -1


class Unheard:
    """See the module. `wire`: its number on the present stream; None while it is told to nobody."""

    def __init__(self, utterance: int) -> None:
        self.utterance = utterance
        self.wire: int | None = None
        self.ended: int | None = None
        self.ended_s = 0.0
        self.again_s: float | None = None
        """When it is to be told to somebody again."""
        self.losses = 0
        self.given_up = 0
        self.refused = 0
        self.told = False
        """The user knows that something of it may be lost."""
        self._kept = bytearray()
        self._told = 0
        """Bytes of it that whoever hears it now was told of."""
        self._end = 0
        """One past its last sample."""
        self.overrun = False
        """Whoever hears it now takes so little of it that some was given up untold."""
        self._whole = True
        """What is kept is all since the last time that it was given up."""
        self._before = ""
        """What was understood until then."""
        self._stable = ""
        """What stands of what was understood since."""
        self._shown = ""
        """All that was understood since, as it was shown last."""
        self._catching_up = False
        self._same: tuple[str, str] = ("", "")
        """How what is heard again begins, and what that stands for: it need not be laid beside the stable text anew."""

    @property
    def kept_bytes(self) -> int:
        return len(self._kept)

    @property
    def text(self) -> str:
        """What the user was shown last."""
        return _joined(self._before, self._shown)

    @property
    def waits(self) -> bool:
        """Some of it is untold: it has its place in the line to whoever hears it."""
        return self._told < len(self._kept)

    def audio(self, sample: int, pcm: bytes) -> None:
        self._kept += pcm
        self._end = sample + len(pcm) // BYTES_PER_SAMPLE
        over = len(self._kept) - KEPT_BYTES
        if over > 0:
            del self._kept[:over]
            self.overrun = self.overrun or (self.wire is not None and over > self._told)
            self._told = max(0, self._told - over)
            self._whole = False

    def untold(self) -> tuple[int, bytes] | None:
        """The next message, and its first sample; None: there is no more. It counts as told."""
        rest = len(self._kept) - self._told
        if not rest:
            return None
        begin, self._told = self._told, self._told + min(rest, MESSAGE_BYTES)
        with memoryview(self._kept) as kept:
            return self._end - rest // BYTES_PER_SAMPLE, bytes(kept[begin : self._told])

    def begin(self, wire: int | None) -> None:
        """From now on whoever knows it by this number hears it, from the first sample that is kept."""
        self.again_s = None
        self.wire = wire
        self._told, self.overrun = 0, False

    def lost(self) -> None:
        """Nobody hears it just now; who does next hears what is kept."""
        self.wire = None
        self._catching_up, self._same = bool(self._shown), ("", "")

    def give_up(self) -> None:
        """What is kept is not heard again; what was understood stands."""
        self.given_up += 1
        self.forget()
        self._begin_piece()

    def go_on(self, sample: int) -> None:
        """Who hears it hears nothing from `sample` on: what was understood stands, what follows is another piece."""
        first = self._end - len(self._kept) // BYTES_PER_SAMPLE
        del self._kept[: max(0, sample - first) * BYTES_PER_SAMPLE]
        self._begin_piece()
        self._whole = not self._kept or first <= sample

    def _begin_piece(self) -> None:
        self.wire = None
        self.losses = 0
        self._before, self._stable, self._shown = self.text, "", ""
        self._whole, self._catching_up, self._same = True, False, ("", "")

    def forget(self) -> None:
        """No audio is needed any more."""
        self._kept.clear()
        self._told = 0

    def partial(self, text: str, stable: int) -> tuple[str, int] | None:
        """What to show, and how much of it is stable; None: who hears it again has not come as far as what is shown."""
        new = self._continued(text)
        self._stable = new[: max(len(self._stable), len(new) - (len(text) - stable))]
        if self._catching_up and len(new) < len(self._shown):
            return None
        self._catching_up = False
        self._shown = new
        return self.text, len(self.text) - len(new) + len(self._stable)

    def final(self, text: str) -> str:
        self._shown = self._continued(text)
        return self.text

    def _continued(self, text: str) -> str:
        heard, stands = self._same
        if heard and text.startswith(heard):
            new = stands + text[len(heard) :]
            if new.startswith(self._stable):
                return new
        new = continued(self._stable, text, whole=self._whole)
        alike = takewhile(lambda x: x[0] == x[1], zip(reversed(new), reversed(text), strict=False))
        more = min(sum(1 for _ in alike), len(new) - len(self._stable))
        if 0 < more < len(text) and not self._catching_up:
            # With a character of what follows, which shows that the word before is over.
            self._same = (text[: len(text) - more + 1], new[: len(new) - more + 1])
        return new


def continued(stable: str, text: str, *, whole: bool) -> str:
    """`stable`, and what `text` says after it. `text` says anew all that `stable` does (`whole`), or the end of it.

    The words of both are laid side by side so that as many as may be are the same (Needleman and Wunsch 1970), and all
    of `stable` is used up: what is left of `text` follows.
    """
    if text.startswith(stable):
        return text
    said, found = spans(stable), spans(text)
    whole = whole and len(said) <= LOOKED_AT and len(found) <= 2 * LOOKED_AT
    found = found[-2 * LOOKED_AT :]
    count = _overlap([w for w, _, _ in said[-LOOKED_AT:]], [w for w, _, _ in found], whole=whole)
    if not count:
        return _joined(stable, text)
    if count == len(found) and found[-1][0] != said[-1][0]:
        return stable  # it has not come as far, or says it otherwise
    rest = text[found[count - 1][2] :]
    mark = rest[: len(rest) - len(rest.lstrip("".join(c for c in set(rest) if not c.isalnum() and not c.isspace())))]
    if stable[-1].isalnum():
        stable += mark
    return _joined(stable, rest[len(mark) :])


def _overlap(said: Sequence[str], found: Sequence[str], *, whole: bool) -> int:
    """How many words of `found` say what the end of `said` (all of it, where `whole`) says."""
    row = [_OTHER * i if whole else 0 for i in range(len(said) + 1)]
    best, most = 0, row[-1]
    for j, word in enumerate(found, 1):
        above, row = row, [_OTHER * j]
        for i, other in enumerate(said, 1):
            same = above[i - 1] + (_SAME if word == other else _OTHER)
            row.append(max(same, above[i] + _OTHER, row[-1] + _OTHER))
        if row[-1] >= most and (whole or row[-1] > 0):
            best, most = j, row[-1]
    return best


def _joined(before: str, after: str) -> str:
    """Two stretches of text as one, which begins with the first."""
    after = after.strip() if before else after
    if not before or not after or before[-1].isspace() or (is_cjk(before[-1]) and is_cjk(after[0])):
        return before + after
    return f"{before} {after}"
