"""Who speaks in the made corpus, and what. Data.

A number in brackets is a pause in seconds. People pause where a sentence cannot end (after "and", "because", an
article, half a number), and where it could have: then only their habits tell. The turns of the first ten were written
before any rule was measured on them, and are not changed for one. Kim's and Leo's came later, of a review's examples:
pauses of 0.35 to 0.47 s as everybody makes them, so that the cost of answering soon shows.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Speaker:
    """`voice` is of `program`, "espeak" or "flite"; `condition` one of `making.CONDITIONS`."""

    name: str
    program: str
    voice: str
    condition: str
    turns: tuple[str, ...]


SPEAKERS = (
    Speaker(
        "ann",
        "espeak",
        "en-us",
        "clean",
        (
            "what time does the museum open on sunday",
            "i would like a large coffee and [0.9] a slice of apple cake please",
            "my number is four one five [1.0] six seven two nine eight zero",
            "yes please",
            "we cannot leave today because [1.2] the car is still broken",
            "turn off the lights in the kitchen",
        ),
    ),
    Speaker(
        "bob",
        "espeak",
        "en-gb+m7",
        "hum",
        (
            "set an alarm for half past six [0.8] and wake me up with some music",
            "how far is it from here to the station",
            "send a message to my sister [0.9] tell her that i will be late",
            "no thanks",
            "i am looking for the um [0.7] the blue folder from last week",
            "read me the news of today",
        ),
    ),
    Speaker(
        "cleo",
        "espeak",
        "en-us+f3",
        "music",
        (
            "who wrote the book about the old bridge",
            "please remind me to [0.8] call my mother tonight",
            "the meeting moved to friday [0.7] so we have more time",
            "stop",
            "add milk bread and [0.6] two bottles of water to my list",
            "that is all for now thank you",
        ),
    ),
    Speaker(
        "dave",
        "espeak",
        "en-us+m3",
        "typing",
        (
            "dear john [0.9] thank you for your letter of last week",
            "i read it with great pleasure and [0.8] i will answer all of your questions",
            "the first part is ready but [1.1] the second part needs another month",
            "where did we stop last time",
            "new paragraph",
            "yours sincerely",
        ),
    ),
    Speaker(
        "eve",
        "espeak",
        "en-gb+f2",
        "talker",
        (
            "can you book a table for [0.9] four people at eight",
            "the code is seven two [0.8] nine one",
            "okay",
            "i think it was a tuesday [1.0] or maybe it was wednesday",
            "is there a table by the window",
            "never mind",
        ),
    ),
    Speaker(
        "fay",
        "flite",
        "slt",
        "clean",
        (
            "what is the weather like in the mountains tomorrow",
            "i want to go to the [1.0] the national park near the lake",
            "play something quiet [0.7] maybe some piano music",
            "yes",
            "it rained all night so [0.9] the river is very high",
            "thank you very much",
        ),
    ),
    Speaker(
        "gus",
        "flite",
        "rms",
        "hum",
        (
            "my address is [0.8] twelve garden street",
            "the house has a red door [1.1] you cannot miss it",
            "do you know how to get there",
            "after the bridge turn left and then [0.7] go straight for a mile",
            "no",
            "tell me when you have found it",
        ),
    ),
    Speaker(
        "hal",
        "flite",
        "awb",
        "music",
        (
            "open the window it is too warm in here",
            "if it gets cold tonight [0.8] close it again",
            "how long does the washing take",
            "i need a shirt with [0.7] long sleeves and a collar",
            "yes please",
            "turn the heating down a little",
        ),
    ),
    Speaker(
        "ida",
        "flite",
        "kal16",
        "typing",
        (
            "my card number is five five one two [1.2] three four four oh",
            "it ends in [0.6] two two one",
            "could you check whether the payment went through",
            "i paid on monday because [0.9] the bill was late",
            "no thanks",
            "that was all goodbye",
        ),
    ),
    Speaker(
        "jim",
        "flite",
        "rms",
        "talker",
        (
            "why is the sky blue",
            "tell me a story about a brave little dog",
            "my brother lives in a small village [1.3] he has two horses",
            "he bought them from a [0.8] an old farmer",
            "wait",
            "go on please",
        ),
    ),
    Speaker(
        "kim",
        "espeak",
        "en-us+f4",
        "clean",
        (
            "i was thinking we might [0.4] go to the sea on sunday",
            "tell me about [0.35] the history of this town",
            "could you please [0.47] turn the music down",
            "i want to book a flight on [0.45] monday morning",
            "thank you [0.4] that was very kind of you",
            "set a timer for twenty [0.4] minutes",
            "i went to the shop [0.45] but it was closed",
        ),
    ),
    Speaker(
        "leo",
        "flite",
        "rms",
        "hum",
        (
            "i talked to my mother about [0.4] the party next week",
            "read me the news please [0.4] and the weather",
            "my sister lives in the old house [0.35] behind the church",
            "yes [0.4] i would like that",
            "we could go there again [0.45] in the summer",
            "where is the key [0.4] of the garden door",
            "stop the music [0.47] i cannot hear you",
        ),
    ),
)
