"""What users say to the tour, and what a recogniser or a hurried hand makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Intent(Enum):
    """What a user may want of the tour. Where two fit equally well, the one that stands first is meant."""

    AGAIN = "again"
    GO_ON = "go on"
    FASTER = "faster"
    SLOWER = "slower"
    NORMAL = "normal"
    VOICE = "voice"
    TIME = "time"
    DATE = "date"
    STORY = "story"
    JOKE = "joke"
    COUNT = "count"
    ABILITIES = "abilities"
    HELP = "help"
    WHO = "who"
    NAME = "name"
    HOW = "how"
    THANKS = "thanks"
    HELLO = "hello"
    BYE = "bye"
    STOP = "stop"
    YES = "yes"
    NO = "no"


def _either(text: str) -> tuple[str, ...]:
    """ "a | b" is a or b."""
    return tuple(part.strip() for part in text.split("|"))


def _misheard(words: Mapping[str, str]) -> dict[str, str]:
    """From a word and what it is taken for ("time": "thyme dime") to what was heard and the word."""
    return {heard: word for word, variants in words.items() for heard in variants.split()}


SAID: dict[Intent, tuple[str, ...]] = {
    Intent.AGAIN: _either(
        "say that again | say it again | repeat that | repeat please | once more | what did you say | again | "
        "repeat | pardon | come again | can you repeat | i did not hear | i didn't hear | i missed that"
    ),
    Intent.GO_ON: _either(
        "go on | carry on | continue | keep going | go ahead | don't stop | do not stop | finish the story | "
        "finish it | keep counting | resume | and then | the rest"
    ),
    Intent.FASTER: _either(
        "faster | speed up | speak faster | talk faster | quicker | too slow | more quickly | hurry up"
    ),
    Intent.SLOWER: _either("slower | slow down | speak slower | talk slower | more slowly | speak slowly | too fast"),
    Intent.NORMAL: _either("normal speed | normal pace | normal | usual speed"),
    Intent.VOICE: _either(
        "another voice | different voice | change your voice | change the voice | change voice | switch voice | new "
        "voice | other voice | next voice | voice | somebody else | someone else"
    ),
    Intent.TIME: _either(
        "what time is it | what is the time | what's the time | tell me the time | the time | time | how late | o'clock"
    ),
    Intent.DATE: _either(
        "what's the date | what is the date | what day is it | what date | which day | what day | today's date | the "
        "date | date | what is today"
    ),
    Intent.STORY: _either("tell me a story | another story | tell a story | a story | story | stories | tale"),
    Intent.JOKE: _either("tell me a joke | another joke | a joke | joke | jokes | make me laugh | something funny"),
    Intent.COUNT: _either(
        "count | count again | count to twenty | count to | start counting | counting | try again | interrupt you"
    ),
    Intent.ABILITIES: _either(
        "what can you do | what can i say | what can i ask | what do you do | what else | your abilities | show "
        "me | options | menu | commands"
    ),
    Intent.HELP: _either("help | help me | how does this work | how do i | what now | what should i do"),
    Intent.WHO: _either(
        "who are you | what are you | what is your name | what's your name | your name | are you a robot | are "
        "you real | what is running"
    ),
    Intent.NAME: _either("what is antiphon | what's antiphon | what is an antiphon | antiphon | what does it mean"),
    Intent.HOW: _either("how are you | how do you do | how's it going | are you well"),
    Intent.THANKS: _either("thank you | thanks | well done | very good | great | cool | nice | wow | amazing"),
    Intent.HELLO: _either("hello | hi | hey | good morning | good evening | good afternoon | hello there"),
    Intent.BYE: _either("goodbye | good bye | bye | bye bye | good night | see you | farewell | that is all"),
    Intent.STOP: _either(
        "stop | stop it | stop counting | be quiet | quiet | silence | shut up | enough | that's enough | wait | "
        "hold on | cancel | pause"
    ),
    Intent.YES: _either("yes | yes please | yeah | yep | sure | okay | ok | of course | please | i do"),
    Intent.NO: _either("no | no thanks | no thank you | nope | never mind | nothing | not now | rather not"),
}
"""In lower case, with the words in this order; a few others may stand between them."""

SMALL_TALK = frozenset({Intent.NORMAL, Intent.THANKS, Intent.HELLO, Intent.YES, Intent.NO})
"""Of these a lone word means nothing in a longer sentence: "I have no idea" is not a no."""

LONELY = frozenset({"voice", "please"})
"""Words that mean something only by themselves, or beside these: "my voice hurts" is no wish, "time please" no yes."""
COURTESY = frozenset({"a", "an", "and", "hey", "now", "ok", "okay", "please", "so", "the", "then", "uh", "um", "well"})

SOUNDS_LIKE = _misheard(
    {
        "time": "thyme dime tine tyme",
        "voice": "boys voices boyce voyce choice",
        "date": "dates dated data",
        "story": "storey stories stormy store",
        "tale": "tail",
        "faster": "vaster pastor fester master fast",
        "slower": "slow lower sloer blower",
        "count": "canned counts counted account clown",
        "again": "agen gain against",
        "say": "see stay stays set",
        "bye": "by buy",
        "goodbye": "goodby",
        "help": "helped held",
        "hello": "yell hallo hullo",
        "thanks": "thank thx",
        "you": "u",
        "your": "ur",
        "are": "r",
        "stop": "stopped stops top",
        "no": "know",
        "joke": "chalk jokes choke yoke",
        "one": "won wan",
        "a": "an the",
        "it": "that",
        "is": "its",
    }
)

PHRASES: tuple[str, ...] = (
    "what time is it",
    "what's the time",
    "what's the date",
    "what day is it",
    "tell me a story",
    "another story",
    "tell me a joke",
    "another joke",
    "say that again",
    "go on",
    "faster",
    "speak faster",
    "slower",
    "speak slower",
    "slow down",
    "normal speed",
    "another voice",
    "count",
    "count again",
    "count to ten",
    "count to twenty",
    "what can you do",
    "help",
    "who are you",
    "how are you",
    "thank you",
    "hello",
    "goodbye",
    "stop",
    "be quiet",
    "yes please",
    "no thank you",
)
"""What a recogniser's grammar is given: phrases that are told apart by ear."""
