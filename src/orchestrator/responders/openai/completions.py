"""The OpenAI chat-completions format, as far as a spoken reply needs it: pure.

Server-sent events as in the WHATWG standard (fields, comments, CR, LF or CRLF); the stream's deltas as OpenAI, Ollama,
llama.cpp, vLLM and LM Studio send them. A server that does not stream sends one JSON document: that counts as an event.
Reasoning, in fields of its own or between tags (`thoughts`), is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.conversation.chunker import Chunker
from orchestrator.responders.openai.thoughts import ThinkFilter

ON_SCREEN = "The answer is code; it is on the screen."
"""Spoken when nothing else of an answer can be."""
LONGEST_LINE = 1 << 20
_FENCE = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})", re.MULTILINE)


class EventReader:
    """Server-sent events out of bytes that come in any pieces: `push` gives the data of each event that is complete."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[str] = []
        self._after_cr = False
        self._document: bytearray | None = None
        """What came of one that is no stream of events."""
        self._begun = False

    def push(self, data: bytes) -> list[str]:
        """Raises ValueError for a line longer than 1 MiB."""
        if not self._begun and (start := data.lstrip()):
            self._begun = True
            if start[:1] in b"{[":
                self._document = bytearray()
        if self._document is not None:
            self._document += data
            if len(self._document) > LONGEST_LINE:
                raise ValueError("a document of more than 1 MiB in place of an event stream")
            return []
        events: list[str] = []
        for byte_line, ended in self._lines(data):
            self._line += byte_line
            if len(self._line) > LONGEST_LINE:
                raise ValueError("a line of more than 1 MiB in the event stream")
            if ended:
                line, self._line = bytes(self._line).decode("utf-8", "replace"), bytearray()
                self._take(line, events)
        return events

    def end(self) -> list[str]:
        """The stream is over: a document, or an event whose blank line never came."""
        if self._document is not None:
            return [bytes(self._document).decode("utf-8", "replace")]
        events: list[str] = []
        if self._line:
            self._take(bytes(self._line).decode("utf-8", "replace"), events)
            self._line = bytearray()
        self._take("", events)
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


@dataclass(slots=True)
class ToolDraft:
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class ServerError(ValueError):
    """The server says that it cannot: its own words."""


@dataclass(slots=True)
class Completion:
    """What a stream has said so far. `take` returns the speakable text of one event."""

    think: ThinkFilter = field(default_factory=ThinkFilter)
    tools: dict[int, ToolDraft] = field(default_factory=dict)
    reason: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    alive: bool = False
    """Something came that shows that the model is at work, reasoning included."""
    whole: bool = False
    """The server has said that this is all; a stream that ends otherwise broke off."""
    _reasoned: bool = False

    @property
    def reasoned(self) -> bool:
        """There was reasoning, in a field of its own or between tags."""
        return self._reasoned or self.think.seen

    def take(self, data: str) -> str:
        """Raises ServerError for an error, ValueError for what is no chat-completion chunk."""
        if data.strip() == "[DONE]":
            self.whole = True
            return ""
        try:
            chunk = json.loads(data)
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON ({error.msg}): {data[:200]!r}") from None
        if not isinstance(chunk, Mapping):
            raise ValueError(f"not a JSON object: {data[:200]!r}")
        if chunk.get("error"):
            raise ServerError(error_text(chunk))
        usage = chunk.get("usage")
        if isinstance(usage, Mapping):
            self.usage = {k: v for k, v in usage.items() if isinstance(v, int)}
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, Mapping):
            return ""
        if isinstance(choice.get("finish_reason"), str):
            self.reason = choice["finish_reason"]
            self.whole = True
        delta, message = choice.get("delta"), choice.get("message")
        if isinstance(message, Mapping):
            self.whole = True
            return self._delta(message)
        return self._delta(delta) if isinstance(delta, Mapping) else ""

    def _delta(self, delta: Mapping[str, Any]) -> str:
        self._reasoned = self._reasoned or any(delta.get(k) for k in ("reasoning", "reasoning_content"))
        self.alive = self.alive or self._reasoned or any(delta.get(k) for k in ("content", "tool_calls"))
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


def when_only_code(reply: str) -> str:
    """What to add to a reply of which nothing can be spoken, as it is all code; empty for every other."""
    fences = _FENCE.findall(reply)
    if not fences:
        return ""
    chunker = Chunker()
    if any(chunk.text.strip() for chunk in (*chunker.push(reply), *chunker.flush())):
        return ""
    # A fence that was cut off by the limit is closed, or the sentence would be code as well.
    return (f"\n{fences[-1]}" if len(fences) % 2 else "") + f"\n\n{ON_SCREEN}"
