"""A brain that knows a few questions, which are its ears' grammar.

`house(responder="tests.support.dialogue:Dialogue")`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from orchestrator.conversation.commands import Cause
from orchestrator.conversation.history import Item, Role
from orchestrator.ports import Context, Delta, Done, Text

LIBRARY, STORY, NAME = "where is the library", "tell me a story", "what is your name"
ANSWERS = {
    LIBRARY: "The library is behind the old town hall.",
    STORY: (
        "A fisherman lived alone beside the sea. Every morning he rowed out before the sun was up. "
        "One day he pulled a golden fish out of the water, and the fish began to speak. "
        "It promised him three wishes if he would only let it go. He thought about it for a very long time. "
        "In the end he wished for better weather, a warmer coat, and another story to tell."
    ),
    NAME: "You can call me Antiphon.",
}
GRAMMAR = (
    ANSWERS[LIBRARY],
    ANSWERS[NAME],
    "The museum is closed on every second Monday.",
    "I have never been to the mountains in winter.",
    "Please leave your umbrella beside the door.",
    "Nobody knows where the garden ends.",
)
"""What a reply might have been: two of these are."""


class Dialogue:
    """It greets with nothing."""

    name = "dialogue"
    early = False
    phrases = tuple(ANSWERS)

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        if context.cause is not Cause.GREETING:
            said = next((item.text for item in reversed(history) if item.role is Role.USER), "")
            yield Text(ANSWERS.get(said, "I did not understand that."))
        yield Done()

    async def warm(self) -> None:
        pass

    async def close(self) -> None:
        pass
