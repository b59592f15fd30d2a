"""The user's speech: utterances with what was understood of them, and the turn that they make up.

Pure bookkeeping. An utterance is forgotten as soon as nobody waits for it, so that news about it is recognised as old
by its id alone, and memory is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import pairwise

from orchestrator.conversation.backchannel import all_backchannel, is_backchannel, may_become_backchannel
from orchestrator.conversation.echo import is_echo
from orchestrator.conversation.endpointing import SILENCE, UNFINISHED, adjust, read
from orchestrator.conversation.events import Playing
from orchestrator.conversation.pauses import Pauses
from orchestrator.conversation.policy import Policy
from orchestrator.conversation.words import whole_words, words

DORMANT_MAX = 8
CUT_OFF_S = 1.5
"""Who speaks again so soon after their last word had not been done."""
OVERHEARD = 600
"""Characters of a reply that are kept of what was heard during an utterance."""


class Part(Enum):
    """What an utterance takes part in."""

    TURN = "turn"
    """The user's open turn: its words count."""
    HOLDING = "holding"
    """It holds a reply, until it is known whether it is the user who wants to speak."""
    DORMANT = "dormant"
    """Nothing waits for it, but words may still come: then they count."""


WORDLESS_FACTOR = 3
"""How many times `final_ms` a final is waited for when there was no partial either."""


@dataclass(slots=True)
class Partials:
    """The words of an utterance so far, and since when each of them has stood there unchanged."""

    text: str = ""
    words: tuple[str, ...] = ()
    since: tuple[float, ...] = ()
    promised: int = 0
    """How many words the recogniser itself calls stable."""

    def hear(self, text: str, stable: int, now: float) -> bool:
        """Takes a newer partial; True if a word changed or came."""
        new = words(text)
        same = 0
        while same < min(len(new), len(self.words)) and new[same] == self.words[same]:
            same += 1
        changed = new != self.words
        self.since = self.since[:same] + (now,) * (len(new) - same)
        self.text, self.words, self.promised = text.strip(), new, len(whole_words(text, stable))
        return changed

    def stable(self, now: float, stable_s: float) -> tuple[str, ...]:
        stood = sum(since + stable_s <= now for since in self.since)  # since never decreases from word to word
        return self.words[: max(stood, self.promised)]

    def becomes_stable(self, stable_s: float) -> Iterator[float]:
        return (since + stable_s for since in self.since)

    def all_stable_s(self, stable_s: float) -> float:
        """When all of it is stable; what the recogniser promises is so at once."""
        open_since = self.since[self.promised :]
        return open_since[-1] + stable_s if open_since else float("-inf")


@dataclass(slots=True)
class Utterance:
    id: int
    started_s: float
    part: Part
    over: bool = False
    """It began over a reply, so its backchannels are no answer."""
    answers: bool = False
    """It began over a question that the reply is asking: its backchannels are an answer."""
    ended_s: float | None = None
    """When its last voiced sample came; None while speech goes on."""
    partials: Partials = field(default_factory=Partials)
    final: str | None = None
    awaited_s: float = float("-inf")
    """Its final is worth waiting for until then: its recogniser was lost, and another one hears it again."""
    failed: bool = False
    """The user was told that it could not be made out."""
    dismissed: bool = False
    """It was no speech, after all."""
    loudspeaker: bool = False
    """It was the loudspeaker's sound, whatever was understood of it."""
    worded_s: float = 0.0
    """When the last new word came or, before the first, when speech started: a noise is told from here."""
    noise_told: bool = False
    alarmed: bool = False
    """It was counted as a false alarm."""
    told: str = ""
    """The last transcript of it that the user was told."""
    playing: Playing | None = None
    """What the loudspeaker said meanwhile."""
    silent: bool = False
    """The loudspeaker fell silent when it began, or had just done so."""
    echo: bool = False
    """All that was understood of it is the loudspeaker's."""
    done: float | None = None
    """How likely it is, by ear, that the user was done at its end; None: nobody knows."""
    user: bool = False
    """It is no echo, whatever its words."""

    @property
    def text(self) -> str:
        """What the user said; an echo is nothing that they said."""
        if self.echo:
            return ""
        return self.partials.text if self.final is None else self.final

    @property
    def words(self) -> tuple[str, ...]:
        if self.echo:
            return ()
        return self.partials.words if self.final is None else words(self.final)

    def overhear(self, playing: Playing | None) -> None:
        """The loudspeaker says this while it goes on."""
        before = self.playing
        if playing is None or before is None or before.turn != playing.turn:
            self.playing = playing or before
            return
        first, then = sorted((before, playing), key=lambda part: part.start)
        text = first.text + then.text[max(0, first.start + len(first.text) - then.start) :]
        cut = max(0, len(text) - OVERHEARD)
        self.playing = replace(before, start=first.start + cut, text=text[cut:])

    def hear_echo(self, policy: Policy, now: float) -> None:
        """Keeps `echo`. Who speaks for `confirm_ms` after the loudspeaker fell silent is the user in any case."""
        if self.silent and _confirmed(self, policy, now):
            self.user = True
        found = self.partials.words if self.final is None else words(self.final)
        said = self.partials.text if self.final is None else self.final
        asked = said.rstrip().endswith(("?", "？"))
        self.echo = self.loudspeaker or self.echoes(found, policy.language, asked=asked)

    def would_echo(self, text: str, playing: Playing | None, language: str) -> bool:
        """Whether these words, were they the next ones of it, would be the loudspeaker's."""
        heard = replace(self)
        heard.overhear(playing)
        return heard.echoes(words(text), language, asked=text.rstrip().endswith(("?", "？")))

    def echoes(self, found: Sequence[str], language: str, *, asked: bool = False) -> bool:
        """Whether these words of it are the loudspeaker's."""
        playing = self.playing
        if self.user or playing is None or not found:
            return False
        return is_echo(found, playing.text, playing.near, language, asked=asked)

    def listens(self, found: Sequence[str], language: str) -> bool:
        """Whether these words of it are nothing but backchannels."""
        return not self.answers and all_backchannel(found, language)

    def may_listen(self, found: Sequence[str], language: str) -> bool:
        """Whether these first words of it are backchannels, or may become so."""
        return not self.answers and may_become_backchannel(found, language)

    def ignorable(self, language: str) -> bool:
        """What was said over a reply by somebody who does not want the floor."""
        return self.over and self.listens(self.words, language)

    @property
    def settled(self) -> bool:
        """Speech is over and no other words will come."""
        return self.ended_s is not None and self.final is not None


