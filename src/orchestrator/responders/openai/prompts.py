"""What a model is asked: the request's messages and parameters. Pure.

Strict chat templates (Gemma's, Mistral's) want user and assistant in turn, the user first. So neighbours of one role
are one message, and before an assistant that would be first stands a short message of the user's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.conversation.history import Item, Role

DEFAULT_PROMPT = (
    "You are talking with someone by voice. Answer in one to three short spoken sentences, in the language they "
    "speak. Plain words only: no markdown, lists, code, emoji or stage directions; write numbers and symbols as they "
    "are said. What you hear comes from speech recognition and may contain errors: take the likely meaning, and ask if "
    "it is unclear. "
    "Where one of your replies ends with a note that you were interrupted, the user heard only the words before it."
)
GREETING_PROMPT = "The user has just connected and said nothing yet. Greet them in one short sentence."
TRIMMED_PROMPT = "[what was said before this is left out]"
CUT_MARKER = " [the user interrupted here and heard nothing after this]"
CHARS_PER_TOKEN = 4
"""A common estimate for English; the budget is a bound, not a count."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What an endpoint calls the bound on an answer, and whether it takes a temperature: learnt from its refusals.

    OpenAI's newer models refuse `max_tokens`, and any temperature but their own.
    """

    limit: str = "max_tokens"
    temperature: bool = True

    def after(self, refusal: str) -> Dialect | None:
        """What to try when a request was refused in these words; None where that would not help."""
        if self.limit == "max_tokens" and "max_tokens" in refusal:
            return replace(self, limit="max_completion_tokens")
        if self.temperature and "temperature" in refusal:
            return replace(self, temperature=False)
        return None

    def parameters(self, max_tokens: int, temperature: float) -> dict[str, Any]:
        return {self.limit: max_tokens} | ({"temperature": temperature} if self.temperature else {})


def messages(
    history: tuple[Item, ...], prompt: str, budget_tokens: int, *, greet: bool = False
) -> list[dict[str, Any]]:
    """The request's messages: the prompt, then as many of the latest items as the budget holds, at least the last.

    A cut reply stands as the words heard and a marker. Tool items are kept with the call they belong to. Our own
    apologies for failures are left out: a model would take them for its own words. `greet`: the user said nothing yet.
    """
    answered = {item.call_id for item in history if item.role is Role.TOOL_RESULT}
    # A call that was cut off before its result is refused by endpoints.
    shown = [i for i in history if not i.apology and (i.role is not Role.TOOL_CALL or i.call_id in answered)]
    if greet:
        shown.append(Item(Role.USER, GREETING_PROMPT))
    left = budget_tokens * CHARS_PER_TOKEN - len(prompt)
    chosen: list[Item] = []
    for item in reversed(shown):
        left -= len(item.text) + 16
        if left < 0 and chosen:
            break
        chosen.append(item)
    chosen.reverse()
    while chosen and chosen[0].role is Role.TOOL_RESULT:
        chosen.pop(0)
    if chosen and chosen[0].role is not Role.USER:
        opening = GREETING_PROMPT if len(chosen) == len(shown) else TRIMMED_PROMPT
        chosen.insert(0, Item(Role.USER, opening))
    return [{"role": "system", "content": prompt}, *_in_turn(map(_message, chosen))]


def _in_turn(each: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbours of one role as one message. The results of several calls stay apart: each has its id."""
    merged: list[dict[str, Any]] = []
    for message in each:
        if not merged or merged[-1]["role"] != message["role"] or message["role"] == "tool":
            merged.append(message)
            continue
        before = merged[-1]
        text = "\n\n".join(m["content"] for m in (before, message) if m["content"])
        calls = before.get("tool_calls", []) + message.get("tool_calls", [])
        merged[-1] = {"role": message["role"], "content": text or None} | ({"tool_calls": calls} if calls else {})
    return merged


def _message(item: Item) -> dict[str, Any]:
    if item.role is Role.ASSISTANT:
        return {"role": "assistant", "content": item.text + (CUT_MARKER if item.cut else "")}
    if item.role is Role.TOOL_CALL:
        function = {"name": item.name, "arguments": item.text}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": item.call_id, "type": "function", "function": function}],
        }
    if item.role is Role.TOOL_RESULT:
        return {"role": "tool", "tool_call_id": item.call_id, "content": item.text}
    return {"role": "user", "content": item.text}
