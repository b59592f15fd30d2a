"""The OpenAI chat-completions format, as far as a spoken reply needs it: pure.

Server-sent events as in the WHATWG standard (fields, comments, CR, LF or CRLF); the stream's deltas as OpenAI, Ollama,
llama.cpp, vLLM and LM Studio send them. Reasoning, in fields of its own or between <think> tags, is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
CUT_MARKER = " [the user interrupted here and heard nothing after this]"
CHARS_PER_TOKEN = 4
"""A common estimate for English; the budget is a bound, not a count."""
OPEN, CLOSE = "<think>", "</think>"
LONGEST_LINE = 1 << 20


class EventReader:
    """Server-sent events out of bytes that come in any pieces: `push` gives the data of each event that is complete."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[str] = []
        self._after_cr = False

    def push(self, data: bytes) -> list[str]:
        """Raises ValueError for a line longer than 1 MiB."""
        events: list[str] = []
        for byte_line, ended in self._lines(data):
            self._line += byte_line
            if len(self._line) > LONGEST_LINE:
                raise ValueError("a line of more than 1 MiB in the event stream")
            if ended:
                line, self._line = bytes(self._line).decode("utf-8", "replace"), bytearray()
                self._take(line, events)
        return events

    def _lines(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        if self._after_cr and data[:1] == b"\n":
            data = data[1:]
        self._after_cr = data[-1:] == b"\r"
        pieces = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for piece in pieces[:-1]:
            yield piece, True
        yield pieces[-1], False

    def _take(self, line: str, events: list[str]) -> None:
        if not line:
            if self._data:
                events.append("\n".join(self._data))
            self._data = []
            return
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))


class ThinkFilter:
    """Drops what stands between <think> and </think>, however the stream is cut into pieces."""

    def __init__(self) -> None:
        self._thinking = False
        self._held = ""
        self._spoken = False

    def push(self, text: str) -> str:
        out: list[str] = []
        text = self._held + text
        self._held = ""
        while text:
            tag = CLOSE if self._thinking else OPEN
            at = text.find(tag)
            if at >= 0:
                if not self._thinking:
                    out.append(text[:at])
                text = text[at + len(tag) :]
                self._thinking = not self._thinking
                continue
            keep = _overlap(text, tag)
            if not self._thinking:
                out.append(text[: len(text) - keep])
            self._held = text[len(text) - keep :]
            break
        said = "".join(out)
        if not self._spoken:
            # Models leave blank lines behind their thoughts.
            said = said.lstrip()
            self._spoken = bool(said)
        return said

    def flush(self) -> str:
        """What was held back in case it became a tag."""
        held, self._held = self._held, ""
        return "" if self._thinking else held


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of `text` that begins `tag`."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:n])), 0)


@dataclass(slots=True)
class ToolDraft:
    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Completion:
    """What a stream has said so far. `take` returns the speakable text of one event."""

    think: ThinkFilter = field(default_factory=ThinkFilter)
    tools: dict[int, ToolDraft] = field(default_factory=dict)
    reason: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    alive: bool = False
    """Something came that shows that the model is at work, reasoning included."""

    def take(self, data: str) -> str:
        """Raises ValueError for what is no chat-completion chunk, with the server's own words if it sent an error."""
        try:
            chunk = json.loads(data)
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON ({error.msg}): {data[:200]!r}") from None
        if not isinstance(chunk, Mapping):
            raise ValueError(f"not a JSON object: {data[:200]!r}")
        if chunk.get("error"):
            raise ValueError(f"the server says: {error_text(chunk)}")
        usage = chunk.get("usage")
        if isinstance(usage, Mapping):
            self.usage = {k: v for k, v in usage.items() if isinstance(v, int)}
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, Mapping):
            return ""
        if isinstance(choice.get("finish_reason"), str):
            self.reason = choice["finish_reason"]
        delta = choice.get("delta")
        if not isinstance(delta, Mapping):
            return ""
        self.alive = self.alive or any(
            delta.get(k) for k in ("content", "reasoning", "reasoning_content", "tool_calls")
        )
        self._tools(delta.get("tool_calls"))
        content = delta.get("content")
        return self.think.push(content) if isinstance(content, str) else ""

    def _tools(self, calls: Any) -> None:
        for call in calls if isinstance(calls, list) else []:
            if not isinstance(call, Mapping):
                continue
            index = call.get("index")
            draft = self.tools.setdefault(index if isinstance(index, int) else len(self.tools), ToolDraft())
            function = call.get("function")
            draft.call_id = draft.call_id or str(call.get("id") or "")
            if isinstance(function, Mapping):
                draft.name += str(function.get("name") or "")
                draft.arguments += str(function.get("arguments") or "")


def error_text(body: Any) -> str:
    """The message in an error body, whichever of the usual shapes it has."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if isinstance(error, Mapping):
        return str(error.get("message") or error.get("detail") or error)[:500]
    return str(error)[:500]


def messages(history: tuple[Item, ...], prompt: str, budget_tokens: int) -> list[dict[str, Any]]:
    """The request's messages: the prompt, then as many of the latest items as the budget holds, at least the last.

    A cut reply stands as the words heard and a marker. Tool items are kept with the call they belong to.
    """
    left = budget_tokens * CHARS_PER_TOKEN - len(prompt)
    chosen: list[Item] = []
    answered = {item.call_id for item in history if item.role is Role.TOOL_RESULT}
    for item in reversed(history):
        if item.role is Role.TOOL_CALL and item.call_id not in answered:
            continue  # cut off before its result; endpoints refuse a call without one
        left -= len(item.text) + 16
        if left < 0 and chosen:
            break
        chosen.append(item)
    chosen.reverse()
    while chosen and chosen[0].role is Role.TOOL_RESULT:
        chosen.pop(0)
    return [{"role": "system", "content": prompt}, *map(_message, chosen)]


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
