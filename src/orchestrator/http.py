"""The orchestrator's HTTP: the page, `/v1/converse`, what is there (`/v1/voices`, …), health and metrics.

Before anything else each request passes the guard: its Host must be ours (a page elsewhere cannot get at us through a
name that it rebinds to our address) and its Origin none, our own or an accepted one (a page elsewhere cannot open a
session in the user's name). What is more than the page and the probes then asks the gate.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from base.address import is_loopback
from base.errors import AntiphonError
from orchestrator.access import Network
from orchestrator.callers import host_name, is_secure, peer_of
from orchestrator.connection import Limits
from orchestrator.gate import Gate
from orchestrator.keys import MONITOR, TALK
from orchestrator.ports import Hub
from orchestrator.token_door import pair_handler, refusal, token_handler
from orchestrator.token_door import reply as _json
from orchestrator.transports.websocket import serve_websocket

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
FOR_OPERATORS = frozenset({"workers"})
"""Resources that take the scope `monitor`, as /metrics does."""
PREFLIGHT = "Access-Control-Request-Method"
PROBES = frozenset({"/healthz", "/readyz"})
VENDOR = {"/vendor/livekit-client.esm.mjs": "node_modules/livekit-client/dist/livekit-client.esm.mjs"}
"""What npm put beside the page (`antiphon.web_files`), by its URL; nothing else of `node_modules` is served."""


@dataclass(frozen=True, slots=True)
class Health:
    """`ready`: new sessions can be served. `facts` go into the answer as they are."""

    ready: bool
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Doors:
    """What needs a right, and by whose word. `livekit_url` is what clients are told; `ca` the certificate of a CA of
    our own (PEM)."""

    gate: Gate
    trusted: tuple[Network, ...] = ()
    livekit_url: str = ""
    ca: bytes = b""


@dataclass(frozen=True, slots=True)
class Guard:
    """Whose requests are answered. `hosts` are names without a port; `origins` like "https://talk.example"."""

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def host_ok(self, host: str) -> bool:
        """An address in figures cannot be rebound, so any is right; a name must be loopback's or configured."""
        name = host_name(host)
        if is_loopback(name) or name in {h.lower() for h in self.hosts}:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def origin_ok(self, origin: str | None, host: str) -> bool:
        if origin is None or origin in self.origins or "*" in self.origins:
            return True
        return is_own(origin, host)


def is_own(origin: str, host: str) -> bool:
    """Whether a page of `origin` came from `host`. The scheme may differ: a proxy may have ended TLS before us."""
    try:
        parts = urlsplit(origin)
        standard = {"http": 80, "https": 443}.get(parts.scheme)
        there = urlsplit(f"//{host}")
        return standard is not None and (parts.hostname, parts.port or standard) == (
            there.hostname,
            there.port or standard,
        )
    except ValueError:
        return False


