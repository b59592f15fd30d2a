"""The session protocol from the client's side: messages to JSON and back. docs/protocol.md states every field.

The types are the server's own (`orchestrator.messages`). What a newer server sends and we do not know is no error: it
comes as `Unknown`.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import msgspec

from antiphon.lines.line import Unknown
from base.errors import (
    AntiphonError,
    AtCapacity,
    BadRequest,
    Denied,
    Internal,
    Misconfigured,
    NotFound,
    TimedOut,
    Unavailable,
    WrongState,
)
from orchestrator.messages import ClientMessage, Error, ServerMessage

PATH = "/v1/converse"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ServerMessage)
_ERRORS: dict[str, type[AntiphonError]] = {
    e.code: e
    for e in (BadRequest, NotFound, WrongState, Denied, AtCapacity, Unavailable, TimedOut, Misconfigured, Internal)
}


def encode(message: ClientMessage) -> str:
    return _encoder.encode(message).decode()


def decode(text: str) -> ServerMessage | Unknown:
    try:
        message: ServerMessage = _decoder.decode(text)
    except msgspec.MsgspecError:
        return Unknown(text)
    return message


def as_exception(error: Error) -> AntiphonError:
    """What the server said as the error that it is in our tree."""
    kind = _ERRORS.get(error.code, Internal)
    where = f"{error.where}: " if error.where and not error.message.startswith(error.where) else ""
    reason = error.reason or None
    return kind(where + error.message, reason=reason, retry_after_s=error.retry_after_s, where=error.where)


def socket_url(url: str) -> str:
    """The WebSocket address of the system at `url`: "host:port", "http://…" and "ws://…" all mean the same."""
    if "://" not in url:
        url = f"http://{url}"
    parts = urlsplit(url)
    scheme = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise BadRequest(f"address {url!r} is not one of a server; it looks like http://127.0.0.1:8765")
    path = parts.path if parts.path not in ("", "/") else PATH
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))