def only_listens(said: Sequence[Utterance], text: str, language: str) -> bool:
    """Whether all of it was said over a reply, and is nothing but backchannels that answer nothing."""
    return bool(said) and all(u.over and not u.answers for u in said) and is_backchannel(text, language)


@dataclass(frozen=True, slots=True)
class Commit:
    """The client ended the turn: with what the user said until `last`, at `at_s`."""

    at_s: float
    last: int
    reason: str


@dataclass(slots=True)
class Hearing:
    """All utterances that somebody still waits for, and the user's open turn."""

    last: int = -1
    utterances: dict[int, Utterance] = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    """Text of the same turn from before: of a reply that was withdrawn."""
    wordless_s: float | None = None
    """Since when the turn has been kept open by sound without words."""
    open_since_s: float = 0.0
    commit: Commit | None = None
    drafts: int = 0
    """Replies to this turn that were begun early."""
    pauses: Pauses = field(default_factory=Pauses)
    """The user's, of the whole session."""
    voiced_s: float | None = None
    """When the user's last turn was last voiced, until it is known whether it was cut off."""
    open_end: bool = False
    """That turn's words showed that it was not over."""
    owed: frozenset[int] = frozenset()
    """Utterances of a turn that ended without words before their finals came: the user was told nothing yet."""
    owed_since_s: float = 0.0

    def begin(self, utterance: Utterance) -> None:
        self.last = utterance.id
        self.utterances[utterance.id] = utterance

    def of(self, part: Part) -> list[Utterance]:
        return [u for u in self.utterances.values() if u.part is part]

    def drop(self, utterance: Utterance) -> None:
        del self.utterances[utterance.id]

    @property
    def turn(self) -> list[Utterance]:
        return self.of(Part.TURN)

    @property
    def holding(self) -> list[Utterance]:
        return self.of(Part.HOLDING)

    @property
    def open(self) -> bool:
        """Whether the user has a turn."""
        return bool(self.pieces) or bool(self.turn)

    @property
    def speaking(self) -> bool:
        return any(u.ended_s is None for u in self.turn)

    def join(self, utterance: Utterance) -> None:
        """Makes it part of the user's turn."""
        if not self.pieces and not any(u is not utterance for u in self.turn):
            self.open_since_s = utterance.started_s
        utterance.part = Part.TURN
        self.owed = frozenset()
        self.mind_words(utterance, utterance.started_s)

    def mind_words(self, utterance: Utterance, now: float) -> None:
        """Keeps `wordless_s` after news of an utterance of the turn."""
        if utterance.words:
            wordless = any(not u.words and not u.settled for u in self.turn)
            self.wordless_s = now if wordless else None
        elif self.wordless_s is None:
            self.wordless_s = now

    def text(self) -> str:
        """What the user said in this turn so far."""
        return " ".join(filter(None, (*self.pieces, *(u.text for u in self.turn if u.words))))

    def close(self) -> None:
        """The turn is over: forgets all of it."""
        for utterance in self.turn:
            self.drop(utterance)
        self.pieces.clear()
        self.wordless_s = self.commit = None
        self.drafts = 0
        self.owed = frozenset()

    # --- deadlines of the turn -----------------------------------------------------------------------------------

    def endpoint(self, policy: Policy) -> tuple[float, str] | None:
        """When the turn ends, if all finals are in, and why; None while it cannot end by itself."""
        if self.commit is not None:
            return self.commit.at_s, self.commit.reason
        turn = self.turn
        if self.speaking or not self.open:
            return None
        if not turn:
            return self.open_since_s, SILENCE  # its endpoint was passed before
        if policy.manual:
            return None
        ms, reason = self.wait_ms(policy)
        return max(u.ended_s or 0.0 for u in turn) + ms / 1000, reason

    def wait_ms(self, policy: Policy) -> tuple[float, str]:
        """How much silence ends the turn as it is now, and why."""
        if not policy.adaptive:
            return policy.endpoint_ms, SILENCE
        return adjust(
            self.text(),
            policy.language,
            policy.endpoint_ms,
            floor=policy.endpoint_floor,
            ceiling=policy.endpoint_ceiling,
            usual_ms=self.pauses.usual_ms(policy.endpoint_ms),
            heard=self.turn[-1].done if self.turn else None,
        )

    def mind_pauses(self, said: Sequence[Utterance], language: str) -> None:
        """The user's turn ended by itself, with these utterances."""
        self.voiced_s = max((u.ended_s or 0.0 for u in said), default=None)
        worded = [u for u in said if u.words and u.ended_s is not None]
        text, found = list(self.pieces), []
        for u, then in pairwise(worded):
            text.append(u.text)
            if read(" ".join(text), language) != UNFINISHED:
                found.append(then.started_s - (u.ended_s or 0.0))
        self.pauses.turn(found)
        self.open_end = read(self.text(), language) == UNFINISHED

    def cut_off(self, utterance: Utterance) -> None:
        """It is the user again, over the answer: if only just, the turn was ended in a pause."""
        just_then = self.voiced_s is not None and utterance.started_s - self.voiced_s <= CUT_OFF_S
        if self.voiced_s is not None and just_then and not self.open_end:
            self.pauses.cut_off(utterance.started_s - self.voiced_s)
        self.voiced_s = None

    def due(self, policy: Policy) -> float | None:
        """When the turn is to be ended, with the finals or without."""
        endpoint = self.endpoint(policy)
        if endpoint is None:
            return None
        concerned = [u for u in self.turn if self.commit is None or u.id <= self.commit.last]
        if all(u.settled for u in concerned):
            return endpoint[0]
        # With no word at all yet there is nothing to answer: the recogniser is late, and worth a longer wait.
        late_s = endpoint[0] + policy.final_ms / 1000 * (1 if self.text() else WORDLESS_FACTOR)
        return max(late_s, *(u.awaited_s for u in concerned if not u.settled))

    def wordless_due(self, limit_s: float) -> float | None:
        """When sound without words has kept the turn open for `limit_s`; None if nothing of the kind does."""
        if self.wordless_s is None or all(u.words or u.settled for u in self.turn):
            return None
        return self.wordless_s + limit_s


