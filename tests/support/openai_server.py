"""A real HTTP server that speaks the chat-completions protocol from a script of raw pieces."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


def event(text: str | None = None, **delta: Any) -> bytes:
    """One server-sent event with a delta."""
    body = {"choices": [{"index": 0, "delta": {**({"content": text} if text is not None else {}), **delta}}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
Piece = bytes | float | asyncio.Event | None


def end(reason: str) -> bytes:
    """The event that says why the answer ends here."""
    return b"data: " + json.dumps({"choices": [{"delta": {}, "finish_reason": reason}]}).encode() + b"\n\n"


@dataclass
class OpenAIServer:
    """`pieces`: bytes are written as they are, floats are waited for, an Event is waited on, None breaks off.

    `answers` come first, one a request; so do `refusals`: a status and a body.
    """

    url: str = ""
    pieces: list[Piece] = field(default_factory=list)
    answers: list[list[Piece]] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    models: list[str] = field(default_factory=lambda: ["gguf"])
    looks: int = 0
    """How often the models were asked for."""
    status: int = 200
    error: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client went away in the middle of a stream."""

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        if self.refusals:
            status, body = self.refusals.pop(0)
            return web.Response(status=status, text=body)
        if self.status != 200:
            return web.Response(status=self.status, text=self.error)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for piece in self.answers.pop(0) if self.answers else self.pieces:
                if isinstance(piece, bytes):
                    await response.write(piece)
                elif isinstance(piece, asyncio.Event):
                    await piece.wait()
                elif piece is None:
                    assert request.transport is not None
                    request.transport.abort()
                    return response
                else:
                    await asyncio.sleep(piece)
        except (asyncio.CancelledError, ConnectionError):
            self.closed.set()
            raise
        return response

    async def _tags(self, request: web.Request) -> web.Response:
        return web.json_response({"models": [{"name": "llama3.2"}, {"name": "qwen3"}]})

    async def _models(self, request: web.Request) -> web.Response:
        self.looks += 1
        return web.json_response({"data": [{"id": model} for model in self.models]})


@asynccontextmanager
async def openai_server(*pieces: Piece) -> AsyncIterator[OpenAIServer]:
    server = OpenAIServer(pieces=list(pieces))
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server._chat)
    app.router.add_get("/api/tags", server._tags)
    app.router.add_get("/v1/models", server._models)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    server.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()
