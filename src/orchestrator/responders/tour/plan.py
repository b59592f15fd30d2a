"""What the tour answers: a pure function of the scene."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from base.language import unless_english
from orchestrator.conversation.commands import Cause, Interruption
from orchestrator.ports import Adjust
from orchestrator.responders.tour import lines
from orchestrator.responders.tour.counting import END, START, Cut, count_text, find_cut
from orchestrator.responders.tour.phrases import Intent
from orchestrator.responders.tour.scene import Scene
from orchestrator.responders.tour.understand import Wish, understand
from orchestrator.responders.tour.words import date_words, number, time_words, words_of

SLOWEST, FASTEST = 0.5, 3.0
RATE_STEP = 1.25

FARTHEST = 50
"""Where every count ends."""

QUOTED_WORDS = 12
"""Words of a user that are read back."""

ADJUSTMENTS = frozenset({Intent.FASTER, Intent.SLOWER, Intent.NORMAL, Intent.VOICE})
"""Wishes about how the tour speaks: it goes on with what they cut."""

WORTH_ANSWERING = frozenset(
    {
        Intent.TIME,
        Intent.DATE,
        Intent.STORY,
        Intent.JOKE,
        Intent.COUNT,
        Intent.ABILITIES,
        Intent.HELP,
        Intent.WHO,
        Intent.NAME,
        Intent.BYE,
    }
)
"""What gets an answer after the report of a cut count; for a "hello" or "stop" in the middle of it that is enough."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Plan:
    """A reply: `pieces` at once, `closing` when they were heard. `adjust` comes first, so it holds for them already."""

    pieces: tuple[str, ...]
    adjust: Adjust | None = None
    closing: tuple[str, ...] = ()


def plan(scene: Scene) -> Plan:
    """The reply to the last turn of the scene."""
    if scene.context.cause is Cause.GREETING:
        greeting = [scene.line(lines.GREETING, running=scene.running())]
        if unless_english(scene.context.language):
            greeting.append(scene.line(lines.ENGLISH_ONLY))
        return _count(scene, START, END, (*greeting, scene.line(lines.INVITE)))
    wish = understand(scene.asked)
    if scene.interruption is not None:
        return _interrupted(scene, wish, scene.interruption)
    return _answer(scene, wish)


def noise_remark(scene: Scene, false_alarms: int) -> str:
    """What is said of noises that held the reply and were taken back."""
    if false_alarms == 1:
        return scene.line(lines.ONE_NOISE)
    return scene.line(lines.NOISES, n=number(false_alarms))


# --- after a barge-in ----------------------------------------------------------------------------------------------


def _interrupted(scene: Scene, wish: Wish, interruption: Interruption) -> Plan:
    cut = find_cut(interruption.heard, interruption.unheard)
    report = (_report(scene, cut),) if cut is not None else ()
    # Whoever types means it; what was heard over a reply may be anything, and gets the report alone.
    unknown = wish.intent is None and interruption.typed
    if wish.intent in ADJUSTMENTS:
        said, rest = _answer(scene, wish), _rest(scene)
        if rest is not None:
            said = replace(said, pieces=said.pieces + rest.pieces, closing=rest.closing)
        return _after(report, said)
    if wish.intent in (Intent.GO_ON, Intent.AGAIN, Intent.YES) and scene.rest() is not None:
        return _go_on(scene, wish)
    if cut is not None:
        if wish.intent in WORTH_ANSWERING or unknown:
            return _after(report, _answer(scene, wish))
        return Plan((*report, scene.line(lines.EXPLAIN)))
    if wish.intent not in (None, Intent.STOP, Intent.NO):
        return _answer(scene, wish)
    words = " ".join(interruption.heard.split()[-5:]).strip(" .,;:!?")
    stopped = scene.line(lines.STOPPED, words=words) if words else scene.line(lines.STOPPED_AT_ONCE)
    return _after((stopped,), _answer(scene, wish)) if unknown else Plan((stopped,))


def _report(scene: Scene, cut: Cut) -> str:
    if cut.at is None:
        return scene.line(lines.STOPPED_AFTER, last=number(cut.last or END))
    if cut.last is None:
        return scene.line(lines.STOPPED_BEFORE, at=number(cut.at))
    return scene.line(lines.STOPPED_AT, at=number(cut.at), last=number(cut.last))


def _rest(scene: Scene) -> Plan | None:
    rest = scene.rest()
    if rest is None:
        return None
    if rest.count is not None and rest.count.at is not None:
        return _count(scene, rest.count.at, rest.count.end, done=lines.COUNTED_REST)
    return Plan(_sentences(rest.sentences))


# --- answers -------------------------------------------------------------------------------------------------------


def _answer(scene: Scene, wish: Wish) -> Plan:
    return _unknown(scene) if wish.intent is None else _ANSWERS[wish.intent](scene, wish)


def _unknown(scene: Scene) -> Plan:
    if scene.asked and not words_of(scene.asked):
        return Plan((scene.line(lines.WORDLESS),))  # an emoji, say: it was typed, so nobody's voice was heard
    if not scene.asked:
        return Plan((scene.line(lines.DEAF if scene.deaf else lines.NO_WORDS),))
    words = " ".join(scene.asked.split()[:QUOTED_WORDS])
    quoted = "".join(c for c in words if c.isprintable() and c not in "“”")[:120].strip(" .,;:!?")
    return Plan((scene.line(lines.UNKNOWN, words=quoted),))


