"""Streaming chat completions of any OpenAI-compatible endpoint: Ollama, llama.cpp, vLLM, LM Studio, OpenAI itself.

The request is closed as soon as the reply's iterator is. Until the first sign of life the model may be loading: after
`LOADING_S` the session is told, which keeps a barge-in from aborting the load.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from orchestrator import brain_errors as errors
from orchestrator.conversation.commands import Cause
from orchestrator.conversation.history import Item
from orchestrator.ports import Context, Delta, Done, Text, ToolCall
from orchestrator.responders.openai.completions import (
    DEFAULT_PROMPT,
    GREETING_PROMPT,
    Completion,
    EventReader,
    error_text,
    messages,
)

LOADING_S = 2.0
CONNECT_S = 5.0
DISCOVER_S = 0.6
OLLAMA = "http://127.0.0.1:11434"
LLAMA_CPP = "http://127.0.0.1:8080"


class OpenAIResponder:
    """See the module. One HTTP session for all conversations, opened at first use; `timeout_s` bounds each silence."""

    name = "openai"

    def __init__(
        self,
        *,
        url: str,
        model: str,
        key: str = "",
        context_tokens: int = 4096,
        max_tokens: int = 400,
        temperature: float = 0.7,
        timeout_s: float = 60.0,
        loading_s: float = LOADING_S,
    ) -> None:
        self._url = url.rstrip("/")
        self._model = model
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._context_tokens = context_tokens
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._timeout_s = timeout_s
        self._loading_s = loading_s
        self._http: aiohttp.ClientSession | None = None

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        prompt = context.instructions or DEFAULT_PROMPT
        asked = messages(history, prompt, self._context_tokens - self._max_tokens)
        if context.cause is Cause.GREETING:
            asked.append({"role": "user", "content": GREETING_PROMPT})
        completion = Completion()
        loading = asyncio.get_running_loop().call_later(self._loading_s, context.progress.loading_nowait)
        try:
            spoken = False
            async for data in self._events(asked):
                text = self._take(completion, data)
                if completion.alive:
                    loading.cancel()
                if text:
                    spoken = True
                    yield Text(text)
        finally:
            loading.cancel()
        if rest := completion.think.flush():
            spoken = True
            yield Text(rest)
        for tool in completion.tools.values():
            yield ToolCall(tool.call_id, tool.name, tool.arguments)
        if not spoken and not completion.tools:
            raise errors.ModelSilent(f"{self._where()} answered without a word (finish_reason {completion.reason!r})")
        yield Done(completion.reason or "stop", completion.usage)

    async def warm(self) -> None:
        """Asks for one token, so that the model is loaded when the first question comes."""
        body = self._body([{"role": "user", "content": "Hi"}], stream=False) | {"max_tokens": 1}
        try:
            async with self._session().post(f"{self._url}/chat/completions", json=body) as response:
                await self._check(response)
                await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _events(self, asked: list[dict[str, Any]]) -> AsyncIterator[str]:
        """The data of each server-sent event until [DONE]. The response is closed when the iterator is."""
        reader = EventReader()
        finished = False
        try:
            async with self._session().post(f"{self._url}/chat/completions", json=self._body(asked)) as response:
                await self._check(response)
                async for piece in response.content.iter_any():
                    for data in self._read(reader, piece):
                        if data.strip() == "[DONE]":
                            finished = True
                            return
                        yield data
        except TimeoutError as error:
            raise errors.ModelSlow(f"{self._where()} was silent for {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            if finished:
                return
            raise self._unreachable(error) from error

    def _read(self, reader: EventReader, piece: bytes) -> list[str]:
        try:
            return reader.push(piece)
        except ValueError as error:
            raise errors.ModelGarbled(f"{self._where()}: {error}") from error

    def _take(self, completion: Completion, data: str) -> str:
        try:
            return completion.take(data)
        except ValueError as error:
            raise errors.ModelGarbled(f"{self._where()}: {error}") from error

    def _body(self, asked: list[dict[str, Any]], *, stream: bool = True) -> dict[str, Any]:
        body: dict[str, Any] = {
            "messages": asked,
            "stream": stream,
            "max_tokens": self._max_tokens,
            "temperature": self._temperature,
        }
        if self._model:
            body["model"] = self._model
        return body

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=self._timeout_s)
            self._http = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        return self._http

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 200:
            return
        body = (await response.content.read(4096)).decode("utf-8", "replace")
        try:
            said = error_text(json.loads(body))
        except ValueError:
            said = body.strip()[:500]
        message = f"{self._where()} answered {response.status} {response.reason}: {said or 'nothing more'}"
        raise _BY_STATUS.get(
            response.status, errors.ModelRejected if response.status < 500 else errors.ModelUnreachable
        )(message)

    def _unreachable(self, error: BaseException) -> errors.ModelUnreachable:
        return errors.ModelUnreachable(
            f"{self._where()} cannot be reached or broke off: {error or type(error).__name__}"
        )

    def _where(self) -> str:
        return f"the language model {self._model or '(default)'} at {self._url}"


_BY_STATUS: dict[int, type[errors.ResponderError]] = {
    401: errors.ModelRefused,
    403: errors.ModelRefused,
    404: errors.ModelMissing,
    408: errors.ModelSlow,
    429: errors.ModelBusy,
    503: errors.ModelBusy,
    504: errors.ModelSlow,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A language model server found on this machine. `url` is what `llm_url` wants."""

    kind: str
    url: str
    models: tuple[str, ...]


async def discover(ollama: str = OLLAMA, llama_cpp: str = LLAMA_CPP) -> list[Endpoint]:
    """Looks for Ollama and llama.cpp on loopback; never takes longer than a second, never raises."""
    timeout = aiohttp.ClientTimeout(total=DISCOVER_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        found = await asyncio.gather(
            _models(http, f"{ollama}/api/tags", "models", "name"), _models(http, f"{llama_cpp}/v1/models", "data", "id")
        )
    kinds = (("ollama", ollama), ("llama.cpp", llama_cpp))
    return [Endpoint(kind, f"{base}/v1", models) for (kind, base), models in zip(kinds, found, strict=True) if models]


async def _models(http: aiohttp.ClientSession, url: str, many: str, name: str) -> tuple[str, ...]:
    try:
        async with http.get(url) as response:
            body = await response.json(content_type=None)
        return tuple(str(model[name]) for model in body[many])
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError):
        return ()
