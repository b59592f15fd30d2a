"""What the tour sees when it is its turn: the history, how its last reply ended, and what was left of that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.conversation.commands import Interruption
from orchestrator.conversation.history import Item, Role
from orchestrator.ports import Context
from orchestrator.responders.tour import lines
from orchestrator.responders.tour.counting import Cut, count_text, find_cut
from orchestrator.responders.tour.phrases import Intent
from orchestrator.responders.tour.understand import understand
from orchestrator.responders.tour.words import words_of

LOOK_BACK = 40
"""Items of history that are looked at; what was said before that may be said again."""

RECENT = 12
"""Items of the history that say which things were asked for already."""

OFFERED = 3
"""Things that are offered at once: more is a menu."""

WISHES = {
    Intent.STORY: "a story",
    Intent.TIME: "the time",
    Intent.VOICE: "another voice",
    Intent.JOKE: "a joke",
    Intent.FASTER: "a faster pace",
    Intent.DATE: "today's date",
    Intent.SLOWER: "a slower pace",
    Intent.COUNT: "another count",
}
"""What can be asked for, in the order in which it is offered."""

_POINTS = tuple(",.;:!?…")
_SENTENCE_END = (".", "!", "?")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Rest:
    """What was left of a cut reply: a count, or words. `begun`: what was heard of the sentence that they end."""

    count: Cut | None = None
    words: str = ""
    begun: str = ""

    @property
    def sentences(self) -> str:
        """The words, from where their first sentence begins."""
        joint = "" if not self.begun or self.words[:1] in _POINTS else " "
        return f"{self.begun}{joint}{self.words}"


@dataclass(frozen=True, slots=True)
class Scene:
    history: tuple[Item, ...]
    context: Context
    now: datetime

    @property
    def deaf(self) -> bool:
        """Nothing here turns speech into words."""
        return self.context.facts.get("hears", "yes") == "no"

    @property
    def asked(self) -> str:
        """What the user said since the assistant last spoke; empty where that was nothing."""
        for item in reversed(self.history):
            if item.role in (Role.USER, Role.ASSISTANT):
                return item.text.strip() if item.role is Role.USER else ""
        return ""

    @property
    def last_said(self) -> str:
        """What the user heard last; empty where that was nothing yet."""
        return next((i.text for i in reversed(self.history) if i.role is Role.ASSISTANT and i.text.strip()), "")

    @property
    def interruption(self) -> Interruption | None:
        """How the last reply was cut, by the context or, failing that, by the history."""
        if self.context.interruption is not None:
            return self.context.interruption
        for item in reversed(self.history):
            if item.role is Role.ASSISTANT:
                return Interruption(item.turn, item.text, "") if item.cut else None
        return None

    def line(self, wordings: Sequence[str], /, **values: object) -> str:
        """One of `wordings`, not heard lately, filled in."""
        wording = self.pick(wordings)
        if "{offer}" in wording:
            values["offer"] = self._offer()
        return wording.format(**values)

    def pick(self, wordings: Sequence[str]) -> str:
        """The wording that was said longest ago, or the first of those never said."""
        said = [item.text for item in self.history[-LOOK_BACK:] if item.role is Role.ASSISTANT]
        if self.interruption is not None:
            said.append(f"{self.interruption.heard} {self.interruption.unheard}")

        def last_said(wording: str) -> int:
            mark = tell_tale(wording)
            return max((n for n, text in enumerate(said) if mark in text), default=-1)

        return min(wordings, key=last_said)

    def running(self) -> str:
        """What speaks and what hears, in a sentence."""
        tts, asr = (_engine(self.context.facts.get(fact, "")) for fact in ("tts", "asr"))
        if not tts:
            return self.line(lines.RUNNING_UNKNOWN)
        if self.deaf or not asr:
            return self.line(lines.VOICE_ONLY, tts=tts)
        return self.line(lines.VOICE_AND_EARS, tts=tts, asr=asr)

    def rest(self) -> Rest | None:
        """What is left of the last cut reply, unless it was finished since."""
        if self.interruption is not None:
            return rest_of(self.interruption.heard, self.interruption.unheard)
        for n in range(len(self.history) - 1, -1, -1):
            item = self.history[n]
            if item.role is Role.ASSISTANT and item.cut:
                rest = rest_of(item.text, "")
                return None if rest is None or _told(rest, self.history[n + 1 :]) else rest
        return None

    def offered(self) -> Intent | None:
        """What a yes means: to go on, or the first of the wishes named, where the user heard that just now."""
        said = self.last_said
        if "say go on" in said.casefold() and self.rest() is not None:
            return Intent.GO_ON
        for wording in (*lines.OFFER, *lines.OFFER_TYPED):
            _, found, named = said.rpartition(wording.partition("{")[0])
            for intent, wish in WISHES.items():
                if found and named.startswith(wish):
                    return intent
        return None

    def _offer(self) -> str:
        """A sentence that names a few things to ask for: those not asked for yet first, and not always the same."""
        recent = [item.text for item in self.history[-RECENT:] if item.role is Role.USER]
        asked = {understand(text, fuzzy=False).intent for text in recent}
        wishes = {i: wish for i, wish in WISHES.items() if i is not Intent.VOICE or len(self.context.voices) > 1}
        fresh = [wish for intent, wish in wishes.items() if intent not in asked]
        stale = [wish for intent, wish in wishes.items() if intent in asked]
        replies = sum(item.role is Role.ASSISTANT for item in self.history)
        by = replies * OFFERED % len(fresh) if fresh else 0
        *some, last = [*fresh[by:], *fresh[:by], *stale][:OFFERED]
        return self.pick(lines.OFFER_TYPED if self.deaf else lines.OFFER).format(wishes=f"{', '.join(some)} or {last}")


def tell_tale(wording: str) -> str:
    """The longest stretch without a placeholder, by which a wording is recognised in what was said."""
    return max((part.strip() for part in _PLACEHOLDER.split(wording)), key=len)


def rest_of(heard: str, unheard: str) -> Rest | None:
    """What is left of a reply that was cut after `heard`; None where that is nothing or nobody knows."""
    unheard = unheard.strip()
    cut = find_cut(heard, unheard)
    if cut is not None and cut.at is not None:
        return Rest(count=cut)
    words = words_of(heard[-1_000:])
    for story in lines.STORIES:
        told = story.split()
        place = _place(words, [" ".join(words_of(word)) for word in told])
        if place:
            ends = [n for n in range(place) if told[n].endswith(_SENTENCE_END)]
            begun = " ".join(told[ends[-1] + 1 if ends else 0 : place])
            return Rest(words=" ".join(told[place:]), begun=begun) if place < len(told) else None
    begun = _SENTENCE.split(heard.strip())[-1]
    return Rest(words=unheard, begun="" if begun.endswith(_SENTENCE_END) else begun) if unheard else None


def _place(heard: list[str], told: list[str]) -> int:
    """How many words of `told` were heard when `heard` ends in it; 0 where it doesn't."""
    for place in range(len(told), 2, -1):
        tail = heard[-min(8, place) :]
        if len(tail) > 2 and told[place - len(tail) : place] == tail:
            return place
    return 0


def _told(rest: Rest, later: Sequence[Item]) -> bool:
    ending = " ".join(rest.words.split()[-6:])
    if rest.count is not None and rest.count.at is not None:
        ending = " ".join(count_text(rest.count.at, rest.count.end)[-2:])
    return any(ending in " ".join(item.text.split()) for item in later if item.role is Role.ASSISTANT)


def _engine(name: str) -> str:
    base = re.split(r"[/:]", name)[0]
    return lines.ENGINES.get(base.casefold(), base.replace("_", " ").replace("-", " "))
