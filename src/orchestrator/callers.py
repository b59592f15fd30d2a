"""Who is at the other end of an HTTP request, as far as its connection and its headers tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import web

from base.address import is_loopback
from orchestrator.access import Network, seen
from orchestrator.ports import Peer

HOST = re.compile(r"[^\s@/?#\\;,'\"]+")


def peer_of(request: web.Request, kind: str, trusted: Sequence[Network] = ()) -> Peer:
    """`trusted`: the proxies whose X-Forwarded-For is believed. A name that is not loopback's, on a connection from
    loopback, was brought here by a proxy, too, whether it says so or not."""
    remote = request.remote or ""
    address, proxied = seen(remote, request.headers, request.headers.getall("X-Forwarded-For", []), trusted)
    if is_loopback(remote) and not is_loopback(host_name(request.headers.get("Host", ""))):
        proxied = True
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return Peer(
        kind=kind,
        address=address,
        origin=request.headers.get("Origin", ""),
        key=key.strip() if scheme.lower() == "bearer" else "",
        proxied=proxied,
    )


def is_secure(request: web.Request) -> bool:
    """Whether what is sent there cannot be read on the way: TLS, here or at a proxy, or this machine."""
    return (
        request.secure
        or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
        or is_loopback(request.remote or "")
    )


def host_name(host: str) -> str:
    """`host` without port and brackets, in lower case; "" for what is none, such as user@host."""
    if not HOST.fullmatch(host):
        return ""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""
