"""Which words of an utterance that is decoded again and again are stable. Pure.

LocalAgreement-2 (Macháček et al. 2023, "Turning Whisper into Real-Time Transcription System"; Liu et al. 2020): a word
is stable once two decodes in a row begin alike up to it. What is stable never changes; the rest of the newest decode is
a guess. A decode covers the audio since the last cut; which of its words are stable already is found by text and time:
the beginning that is least unlike the stable words, and ends where they end.

Two words are alike if they differ in case and punctuation only. What follows the last stable word's letters stays open,
for a comma often becomes a full stop, until a word after it is stable.

So that a decode's cost does not grow with the utterance, audio is cut off at the end of a stable sentence, without one
at the last stable word, and in the end, where no two decodes agree, at what the newest one says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from base.audio import UPLINK_RATE

KEPT_S = 4.0
"""Where a cut is forced, the last seconds stay."""
_OLD = 3 * UPLINK_RATE // 2
"""A cut is better made where so much is known of what follows: the times of a clip's last words are the least sure."""
_NEAR = 4 * UPLINK_RATE
"""How far before its end stable text is compared with a decode."""
_ECHO = UPLINK_RATE * 3 // 10
"""A decode may begin with the rest of the word that was cut off."""
_SENTENCE_ENDS = frozenset(".?!。？！…")


@dataclass(frozen=True, slots=True)
class Heard:
    """A word: `text` with a leading space where it has one; samples in the session's media time."""

    text: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Cuts:
    """From `sentence_s` on a cut is made at the end of a stable sentence, from `word_s` on at a stable word, and from
    `forced_s` on wherever it may be.
    """

    sentence_s: float = 12.0
    word_s: float = 18.0
    forced_s: float = 24.0


LONG = Cuts()
"""For a model that takes equally long for any clip, and hears better with more around a word."""


class Agreement:
    """One utterance, which begins at the sample `start`."""

    def __init__(self, start: int = 0, cuts: Cuts = LONG) -> None:
        self._cuts = cuts
        self.cut = start
        """The first sample that the next decode is to cover."""
        self._settled: list[Heard] = []
        self._loose: list[Heard] = []

    @property
    def words(self) -> tuple[Heard, ...]:
        """All words so far, stable ones first."""
        return (*self._settled, *self._loose)

    @property
    def text(self) -> str:
        return _joined(self.words)

    @property
    def stable(self) -> int:
        """The first so many code points of `text` will not change."""
        if not self._settled:
            return 0
        last = self._settled[-1]
        return len(_joined((*self._settled[:-1], replace(last, text=_letters(last.text)))))

    def hear(self, decoded: Sequence[Heard]) -> None:
        """A decode of everything from `cut` on, newer than the one before."""
        new = self._new(decoded)
        agreed = 0
        while agreed < min(len(new), len(self._loose)) and _key(new[agreed]) == _key(self._loose[agreed]):
            agreed += 1
        self._settled += new[:agreed]
        self._loose = new[agreed:]

    def settle(self, decoded: Sequence[Heard] | None) -> None:
        """The last decode; None: the one before was the last. All its words are stable; times never go back."""
        self._settled += self._loose if decoded is None else self._new(decoded)
        self._loose = []
        at = 0
        for number, word in enumerate(self._settled):
            at = max(at, word.start)
            self._settled[number] = replace(word, start=at, end=max(at, word.end))

    def trim(self, end: int) -> None:
        """Moves `cut`, where what lies between it and `end` got long."""
        length_s = (end - self.cut) / UPLINK_RATE
        at = 0
        if length_s >= self._cuts.sentence_s:
            ends = (w.end for w in self._settled[:-1] if w.text[-1] in _SENTENCE_ENDS)
            at = max((sample for sample in ends if sample <= end - _OLD), default=0)
        if length_s >= self._cuts.word_s and at <= self.cut and self._settled:
            at = max((w.end for w in self._settled if w.end <= end - _OLD), default=self._settled[-1].end)
        if length_s >= self._cuts.forced_s and (at - self.cut) < UPLINK_RATE:
            at = self._force(end - round(KEPT_S * UPLINK_RATE))
        self.cut = min(max(self.cut, at), end)

    def _force(self, until: int) -> int:
        """Takes for stable what ends by `until`; where to cut."""
        taken = [w for w in self._loose if w.end <= until]
        self._settled += taken
        self._loose = self._loose[len(taken) :]
        return taken[-1].end if taken else until

    def _new(self, decoded: Sequence[Heard]) -> list[Heard]:
        """The words of a decode that come after the stable ones."""
        found = _tidy(decoded)
        known = [w for w in self._settled if w.end > self.cut]
        if not known:
            echo = self._settled and found and found[0].end - self.cut < _ECHO
            return found[1:] if echo and _key(found[0]) == _key(self._settled[-1]) else found
        after = _after(known, found)
        if after and _key(found[after - 1]) == _key(known[-1]):
            last = self._settled[-1]
            ending = found[after - 1].text.removeprefix(_letters(found[after - 1].text))
            self._settled[-1] = replace(last, text=_letters(last.text) + ending)
        self._retime(len(known), found[:after])
        return found[after:]

    def _retime(self, count: int, found: Sequence[Heard]) -> None:
        """The newer decode knows better when the last stable words were said: it heard more of what follows them."""
        for back, word in enumerate(reversed(found[-count:]), 1):
            old = self._settled[-back]
            if _key(old) != _key(word):
                break
            self._settled[-back] = replace(old, start=word.start, end=max(word.end, self.cut + 1))


def _after(known: Sequence[Heard], found: Sequence[Heard]) -> int:
    """How many words of `found` say what `known` says: the beginning with the least edit distance, and then in time."""
    end = known[-1].end
    known = [w for w in known if w.end > end - _NEAR]
    first = next((i for i, w in enumerate(found) if w.end > known[0].start), len(found))
    near = found[first:]
    row = list(range(len(known) + 1))
    best, least = first, row[-1] + _apart(near[0].start if near else end, end)
    for i, word in enumerate(near, 1):
        above, row = row, [i]
        for j, other in enumerate(known, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (_key(word) != _key(other))))
        cost = row[-1] + _apart(word.end, end)
        if cost < least:
            best, least = first + i, cost
    return best


def _apart(a: int, b: int) -> float:
    return 0.5 * abs(a - b) / UPLINK_RATE


def _tidy(decoded: Sequence[Heard]) -> list[Heard]:
    """Words that have letters; what has none belongs to the word before it."""
    words: list[Heard] = []
    for word in decoded:
        text = (" " if word.text[:1].isspace() else "") + word.text.strip()
        if _key(word):
            words.append(replace(word, text=text))
        elif words and text.strip():
            words[-1] = replace(words[-1], text=words[-1].text + text, end=max(words[-1].end, word.end))
    return words


def _key(word: Heard) -> str:
    return "".join(c for c in word.text.casefold() if c.isalnum())


def _letters(text: str) -> str:
    """Without what follows its last letter or digit."""
    end = len(text)
    while end and not text[end - 1].isalnum():
        end -= 1
    return text[:end]


def _joined(words: Sequence[Heard]) -> str:
    return "".join(w.text for w in words).lstrip()
