"""What was said, by whom, and how much of it was heard. Frozen items in a tuple that only grows at its end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    USER = "user"
    ASSISTANT = "assistant"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"


@dataclass(frozen=True, slots=True)
class Item:
    """One item. For the assistant `text` is what was *heard*; `cut` marks a reply that was interrupted there.

    `apology`: our own sentence about a failure. It was heard, but no brain said it.
    """

    role: Role
    text: str
    turn: int = 0
    cut: bool = False
    name: str = ""
    call_id: str = ""
    apology: bool = False
