"""What a session did with its clips, against what is true. Pure; all times are seconds of the session's media time.

A **cut-off** is a turn ended while the speaker still had more to say in the clip. The **endpoint delay** runs from the
clip's last voiced sample to the first `turn_ended` after it; a clip without one before the next clip's first word was
*never answered*. A **false start** is speech by the detector that overlaps nothing that the speaker said.

The **partial latency** of a word runs from its end to the first transcript that has it: that holds the word as often as
it had been said by then, and came after the word before it had ended. Words never understood have none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from benchmarks.words import alignment
from orchestrator.conversation.words import words

SHORT_S = 0.5
NEAR_S = 0.15
"""A detector's edges are so exact: what begins so shortly after a word, or ends before it, is of it."""

Spans = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """One clip within its session: from `begins` to `ends`, said in `speech`."""

    name: str
    begins: float
    ends: float
    text: str
    speech: Spans
    words: tuple[tuple[str, float], ...] = ()
    """Each word with its end; empty where that is not known."""
    condition: str = ""


@dataclass(slots=True)
class Heard:
    """What came of a session. `speech`: first and last voiced sample of each utterance, by the detector."""

    speech: dict[int, tuple[float, float]] = field(default_factory=dict)
    transcripts: list[tuple[float, int, str]] = field(default_factory=list)
    """(when it came, utterance, text so far)"""
    turns: list[tuple[float, str]] = field(default_factory=list)
    """(when `turn_ended` came, its reason)"""
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scored:
    """One clip."""

    name: str
    condition: str
    seconds: float
    said: tuple[str, ...]
    heard: tuple[str, ...]
    """Of the utterances that began in it: one that went on through the next clip has that one's words too."""
    errors: int
    """Words to insert, delete or replace, when all words of the session are compared."""
    pauses: int
    cut_offs: int
    short_pauses: int
    """Of its pauses, those no longer than SHORT_S: who answers sooner than that cuts off people who only breathe."""
    short_cut_offs: int
    delay_s: float | None
    """None: never answered."""
    reason: str
    """Why the turn ended that the delay is of."""
    latencies_s: tuple[float, ...]
    """Of its words; where their ends are not known, one value: from its first voiced sample to the first words."""
    false_starts: int


def score(truths: Sequence[Truth], heard: Heard) -> list[Scored]:
    """Each clip's; an utterance belongs to the clip that it began in."""
    begins = [truth.speech[0][0] for truth in truths[1:]]
    wrong = _wrong([words(truth.text) for truth in truths], _joined({u: text for _, u, text in heard.transcripts}))
    return [
        _score(truth, heard, next_s, errors)
        for truth, next_s, errors in zip(truths, [*begins, float("inf")], wrong, strict=True)
    ]


def _wrong(said: Sequence[tuple[str, ...]], heard: tuple[str, ...]) -> list[int]:
    """How many words of each clip are wrong. Words that nobody said are of the clip whose word they follow."""
    owner = [number for number, clip in enumerate(said) for _ in clip]
    found = [0] * len(said)
    for place in alignment([word for clip in said for word in clip], heard):
        found[owner[min(max(place, 0), len(owner) - 1)]] += 1
    return found


def _score(truth: Truth, heard: Heard, next_s: float, errors: int) -> Scored:
    first, last = truth.speech[0][0], truth.speech[-1][1]
    mine = {u: span for u, span in heard.speech.items() if truth.begins <= span[0] < truth.ends}
    told = [(at, u, text) for at, u, text in heard.transcripts if u in mine]
    texts: dict[int, str] = {}
    for _, utterance, text in told:
        texts[utterance] = text
    ended = next(((at, reason) for at, reason in heard.turns if last <= at < next_s), None)
    return Scored(
        name=truth.name,
        condition=truth.condition,
        seconds=truth.ends - truth.begins,
        said=words(truth.text),
        heard=_joined(texts),
        errors=errors,
        pauses=len(truth.speech) - 1,
        cut_offs=sum(first <= at < last for at, _ in heard.turns),
        short_pauses=sum(_short(pause) for pause in _pauses(truth.speech)),
        short_cut_offs=sum(_in_short_pause(at, truth.speech) for at, _ in heard.turns if first <= at < last),
        delay_s=None if ended is None else ended[0] - last,
        reason="" if ended is None else ended[1],
        latencies_s=_latencies(truth, told),
        false_starts=sum(not _overlaps(span, truth.speech) for span in mine.values()),
    )


def _pauses(speech: Spans) -> Spans:
    return tuple((before[1], after[0]) for before, after in pairwise(speech))


def _short(pause: tuple[float, float]) -> bool:
    return pause[1] - pause[0] <= SHORT_S


def _in_short_pause(at: float, speech: Spans) -> bool:
    """Whether the pause that began last was a short one: a turn may end in it just after speech went on."""
    begun = [pause for pause in _pauses(speech) if pause[0] <= at]
    return bool(begun) and _short(begun[-1])


def _joined(texts: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(word for utterance in sorted(texts) for word in words(texts[utterance]))


def _overlaps(span: tuple[float, float], speech: Spans) -> bool:
    return any(span[0] < end + NEAR_S and span[1] > start - NEAR_S for start, end in speech)


def _latencies(truth: Truth, told: Sequence[tuple[float, int, str]]) -> tuple[float, ...]:
    if not truth.words:
        first = next((at for at, _, text in told if words(text)), None)
        return () if first is None else (first - truth.speech[0][0],)
    waiting = list(_due(truth.words))
    texts: dict[int, str] = {}
    found = []
    for at, utterance, text in told:
        texts[utterance] = text
        there = Counter(_joined(texts))
        left = []
        for word, times, from_s, end_s in waiting:
            if at >= from_s and there[word] >= times:
                found.append(at - end_s)
            else:
                left.append((word, times, from_s, end_s))
        waiting = left
    return tuple(found)


def _due(ends: Sequence[tuple[str, float]]) -> list[tuple[str, int, float, float]]:
    """(word, how often it was said with this time, from when on it may be understood, its end)"""
    said: Counter[str] = Counter()
    out = []
    for (_, before_s), (spelling, end_s) in pairwise([("", 0.0), *ends]):
        for word in words(spelling):
            said[word] += 1
            out.append((word, said[word], before_s, end_s))
    return out


def error_rate(scored: Sequence[Scored]) -> float | None:
    """Over all words that were said; None where there were none."""
    said = sum(len(s.said) for s in scored)
    return sum(s.errors for s in scored) / said if said else None


def by_condition(scored: Sequence[Scored]) -> dict[str, list[Scored]]:
    found: dict[str, list[Scored]] = {}
    for each in scored:
        found.setdefault(each.condition, []).append(each)
    return found
