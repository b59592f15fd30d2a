"""A token that the servers of one system share, so that nobody else on their network can ask them for anything.

It lies in a file, one token a line. A client sends the first as `authorization: Bearer …`; a server takes each of them,
so that a token can be changed without a moment's refusal: the new one is added as the second line everywhere, then made
the first, then the old one is removed, with a restart after each. Health is answered to anybody: probes have no token.

A token is not encryption: who can read the network reads the token. Between hosts the servers belong into a private
network that encrypts (docs/deployment.md).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import grpc

from base.address import is_loopback
from base.errors import Misconfigured, Unauthenticated

HEADER = "authorization"
LEAST_CHARS = 16
OPEN = "/grpc.health.v1.Health/"
"""Methods that anybody may call."""

_SCHEME = "Bearer "


@dataclass(frozen=True, slots=True)
class Token:
    """What is sent, and what is taken; without any, nothing is asked. `source` is where it is set, for messages."""

    tokens: tuple[str, ...] = field(default=(), repr=False)
    source: str = "worker_token_file"

    def __bool__(self) -> bool:
        return bool(self.tokens)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call carries."""
        return ((HEADER, _SCHEME + self.tokens[0]),) if self.tokens else ()

    def accepts(self, given: str) -> bool:
        """Compared in constant time, with all of them."""
        sent = given.encode()
        return sum([hmac.compare_digest((_SCHEME + token).encode(), sent) for token in self.tokens]) > 0


NONE = Token()


def read_token(path: str, *, host: str = "", source: str = "worker_token_file") -> Token:
    """The token in the file; without a path, none, which is refused where `host` can be reached from elsewhere.

    Raises `Misconfigured`. `host` is the address to serve on; who only asks has none.
    """
    if not path:
        if host and not is_loopback(host):
            raise Misconfigured(
                f"serving on {host} lets everybody on the network in: set {source} to a file with a token that all "
                "services of this system share (deploy/init makes one), or serve on 127.0.0.1",
                reason="NO_TOKEN",
            )
        return NONE
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not text"
        raise Misconfigured(f"{source} {path!r} cannot be read: {why}", reason="BAD_TOKEN_FILE") from error
    tokens = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not tokens:
        raise Misconfigured(f"{source} {path!r} is empty; write one token a line", reason="BAD_TOKEN_FILE")
    for number, token in enumerate(tokens, start=1):
        if len(token) < LEAST_CHARS or not token.isascii() or not token.isprintable() or " " in token:
            raise Misconfigured(
                f"{source} {path!r}: token {number} is no good; it takes at least {LEAST_CHARS} characters of ASCII "
                "without spaces, such as `openssl rand -hex 32` prints",
                reason="BAD_TOKEN_FILE",
            )
    return Token(tokens, source)


class TokenGuard:
    """A server interceptor: a call without a right token is UNAUTHENTICATED, whatever it asks for."""

    def __init__(self, token: Token, make: Callable[[bool, bool], Any]) -> None:
        """`make(streams_in, streams_out)` is the constructor of such a method's handler."""
        self._token = token
        self._make = make

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        method: str = handler_call_details.method
        if handler is None or method.startswith(OPEN):
            return handler
        given = _sent(handler_call_details.invocation_metadata)
        if given is not None and self._token.accepts(given):
            return handler

        async def refuse(request: Any, context: Any) -> NoReturn:
            what = "carries another token than this server's" if given is not None else "carries no token"
            raise Unauthenticated(
                f"the call {what}; give the caller the server's token ({self._token.source}), which is sent as "
                f"`{HEADER}: Bearer …`",
                reason="WORKER_TOKEN",
            )

        make = self._make(bool(handler.request_streaming), bool(handler.response_streaming))
        return make(refuse, handler.request_deserializer, handler.response_serializer)


grpc.aio.ServerInterceptor.register(TokenGuard)


def _sent(metadata: Iterable[tuple[str, str | bytes]] | None) -> str | None:
    for key, value in metadata or ():
        if key == HEADER and isinstance(value, str):
            return value
    return None


class TokenChannel:
    """A channel whose calls carry a token besides their own metadata. No interceptor: that would cost every message."""

    def __init__(self, channel: grpc.aio.Channel, token: Token) -> None:
        self._channel = channel
        self._metadata = token.metadata()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    async def __aenter__(self) -> TokenChannel:
        await self._channel.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._channel.__aexit__(*error)

    def unary_unary(self, *arguments: Any, **named: Any) -> Any:
        return self._carrying(self._channel.unary_unary(*arguments, **named))

    def unary_stream(self, *arguments: Any, **named: Any) -> Any:
        return self._carrying(self._channel.unary_stream(*arguments, **named))

    def stream_unary(self, *arguments: Any, **named: Any) -> Any:
        return self._carrying(self._channel.stream_unary(*arguments, **named))

    def stream_stream(self, *arguments: Any, **named: Any) -> Any:
        return self._carrying(self._channel.stream_stream(*arguments, **named))

    def _carrying(self, method: Any) -> Any:
        def call(*arguments: Any, metadata: Any = None, **named: Any) -> Any:
            return method(*arguments, metadata=(*(metadata or ()), *self._metadata), **named)

        return call


grpc.aio.Channel.register(TokenChannel)
