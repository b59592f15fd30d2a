"""A listener in the manner of Weizenbaum's ELIZA (1966), with a small script of our own writing.

A rule is a keyword pattern with a rank and a few answers; the best ranked match answers, with the rest of the sentence
turned round ("my" becomes "your"). Answers of a rule are taken in turn, counted over the history, so that nothing is
kept between replies and any number of sessions can share one instance.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from base.language import unless_english
from orchestrator.conversation.commands import Cause
from orchestrator.conversation.history import Item, Role
from orchestrator.ports import Context, Delta, Done, Text


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TURNED = {
    "i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself", "i'm": "you're", "i've": "you've",
    "i'll": "you'll", "i'd": "you'd", "your": "my", "yours": "mine", "yourself": "myself", "you're": "I'm",
    "you've": "I've", "you'll": "I'll", "you'd": "I'd",
}  # fmt: skip
VERBS = {("i", "am"): "are", ("i", "was"): "were", ("you", "are"): "am", ("you", "were"): "was"}
"""The forms that go with a person, and what becomes of them when that is turned round. "They are" stays."""
BEFORE_SUBJECT = _words(
    "that what when where why how because if and but or so than as who which while since though until think believe "
    "know say said says feel hope wish guess suppose are were do did have had can could will would should may might "
    "must"
)
"""Words after which "you" is usually the one who does something; after any other it is the one to whom it is done."""
PREPOSITIONS = _words("to with about of for from at by on in near without like after before")
AFTER_SUBJECT = _words(
    "are were have had do did don't didn't can can't could will won't would should may might must never always really "
    "only just know think say said want need like love hate look seem feel understand listen talk help"
)
ADJECTIVES = _words(
    "old new young best better big little small own whole first last next dear good bad great older younger elder "
    "former poor favourite favorite only other beloved late dead sick"
)
"""What may stand between "my" and what is mine."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`{}` in an answer takes what the pattern's group caught, turned round. `of_verb`: it is what a verb is about."""

    rank: int
    pattern: re.Pattern[str]
    answers: tuple[str, ...]
    of_verb: bool = False


def _rule(rank: int, pattern: str, *answers: str, of_verb: bool = False) -> Rule:
    return Rule(rank, re.compile(pattern, re.IGNORECASE), answers, of_verb)


RULES = (
    _rule(
        90,
        r"\b(?:goodbye|bye|see you|good night)\b",
        "Goodbye. Thank you for talking with me.",
        "Take care. Come back any time.",
    ),
    _rule(
        82,
        r"\bI(?: want| need| wish| would like|'d like) to (.+)",
        "What would it mean to you to {}?",
        "When did you first want to {}?",
        "And if you could never {}?",
    ),
    _rule(
        81,
        r"\bI(?: want| need| would like|'d like) (you to .+)",
        "Why do you want {}?",
        "And if you never got {}?",
        of_verb=True,
    ),
    _rule(
        80,
        r"\bI (?:want|need|wish for|would like) (.+)",
        "What would change if you had {}?",
        "When did you first want {}?",
        "And if you never got {}?",
        of_verb=True,
    ),
    _rule(
        75,
        r"\bI(?: am|'m) (?:so |very |really |a bit )?(sad|tired|afraid|lonely|angry|worried|unhappy|anxious)\b",
        "What makes you {}?",
        "How long have you been {}?",
        "Who knows that you are {}?",
    ),
    _rule(
        72,
        r"\bI(?: am|'m) (?:so |very |really )?(happy|glad|excited|proud|fine|well)\b",
        "That is good to hear. What made you {}?",
        "Tell me more about being {}.",
    ),
    _rule(
        70,
        r"\bI(?: am|'m) (.+)",
        "How does it feel to be {}?",
        "Since when are you {}?",
        "Do others know that you are {}?",
    ),
    _rule(68, r"\bI (?:can't|cannot|can not) (.+)", "What would it take to {}?", "Have you ever been able to {}?"),
    _rule(66, r"\bI feel (.+)", "When do you feel {}?", "What does feeling {} remind you of?"),
    _rule(
        65,
        r"\bI (?:think|believe|guess|suppose|hope) (?:so|not)\b(?! \w)",
        "You don't sound quite sure. What speaks against it?",
        "What makes you think so?",
    ),
    _rule(
        64,
        r"\bI (?:think|believe|guess) (?!(?:so|not|about|of|in)\b)(?:that )?(.+)",
        "What makes you think that {}?",
        "And if it were not so that {}?",
    ),
    _rule(
        63,
        r"\bI (?:think|dream) (?:about|of) (.+)",
        "What comes to mind about {}?",
        "How often do you think about {}?",
        of_verb=True,
    ),
    _rule(63, r"\bI (?:love|like) to (.+)", "What do you like most when you {}?", "When did you last {}?"),
    _rule(
        62,
        r"\bI (?:love|like|enjoy) (.+)",
        "What is it about {} that you like?",
        "Who shares {} with you?",
        of_verb=True,
    ),
    _rule(61, r"\bI (?:hate|don't like) to (.+)", "What if you did not have to {}?", "Who makes you {}?"),
    _rule(
        60,
        r"\bI (?:hate|dislike|don't like) (.+)",
        "What has {} done to you?",
        "Was there a time when you did not mind {}?",
        of_verb=True,
    ),
    _rule(
        58,
        r"\bI (?:remember|dreamt|dreamed) (?:of |about )?(.+)",
        "Why does {} come to mind now?",
        "What else comes with {}?",
    ),
    _rule(
        50,
        r"\bmy (mother|father|sister|brother|wife|husband|son|daughter|friend|boss|family)\b",
        "Tell me more about your {}.",
        "How do you get on with your {}?",
        "What would your {} say to that?",
    ),
    _rule(45, r"\bbecause (.+)", "Is that the only reason?", "And if it were not because {}?"),
    _rule(
        42,
        r"\b(?:computer|machine|robot|program)s?\b",
        "Do machines worry you?",
        "What do you think a machine should understand?",
    ),
    _rule(40, r"\bare you (.+?)\??$", "Would it matter to you if I were {}?", "Why do you ask whether I am {}?"),
    _rule(
        38, r"\byou (?:are|'re) (.+)", "What makes you say that I am {}?", "Does it please you to think that I am {}?"
    ),
    _rule(36, r"\bcan you (.+?)\??$", "What if I could {}?", "Why would you want me to {}?"),
    _rule(
        34,
        r"^(?:what|who|where|when|why|how)\b",
        "What answer would you like best?",
        "What do you think yourself?",
        "Have you asked anyone else?",
    ),
    _rule(
        30,
        r"\b(?:always|everyone|everybody|nobody|never)\b",
        "Can you think of one time when it was otherwise?",
        "Whom do you have in mind?",
    ),
    _rule(28, r"\b(?:sorry|apologi[sz]e)\b", "There is no need to be sorry.", "What would you be forgiven for?"),
    _rule(20, r"^(?:yes|yeah|yep|sure|certainly)\b", "You sound sure. Go on.", "I see. And what follows from that?"),
    _rule(20, r"^(?:no|nope|not really)\b", "Why not?", "You say no. What would make it a yes?"),
    _rule(
        15,
        r"^(?:hello|hi|hey|good (?:morning|evening|day))\b",
        "Hello. What is on your mind?",
        "Good to hear you. How have you been?",
    ),
)
OPEN_ANSWERS = (
    "Go on.",
    "I am listening. What else?",
    "How does that make you feel?",
    "What does that mean to you?",
    "Let us stay with that for a moment. What comes to mind?",
)
UNHEARD = ("I did not catch that. Say it once more?", "You were quiet. Take your time.")


