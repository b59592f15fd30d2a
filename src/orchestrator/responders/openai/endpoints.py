"""Language model servers: what one has, and which run on this machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp

DISCOVER_S = 0.6
LOOK_S = 5.0
OLLAMA = "http://127.0.0.1:11434"
LLAMA_CPP = "http://127.0.0.1:8080"

_FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A language model server that answers. `url` is what `llm_url` wants."""

    kind: str
    url: str
    models: tuple[str, ...]


async def look(url: str, key: str = "") -> Endpoint | None:
    """What answers at `url` or, as the end of an address is easily forgotten, at `url`/v1; None: nothing. Never raises.

    One that wants a key and got none, or a wrong one, is there, with no models.
    """
    url = url.rstrip("/")
    refused = None
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=LOOK_S)) as http:
        for base in (url, f"{url}/v1")[: 1 if url.endswith("/v1") else 2]:
            try:
                async with http.get(f"{base}/models") as response:
                    if response.status == 200:
                        body = await response.json(content_type=None)
                        return Endpoint("", base, _names(body["data"] if isinstance(body, dict) else body, "id"))
                    if response.status in (401, 403) and refused is None:
                        refused = Endpoint("", base, ())
            except _FAILURES:
                continue
    return refused


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
        return _names(body[many], name)
    except _FAILURES:
        return ()


def _names(models: Any, name: str) -> tuple[str, ...]:
    """A server without a model lists null, or an empty list."""
    return tuple(str(model[name]) for model in models or ())