class Verdict(Enum):
    """Of an utterance over a reply."""

    OPEN = "open"
    WORDS = "words"
    """It is real: it has a word that is no backchannel."""
    TIME = "time"
    """It is real by its length alone."""
    FALSE = "false"
    """A final without words, or with backchannels only."""
    LATE = "late"
    """Speech ended long ago and no final came: taken for false, but a final may still come."""


def verdict(u: Utterance, policy: Policy, now: float) -> Verdict:
    if u.final is not None:
        return Verdict.WORDS if u.words and not u.listens(u.words, policy.language) else Verdict.FALSE
    stable = u.partials.stable(now, policy.stable_ms / 1000)
    if stable and not u.may_listen(stable, policy.language) and not u.echoes(stable, policy.language):
        return Verdict.WORDS
    if u.part is not Part.HOLDING:
        return Verdict.OPEN
    if _confirmed(u, policy, now) and not u.listens(stable, policy.language):
        return Verdict.TIME
    if u.ended_s is not None and u.ended_s + policy.resume_ms / 1000 <= now:
        about_to_be_words = u.words and not u.may_listen(u.words, policy.language)
        return Verdict.OPEN if about_to_be_words else Verdict.LATE
    return Verdict.OPEN


def verdict_changes(u: Utterance, policy: Policy) -> Iterator[float]:
    """The times at which time alone may change the verdict."""
    if u.final is not None:
        return
    yield from u.partials.becomes_stable(policy.stable_ms / 1000)
    if u.part is Part.HOLDING:
        if u.ended_s is None:
            yield u.started_s + (policy.confirm_ms + policy.hangover_ms) / 1000
        else:
            yield u.ended_s + policy.resume_ms / 1000


def _confirmed(u: Utterance, policy: Policy, now: float) -> bool:
    if u.ended_s is None:
        return u.started_s + (policy.confirm_ms + policy.hangover_ms) / 1000 <= now
    return u.started_s + policy.confirm_ms / 1000 <= u.ended_s