def _again(scene: Scene, _wish: Wish) -> Plan:
    return Plan(_sentences(scene.last_said) or (scene.line(lines.NOTHING_SAID),))


def _go_on(scene: Scene, _wish: Wish) -> Plan:
    left, rest = scene.rest(), _rest(scene)
    if left is None or rest is None:
        return Plan((scene.line(lines.NOTHING_LEFT),))
    return _after((scene.line(lines.CARRY_ON_SENTENCE if left.begun else lines.CARRY_ON),), rest)


def _yes(scene: Scene, wish: Wish) -> Plan:
    offered = scene.offered()
    return Plan((scene.line(lines.OKAY),)) if offered is None else _ANSWERS[offered](scene, wish)


def _at_rate(scene: Scene, rate: float, line: Sequence[str], limit: Sequence[str]) -> Plan:
    rate = round(min(max(rate, SLOWEST), FASTEST), 2)
    if rate == scene.context.voice.rate:
        return Plan((scene.line(limit),))
    return Plan((scene.line(line),), Adjust(rate=rate))


def _faster(scene: Scene, _wish: Wish) -> Plan:
    return _at_rate(scene, scene.context.voice.rate * RATE_STEP, lines.FASTER, lines.FASTEST)


def _slower(scene: Scene, _wish: Wish) -> Plan:
    return _at_rate(scene, scene.context.voice.rate / RATE_STEP, lines.SLOWER, lines.SLOWEST)


def _normal(scene: Scene, _wish: Wish) -> Plan:
    return _at_rate(scene, 1.0, lines.NORMAL, lines.NORMAL)


def _voice(scene: Scene, _wish: Wish) -> Plan:
    voices = scene.context.voices
    if len(voices) < 2:
        return Plan((scene.line(lines.ONE_VOICE),))
    current = scene.context.voice.voice
    n = (voices.index(current) + 1 if current in voices else 1) % len(voices)
    return Plan((scene.line(lines.VOICE, n=number(n + 1), of=number(len(voices))),), Adjust(voice=voices[n]))


def _time(scene: Scene, _wish: Wish) -> Plan:
    return Plan((scene.line(lines.TIME, time=time_words(scene.now)),))


def _date(scene: Scene, _wish: Wish) -> Plan:
    return Plan((scene.line(lines.DATE, date=date_words(scene.now)),))


def _story(scene: Scene, _wish: Wish) -> Plan:
    openings = {" ".join(story.split()[:6]): story for story in lines.STORIES}
    return Plan((scene.line(lines.STORY), *_sentences(openings[scene.pick(tuple(openings))])))


def _joke(scene: Scene, _wish: Wish) -> Plan:
    openings = {_sentences(joke)[0]: joke for joke in lines.JOKES}
    return Plan(_sentences(openings[scene.pick(tuple(openings))]))


def _count_to(scene: Scene, wish: Wish) -> Plan:
    end = END if wish.number is None else max(wish.number, START)
    too_far = (scene.line(lines.TOO_FAR),) if end > FARTHEST else ()
    return _count(scene, START, min(end, FARTHEST), (*too_far, scene.line(lines.COUNT)))


def _count(
    scene: Scene, first: int, last: int, intro: tuple[str, ...] = (), done: Sequence[str] = lines.COUNTED
) -> Plan:
    return Plan((*intro, *count_text(first, last)), closing=_sentences(scene.line(done)))


def _just(wordings: Sequence[str]) -> Callable[[Scene, Wish], Plan]:
    return lambda scene, _wish: Plan(_sentences(scene.line(wordings)))


_ANSWERS: dict[Intent, Callable[[Scene, Wish], Plan]] = {
    Intent.AGAIN: _again,
    Intent.GO_ON: _go_on,
    Intent.FASTER: _faster,
    Intent.SLOWER: _slower,
    Intent.NORMAL: _normal,
    Intent.VOICE: _voice,
    Intent.TIME: _time,
    Intent.DATE: _date,
    Intent.STORY: _story,
    Intent.JOKE: _joke,
    Intent.COUNT: _count_to,
    Intent.ABILITIES: _just(lines.ABILITIES),
    Intent.HELP: _just(lines.HELP),
    Intent.WHO: lambda scene, _wish: Plan(_sentences(scene.line(lines.WHO, running=scene.running()))),
    Intent.NAME: _just(lines.NAME),
    Intent.HOW: _just(lines.HOW),
    Intent.THANKS: _just(lines.THANKS),
    Intent.HELLO: _just(lines.HELLO),
    Intent.BYE: _just(lines.BYE),
    Intent.STOP: _just(lines.STOP),
    Intent.YES: _yes,
    Intent.NO: _just(lines.NO),
}


def _after(first: tuple[str, ...], then: Plan) -> Plan:
    return replace(then, pieces=first + then.pieces)


def _sentences(text: str) -> tuple[str, ...]:
    return tuple(part for part in _SENTENCE.split(text.strip()) if part)
