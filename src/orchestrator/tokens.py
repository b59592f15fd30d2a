"""Short-lived tokens: pure. One JWT (RFC 7519, HS256) lets its holder into one LiveKit room and open a session here.

With LiveKit configured it is signed with LiveKit's key and has LiveKit's own claims, so that whatever mints LiveKit
tokens with that key mints ours; without, it is signed with a secret of our own and has the same claims. `now` is the
time of day, in seconds: a token is read on other machines.

PyJWT is imported when it is needed first, as it takes 10 MB and a tenth of a second: `prepare` does so beforehand.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from base.errors import Denied

ALGORITHM = "HS256"
OWN_ISSUER = "antiphon"
PROTOCOL_ATTRIBUTE = "antiphon.protocol"
KEY_CLAIM = "antiphon_key"
"""The id of the access key that asked for the token: a token ends with it. LiveKit gives whoever is in a room a fresh
token every few minutes, without claims that it does not know, but with the tags of `roomConfig`: it is there, too. The
metadata of the room that a token makes, which nobody in it can change, have it as well: there our agent reads it.
"""
LEEWAY_S = 30.0
"""How far clocks may be apart."""
MAX_CHARACTERS = 8_192


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs. `issuer` is LiveKit's API key, or OWN_ISSUER. `agent`: the agent that LiveKit is to send into the
    room of a token; empty: it sends one into every room by itself."""

    secret: str = field(repr=False)
    issuer: str = OWN_ISSUER
    agent: str = ""

    @property
    def livekit(self) -> bool:
        return self.issuer != OWN_ISSUER


@dataclass(frozen=True, slots=True)
class Token:
    """What a token that was found good says."""

    room: str
    identity: str
    expires: float
    name: str = ""
    key: str = ""


def prepare() -> None:
    """What the first token would wait for."""
    importlib.import_module("jwt")


def looks_like_token(text: str) -> bool:
    """Whether this is meant as a token, and not as an access key (in which there is no dot)."""
    return text.count(".") == 2


def mint(signer: Signer, *, room: str, identity: str, now: float, ttl_s: float, name: str = "", key: str = "") -> str:
    """A token for `identity` in `room`, good for `ttl_s` seconds. `key` is the id of the access key behind it."""
    claims: dict[str, Any] = {
        "iss": signer.issuer,
        "sub": identity,
        "nbf": math.floor(now),
        "exp": math.ceil(now + ttl_s),
        "video": {
            "roomJoin": True,
            "room": room,
            "canPublish": True,
            "canSubscribe": True,
            "canPublishData": True,
            # The page sets its own attributes, for example that it speaks our protocol.
            "canUpdateOwnMetadata": True,
        },
        "attributes": {PROTOCOL_ATTRIBUTE: "1"},
    }
    if name:
        claims["name"] = name
    if key:
        claims[KEY_CLAIM] = key
    if signer.livekit:
        room_config: dict[str, Any] = {}
        if signer.agent:
            room_config["agents"] = [{"agentName": signer.agent}]
        if key:
            room_config |= {"tags": {KEY_CLAIM: key}, "metadata": json.dumps({KEY_CLAIM: key})}
        if room_config:
            claims["roomConfig"] = room_config
    import jwt

    return jwt.encode(claims, signer.secret, algorithm=ALGORITHM)


def key_of_room(metadata: str) -> str:
    """The id of the key whose token made the room; empty where it was made by something else."""
    try:
        said = json.loads(metadata)
    except (ValueError, RecursionError):
        return ""
    return _text(said, KEY_CLAIM) if isinstance(said, Mapping) else ""


def verify(signer: Signer, token: str, *, now: float, room: str | None = None) -> Token:
    """What `token` says, if `signer` signed it, it is of now and lets its holder speak (in `room`, where one is named).

    Raises Denied: TOKEN_FORGED, TOKEN_EXPIRED, TOKEN_EARLY, TOKEN_OTHER_ROOM, TOKEN_LISTENS.
    """
    claims = _signed(signer, token)
    expires, starts = _number(claims, "exp"), _number(claims, "nbf", 0.0)
    if now >= expires + LEEWAY_S:
        raise Denied(
            f"this token expired {now - expires:.0f} s ago; ask for another one (POST /v1/token)",
            reason="TOKEN_EXPIRED",
            where="key",
        )
    if now < starts - LEEWAY_S:
        raise Denied(
            f"this token is good only in {starts - now:.0f} s; the clock of whoever made it may be wrong",
            reason="TOKEN_EARLY",
            where="key",
        )
    grants = _part(claims, "video")
    of = grants.get("room")
    if grants.get("roomJoin") is not True or not isinstance(of, str) or not of:
        raise _forged("it lets nobody into a room; ours come from POST /v1/token")
    if room is not None and of != room:
        raise Denied(
            f"this token is for room {of[:100]!r}, not {room[:100]!r}; ask for one for this room",
            reason="TOKEN_OTHER_ROOM",
            where="key",
        )
    sources = grants.get("canPublishSources")
    silent = isinstance(sources, list) and bool(sources) and "microphone" not in sources
    if grants.get("canPublish") is False or grants.get("hidden") is True or silent:
        raise Denied("this token lets its holder listen, not speak", reason="TOKEN_LISTENS", where="key")
    return Token(
        room=of,
        identity=_text(claims, "sub"),
        expires=expires,
        name=_text(claims, "name"),
        key=_text(claims, KEY_CLAIM) or _text(_part(_part(claims, "roomConfig"), "tags"), KEY_CLAIM),
    )


def _signed(signer: Signer, token: str) -> dict[str, Any]:
    if len(token) > MAX_CHARACTERS:
        raise _forged(f"it has {len(token)} characters; {MAX_CHARACTERS} are the most")
    import jwt
    from jwt.exceptions import InvalidSignatureError, InvalidTokenError

    try:
        # Time is checked by the caller, whose `now` it is. The algorithm is ours to say, never the token's.
        return jwt.decode(
            token,
            signer.secret,
            algorithms=[ALGORITHM],
            issuer=signer.issuer,
            options={
                "require": ["exp", "iss", "sub"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
            },
        )
    except InvalidSignatureError:
        raise _forged(
            "its signature is not ours; it may be another server's, or from before this one started"
        ) from None
    except (InvalidTokenError, ValueError, RecursionError) as error:
        raise _forged(f"{str(error)[:100]}") from None


def _forged(why: str) -> Denied:
    return Denied(f"this token is not one of this server's: {why}", reason="TOKEN_FORGED", where="key")


def _number(claims: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _forged(f"its {name} is no time")
    return float(value)


def _part(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = claims.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
