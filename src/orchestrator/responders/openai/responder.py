"""The responder: asks, reads the answer as it is written, and says in words what goes wrong.

The request is closed as soon as the reply's iterator is. Until the first sign of life the model may be loading: after
`LOADING_S` the session is told, which keeps a barge-in from aborting the load.

What an endpoint is like is learnt once and kept: its first model where none is named, which parameters it refuses, and
whether its answers begin inside a thought (`thoughts`). For that the first warm-up asks for a few words instead of one
token; while it has not answered, what a reply says is held.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import aiohttp

from base.log import get_logger
from orchestrator import brain_errors as errors
from orchestrator.conversation.commands import Cause
from orchestrator.conversation.history import Item
from orchestrator.ports import Context, Delta, Done, Text, ToolCall
from orchestrator.responders.openai.completions import (
    Completion,
    EventReader,
    ServerError,
    error_text,
    when_only_code,
)
from orchestrator.responders.openai.endpoints import look
from orchestrator.responders.openai.prompts import DEFAULT_PROMPT, Dialect, messages
from orchestrator.responders.openai.thoughts import ThinkFilter

LOADING_S = 2.0
CONNECT_S = 5.0
PROBE = "Answer with one word: ready."
PROBE_TOKENS = 256
"""Of the first warm-up. Who needs more for one word is thinking."""

T = TypeVar("T")

log = get_logger("openai")


class OpenAIResponder:
    """See the module. One HTTP session for all conversations, opened at first use.

    `start_timeout_s` bounds the wait for the first sign of life, `timeout_s` each silence after it.
    """

    name = "openai"
    early = True

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
        start_timeout_s: float = 300.0,
        loading_s: float = LOADING_S,
    ) -> None:
        self._url = url.rstrip("/")
        self._model = model
        self._key = key
        self._context_tokens = context_tokens
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._timeout_s = timeout_s
        self._start_timeout_s = max(start_timeout_s, timeout_s)
        self._loading_s = loading_s
        self._http: aiohttp.ClientSession | None = None
        self._looked = False
        self._dialect = Dialect()
        self._inside: bool | None = None
        """Whether the model's answers begin inside a thought; None: not known yet."""
        self._probing = False

    async def reply(self, history: tuple[Item, ...], context: Context) -> AsyncIterator[Delta]:
        greet = context.cause is Cause.GREETING
        prompt = context.instructions or DEFAULT_PROMPT
        asked = messages(history, prompt, self._context_tokens - self._max_tokens, greet=greet)
        completion = Completion(ThinkFilter(held=self._holds))
        said = ""
        loading = asyncio.get_running_loop().call_later(self._loading_s, context.progress.loading_nowait)
        try:
            async with aclosing(self._ask(asked, completion, self._max_tokens)) as pieces:
                async for text in pieces:
                    if completion.alive:
                        loading.cancel()
                    if completion.think.lone:
                        self._inside = True
                    elif completion.think.held and not self._holds:
                        text = completion.think.release() + text
                    if text:
                        said += text
                        yield Text(text)
        finally:
            loading.cancel()
        thought_all = completion.think.held and completion.reason == "length"
        if not thought_all and (rest := completion.think.flush()):
            said += rest
            yield Text(rest)
        if said and completion.reason != "length" and not completion.think.lone:
            self._inside = False
        if not said:
            raise self._wordless(completion)
        if code := when_only_code(said):
            yield Text(code)
        for tool in completion.tools.values():
            yield ToolCall(tool.call_id, tool.name, tool.arguments)
        yield Done(completion.reason or "stop", completion.usage)

    async def warm(self) -> None:
        """Has the model loaded when the first question comes; the first time, finds out how its answers begin."""
        if self._inside is None and not self._probing:
            self._probing = True
            try:
                await self._probe()
            finally:
                self._probing = False
            return
        async with aclosing(self._ask([{"role": "user", "content": "Hi"}], Completion(), 1)) as pieces:
            async for _ in pieces:
                pass

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    # --- inside -----------------------------------------------------------------------------------------------------

    @property
    def _holds(self) -> bool:
        """Whether an answer may turn out to have begun inside a thought."""
        return self._inside is True or (self._inside is None and self._probing)

    async def _probe(self) -> None:
        completion = Completion(ThinkFilter(held=True))
        async with aclosing(self._ask([{"role": "user", "content": PROBE}], completion, PROBE_TOKENS)) as pieces:
            async for _ in pieces:
                if completion.reasoned:
                    break
        if self._inside is None:
            self._inside = completion.think.lone if completion.reasoned else completion.reason == "length"

    async def _ask(
        self, asked: list[dict[str, Any]], completion: Completion, max_tokens: int
    ) -> AsyncGenerator[str, None]:
        """The speakable text of each event, perhaps empty. The response is closed when the iterator is."""
        deadline = asyncio.get_running_loop().time() + self._start_timeout_s
        reader = EventReader()
        try:
            await self._find_model()
            async with await self._post(asked, max_tokens, deadline) as response:
                while piece := await self._piece(response, completion, deadline):
                    for data in self._read(reader.push, piece):
                        yield self._read(completion.take, data)
                        if data.strip() == "[DONE]":
                            return
                for data in reader.end():
                    yield self._read(completion.take, data)
        except aiohttp.ConnectionTimeoutError as error:
            raise self._unreachable(error) from error
        except TimeoutError as error:
            if not completion.whole:
                raise self._slow(completion) from error
        except (aiohttp.ClientError, OSError) as error:
            if not completion.whole:
                raise (self._broke_off(error) if completion.alive else self._unreachable(error)) from error
        if not completion.whole:
            raise self._broke_off("the answer ended without finish_reason and without [DONE]")

    async def _find_model(self) -> None:
        """Where no model is named, the endpoint's first is meant. What does not answer now is asked again next time."""
        if self._model or self._looked:
            return
        found = await look(self._url, self._key)
        if found is not None:
            self._looked = True
            self._url = found.url
            self._model = found.models[0] if found.models else ""
            log.info("model_found", url=self._url, model=self._model)

    async def _post(self, asked: list[dict[str, Any]], max_tokens: int, deadline: float) -> aiohttp.ClientResponse:
        """A response with an answer in it. A refusal that names a parameter, or a wrong address, is put right once."""
        dialect = self._dialect
        while True:
            body = {"messages": asked, "stream": True, **dialect.parameters(max_tokens, self._temperature)}
            if self._model:
                body["model"] = self._model
            async with asyncio.timeout_at(deadline):
                response = await self._session().post(f"{self._url}/chat/completions", json=body)
                if response.status == 200:
                    self._dialect = dialect
                    return response
                async with response:
                    refusal = (await response.content.read(4096)).decode("utf-8", "replace")
            other = dialect.after(refusal) if response.status in (400, 422) else None
            if other is not None:
                dialect = other
            elif response.status != 404 or not await self._corrected():
                raise self._refused(response, refusal)

    async def _corrected(self) -> bool:
        """Whether the models turned out to be at another address, which is asked from now on."""
        found = await look(self._url, self._key)
        if found is None or found.url == self._url:
            return False
        log.warning("llm_url_corrected", configured=self._url, url=found.url)
        self._url = found.url
        return True

    async def _piece(self, response: aiohttp.ClientResponse, completion: Completion, deadline: float) -> bytes:
        """What comes next; empty at the end."""
        if completion.alive:
            deadline = asyncio.get_running_loop().time() + self._timeout_s
        async with asyncio.timeout_at(deadline):
            return await response.content.readany()

    def _read(self, take: Callable[[Any], T], what: bytes | str) -> T:
        try:
            return take(what)
        except ServerError as error:
            raise errors.ModelFailed(f"{self._where()} says: {error}") from error
        except ValueError as error:
            raise errors.ModelGarbled(f"{self._where()}: {error}") from error

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
            self._http = aiohttp.ClientSession(headers=headers, timeout=timeout)
        return self._http

    # --- what goes wrong --------------------------------------------------------------------------------------------

    def _refused(self, response: aiohttp.ClientResponse, body: str) -> errors.ResponderError:
        try:
            said = error_text(json.loads(body))
        except ValueError:
            said = body.strip()[:500]
        kind = _BY_STATUS.get(response.status, errors.ModelRejected if response.status < 500 else errors.ModelFailed)
        return kind(f"{self._where()} answered {response.status} {response.reason}: {said or 'nothing more'}")

    def _wordless(self, completion: Completion) -> errors.ResponderError:
        reason = f"finish_reason {completion.reason!r}"
        if completion.reason == "length":
            return errors.ModelCutShort(
                f"{self._where()} used up its {self._max_tokens} tokens before the first word ({reason}): reasoning "
                "counts; raise llm_max_tokens, or take a model that reasons less"
            )
        if completion.tools:
            names = ", ".join(repr(tool.name) for tool in completion.tools.values())
            return errors.ModelSilent(f"{self._where()} only called {names}, a tool that it was not offered ({reason})")
        return errors.ModelSilent(f"{self._where()} answered without a word ({reason})")

    def _slow(self, completion: Completion) -> errors.ModelSlow:
        if completion.alive:
            return errors.ModelSlow(f"{self._where()} was silent for {self._timeout_s:g} s (llm_timeout_s)")
        return errors.ModelSlow(
            f"{self._where()} gave no sign of life for {self._start_timeout_s:g} s (llm_start_timeout_s)"
        )

    def _broke_off(self, error: BaseException | str) -> errors.ModelBrokeOff:
        return errors.ModelBrokeOff(f"{self._where()} broke off: {error or type(error).__name__}")

    def _unreachable(self, error: BaseException) -> errors.ModelUnreachable:
        return errors.ModelUnreachable(f"{self._where()} cannot be reached: {error or type(error).__name__}")

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
