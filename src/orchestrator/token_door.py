"""`POST /v1/token` and `POST /v1/pair`, and how an error of ours is answered over HTTP."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from msgspec import Struct

from base.address import is_loopback
from base.errors import AntiphonError, AtCapacity, BadRequest, Denied, Unavailable
from orchestrator.access import LOCAL, Network, checked_text, require_named
from orchestrator.callers import host_name, is_secure, peer_of
from orchestrator.gate import Gate
from orchestrator.keys import TALK, TOKEN

R = TypeVar("R", bound=Struct)
Handler = Callable[[web.Request], Awaitable[web.Response]]

BODY_BYTES = 16_384
BODY_S = 10.0
"""Whoever needs no key to ask (a pairing code is none) is not to hold a connection for as long as they like."""
NOT_FOR_THIS = frozenset({"KEY_SCOPE", "TOKEN_LISTENS", "TOKEN_NOT_KEY", "NOT_SECURE"})
"""Who asks is known, and may not: 403. Else 401."""


class TokenRequest(Struct, frozen=True):
    """As LiveKit's SDKs send it; what else they send (metadata, attributes, room configuration) is ours to say."""

    room_name: str | None = None
    participant_identity: str | None = None
    participant_name: str | None = None


class TokenAnswer(Struct, frozen=True):
    server_url: str
    participant_token: str
    room_name: str
    participant_identity: str
    expires_in_s: int
    websocket_url: str


class PairRequest(Struct, frozen=True):
    code: str
    name: str = ""


class PairAnswer(Struct, frozen=True):
    key: str
    id: str
    name: str


def token_handler(gate: Gate, livekit_url: str, trusted: Sequence[Network] = ()) -> Handler:
    """`livekit_url` is what clients are told; empty: there is no LiveKit."""

    async def serve(request: web.Request) -> web.Response:
        try:
            grant = gate.check(peer_of(request, "http", trusted), TALK)
            if grant.token is not None:
                raise Denied(
                    "a token cannot get another one; ask with the key that got it", reason="TOKEN_NOT_KEY", where="key"
                )
            wish = await _body(request, TokenRequest)
            room = checked_text(wish.room_name or "", "room_name")
            identity = checked_text(wish.participant_identity or "", "participant_identity")
            name = checked_text(wish.participant_name or "", "participant_name")
            if room:
                require_named(grant, TOKEN, "room_name")
            if identity:
                require_named(grant, TOKEN, "participant_identity")
            room = room or f"talk-{secrets.token_hex(16)}"
            identity = identity or f"guest-{secrets.token_hex(8)}"
            token = gate.mint(grant, room=room, identity=identity, name=name)
        except AntiphonError as error:
            return refusal(error)
        # A LiveKit on this machine's loopback is nothing to another machine: it is to talk over WebSocket. Who found us
        # as localhost is on this machine, proxy (Caddy's local site) or not.
        near = grant.bucket == LOCAL or is_loopback(host_name(request.host))
        there = livekit_url if near or not is_loopback(urlsplit(livekit_url).hostname or "") else ""
        return reply(TokenAnswer(there, token, room, identity, round(gate.token_ttl_s), socket_url(request)))

    return serve


def pair_handler(gate: Gate, trusted: Sequence[Network] = ()) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        try:
            if not is_secure(request):
                raise Denied(
                    "a device's key would be sent in the clear; pair over https:// (`antiphon up --lan`)",
                    reason="NOT_SECURE",
                )
            wish = await _body(request, PairRequest)
            name = wish.name or browser_name(request.headers.get("User-Agent", ""))
            key, record = await gate.pair(peer_of(request, "http", trusted), wish.code, name)
        except AntiphonError as error:
            return refusal(error)
        return reply(PairAnswer(key, record.id, record.name))

    return serve


def refusal(error: AntiphonError) -> web.Response:
    """An error as HTTP has it, with the words of a WebSocket's `error` in its body."""
    headers = {}
    if isinstance(error, Denied) or error.reason == "PAIRING_UNKNOWN":
        status = 403 if error.reason in NOT_FOR_THIS else 401
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, AtCapacity):
        status = 429
    elif isinstance(error, BadRequest):
        status = 400
    else:
        status = 503 if isinstance(error, Unavailable) else 500
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    body = {
        "code": error.code,
        "message": error.message,
        "reason": error.reason,
        "where": error.where,
        "retry_after_s": error.retry_after_s,
    }
    answer = reply({"error": body}, status=status)
    answer.headers.update(headers)
    return answer


def reply(value: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def socket_url(request: web.Request) -> str:
    """Where the WebSocket is for whoever sent this request. A proxy's word about TLS is good enough: it is told only to
    who sent it."""
    secure = request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
    return f"{'wss' if secure else 'ws'}://{request.host}/v1/converse"


def browser_name(agent: str) -> str:
    """ "Safari on iPhone", as far as a User-Agent tells."""
    systems = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
               ("Macintosh", "a Mac"), ("CrOS", "ChromeOS"), ("Linux", "Linux"))  # fmt: skip
    browsers = (("Edg", "Edge"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"),
                ("Chrome/", "Chrome"), ("Safari/", "Safari"))  # fmt: skip
    system = next((name for mark, name in systems if mark in agent), "")
    browser = next((name for mark, name in browsers if mark in agent), "a browser" if system else "")
    return f"{browser} on {system}" if system else browser


async def _body(request: web.Request, type_: type[R]) -> R:
    """JSON; nothing at all is an empty object. Raises BadRequest."""
    if request.content_length is not None and request.content_length > BODY_BYTES:
        raise BadRequest(f"the request has {request.content_length} bytes; {BODY_BYTES} are the most")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.content.iter_chunked(BODY_BYTES):
                body += piece
                if len(body) > BODY_BYTES:
                    raise BadRequest(f"the request has more than {BODY_BYTES} bytes")
    except TimeoutError:
        raise BadRequest(f"the request was not whole within {BODY_S:g} s", reason="TOO_SLOW") from None
    try:
        return msgspec.json.decode(bytes(body).strip() or b"{}", type=type_)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadRequest(f"the request is no JSON of the right shape: {error}", reason="MALFORMED") from error