def make_app(
    hub: Hub,
    *,
    web_dir: Path | None,
    metrics: Callable[[], tuple[bytes, str]],
    health: Callable[[], Health],
    resources: Mapping[str, Callable[[], object]] | None = None,
    guard: Guard | None = None,
    doors: Doors | None = None,
    limits: Limits | None = None,
    lead_s: float = 0.2,
) -> web.Application:
    """The whole of HTTP as one application. `metrics` gives body and Content-Type; `resources` maps "voices" to what
    `GET /v1/voices` answers as JSON (anything that msgspec can encode). Without `doors` everything is open, and there
    are no tokens."""
    trusted = doors.trusted if doors is not None else ()
    livekit = doors.livekit_url if doors is not None else ""
    app = web.Application(middlewares=[_guarding(guard or Guard())])

    async def converse(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPUpgradeRequired(text="this is a WebSocket; see docs/protocol.md\n")
        return await serve_websocket(request, hub, limits=limits, lead_s=lead_s, trusted=trusted)

    async def healthz(_request: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        now = health()
        return _json({"status": "ready" if now.ready else "not ready", **now.facts}, status=200 if now.ready else 503)

    async def measured(_request: web.Request) -> web.Response:
        body, kind = metrics()
        return web.Response(body=body, headers={"Content-Type": kind})

    app.router.add_get("/v1/converse", converse)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", _asking(doors, MONITOR, measured))
    for name, read in (resources or {}).items():
        scope = MONITOR if name in FOR_OPERATORS else TALK
        app.router.add_get(f"/v1/{name}", _asking(doors, scope, _resource(read)))
    if doors is not None:
        app.router.add_post("/v1/token", token_handler(doors.gate, doors.livekit_url, trusted))
        app.router.add_post("/v1/pair", pair_handler(doors.gate, trusted))
        if doors.ca:
            app.router.add_get("/ca.crt", _certificate(doors.ca))
    if web_dir is not None:
        for path, file in _files(web_dir).items():
            app.router.add_get(path, _page(file, livekit))
    return app


def _files(web_dir: Path) -> dict[str, Path]:
    """URL path to file, for all there is to serve. Fixed at start, so that no request ever names a path."""
    files = {
        "/" + f.relative_to(web_dir).as_posix(): f
        for top in sorted(web_dir.glob("*"))
        if top.name != "node_modules"
        for f in ([top] if top.is_file() else sorted(top.rglob("*")))
        if f.is_file() and f.suffix in TYPES and not any(p.startswith(".") for p in f.relative_to(web_dir).parts)
    }
    # npm may bring them while we serve.
    files |= {url: web_dir / path for url, path in VENDOR.items()}
    if "/index.html" in files:
        files["/"] = files["/index.html"]
    return files


def _page(file: Path, livekit: str) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        # no-cache: ask again each time whether it changed; a stale script against a new protocol is no fun to find.
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _policy(request.host, livekit)}
        response = web.FileResponse(file, headers=headers)
        response.content_type, _, charset = TYPES[file.suffix].partition("; charset=")
        response.charset = charset or None
        return response

    return serve


def _policy(host: str, livekit: str) -> str:
    """Everything from ourselves. `ws:` is named as Safari does not count it as 'self'; `host` passed the guard.

    LiveKit's client asks its server by WebSocket and by HTTP.
    """
    connect = " ".join(["'self'", f"ws://{host}", f"wss://{host}", *_both(livekit)])
    return (
        f"default-src 'self'; connect-src {connect}; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _both(url: str) -> list[str]:
    """Of ws://host:1/path, ws://host:1 and http://host:1; nothing for what is no such URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss", "http", "https") or not re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc):
        return []
    secure = parts.scheme in ("wss", "https")
    return [f"{scheme}://{parts.netloc}" for scheme in (("wss", "https") if secure else ("ws", "http"))]


def _asking(doors: Doors | None, scope: str, handler: Handler) -> Handler:
    """Only for those whose key or address has the scope."""
    if doors is None:
        return handler

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            doors.gate.check(peer_of(request, "http", doors.trusted), scope)
        except AntiphonError as error:
            return refusal(error)
        return await handler(request)

    return serve


def _certificate(pem: bytes) -> Handler:
    """By this type a phone takes it for a certificate to install."""

    async def serve(request: web.Request) -> web.Response:
        if not is_secure(request):
            raise web.HTTPNotFound
        return web.Response(body=pem, content_type="application/x-x509-ca-cert", headers={"Cache-Control": "no-cache"})

    return serve


def _resource(read: Callable[[], object]) -> Handler:
    async def serve(_request: web.Request) -> web.Response:
        return _json(read())

    return serve


def _guarding(guard: Guard) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        if request.path not in PROBES and not guard.host_ok(host):
            text = (
                f"this server is not {_quoted(host)}; use localhost or its address, or add the name to allowed_hosts\n"
            )
            raise web.HTTPMisdirectedRequest(text=text)
        origin = request.headers.get("Origin")
        if not guard.origin_ok(origin, host):
            text = f"pages of {_quoted(origin or '')} may not use this server; add the origin to allowed_origins\n"
            raise web.HTTPForbidden(text=text)
        if origin is not None and request.method == "OPTIONS" and PREFLIGHT in request.headers:
            return _preflight(origin)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            _harden(error, origin)
            raise
        if not response.prepared:
            _harden(response, origin)
        return response

    return middleware


def _preflight(origin: str) -> web.Response:
    """A page of an accepted origin asks whether it may send what is not plain: JSON, and its key."""
    headers = {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": "600",
    }
    response = web.Response(status=204, headers=headers)
    _harden(response, origin)
    return response


def _harden(response: web.StreamResponse, origin: str | None) -> None:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Permissions-Policy"] = "microphone=(self)"
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Vary"] = "Origin"


def _quoted(text: str) -> str:
    return repr(text[:100])