class ElizaResponder:
    name = "eliza"
    early = True

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        language = unless_english(context.language)
        if context.cause is Cause.GREETING:
            yield Text("Hello. I am here to listen. What is on your mind?", language)
        else:
            yield Text(answer(history), language)
        yield Done()

    async def warm(self) -> None:
        pass

    async def close(self) -> None:
        pass


def answer(history: tuple[Item, ...]) -> str:
    """The answer to the last thing the user said; pure."""
    said = [item.text for item in history if item.role is Role.USER]
    if not said or not said[-1].strip():
        return UNHEARD[len(said) % len(UNHEARD)]
    rule, match = _best(said[-1])
    if rule is None or match is None:
        return _remembered(said) or OPEN_ANSWERS[_times(said, None) % len(OPEN_ANSWERS)]
    template = rule.answers[_times(said, rule) % len(rule.answers)]
    caught = turn_round(match.group(1), of_verb=rule.of_verb) if match.groups() else ""
    return template.format(caught)


def turn_round(text: str, *, of_verb: bool = False) -> str:
    """ "my dog likes me" becomes "your dog likes you". `of_verb`: it is what a verb is about, as after "I need"."""
    text = re.split(r"[.!?;]|, (?:and|but|so) ", text.strip(), maxsplit=1)[0].strip(" ,")
    words = re.sub(r" (?:(?:so|very) much|a lot|too|as well)$", "", text, flags=re.IGNORECASE).split()
    low = ["", *(word.lower() for word in words), ""]
    turned = []
    for n, word in enumerate(words, 1):
        before, here, after = low[n - 1 : n + 2]
        if here == "you":
            turned.append("I" if _acts(before, after, of_verb=of_verb) else "me")
        else:
            verb = VERBS.get((before, here)) or VERBS.get((after, here))
            turned.append(verb or TURNED.get(here, word))
    return " ".join(turned)


def _acts(before: str, after: str, *, of_verb: bool) -> bool:
    """Whether "you" between these words does something (I), or has it done to it (me). A guess, as grammar goes."""
    if not after or before in PREPOSITIONS:
        return False
    if not before:
        return not of_verb
    return before in BEFORE_SUBJECT or after in AFTER_SUBJECT


def _best(text: str) -> tuple[Rule | None, re.Match[str] | None]:
    found = [(rule, match) for rule in RULES if (match := rule.pattern.search(text.strip()))]
    return max(found, key=lambda pair: pair[0].rank) if found else (None, None)


def _times(said: list[str], rule: Rule | None) -> int:
    """How often the rule has answered before."""
    return sum(1 for text in said[:-1] if _best(text)[0] is rule)


def _remembered(said: list[str]) -> str:
    """Every third time there is no keyword: back to something of the user's own that they said earlier."""
    if _times(said, None) % 3 != 2:
        return ""
    for text in reversed(said[:-1]):
        if found := re.search(r"\bmy ([a-z]+(?: [a-z]+){0,3})", text, re.IGNORECASE):
            words = found.group(1).split()
            noun = next((n for n, word in enumerate(words, 1) if word.lower() not in ADJECTIVES), 0)
            if noun:
                return f"Earlier you spoke of your {' '.join(words[:noun])}. Tell me more about that."
    return ""
