"""The orchestrator's HTTP: the page, `/v1/converse`, what is there (`/v1/voices`, …), health and metrics.

Before anything else each request passes the guard: its Host must be ours (a page elsewhere cannot get at us through a
name that it rebinds to our address) and its Origin none, our own or an accepted one (a page elsewhere cannot open a
session in the user's name).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from orchestrator.ports import Hub
from orchestrator.transports.websocket import Limits, serve_websocket

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
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PROBES = frozenset({"/healthz", "/readyz"})
VENDOR = {"/vendor/livekit-client.esm.mjs": "node_modules/livekit-client/dist/livekit-client.esm.mjs"}
"""What npm put beside the page (`antiphon.web_files`), by its URL; nothing else of `node_modules` is served."""


@dataclass(frozen=True, slots=True)
class Health:
    """`ready`: new sessions can be served. `facts` go into the answer as they are."""

    ready: bool
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Guard:
    """Whose requests are answered. `hosts` are names without a port; `origins` like "https://talk.example"."""

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def host_ok(self, host: str) -> bool:
        """An address in figures cannot be rebound, so any is right; a name must be loopback's or configured."""
        name = host_name(host)
        if name in LOOPBACK or name in {h.lower() for h in self.hosts}:
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


def host_name(host: str) -> str:
    """`host` without port and brackets, in lower case; "" for what is no host."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


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
    limits: Limits | None = None,
    lead_s: float = 0.2,
    connects: tuple[str, ...] = (),
) -> web.Application:
    """The whole of HTTP as one application. `metrics` gives body and Content-Type; `resources` maps "voices" to what
    `GET /v1/voices` answers as JSON (anything that msgspec can encode). `connects`: addresses besides our own that the
    page may connect to, such as LiveKit's."""
    app = web.Application(middlewares=[_guarding(guard or Guard())])

    async def converse(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPUpgradeRequired(text="this is a WebSocket; see docs/protocol.md\n")
        return await serve_websocket(request, hub, limits=limits, lead_s=lead_s)

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
    app.router.add_get("/metrics", measured)
    for name, read in (resources or {}).items():
        app.router.add_get(f"/v1/{name}", _resource(read))
    if web_dir is not None:
        for path, file in _files(web_dir).items():
            app.router.add_get(path, _page(file, connects))
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
    files |= {url: web_dir / path for url, path in VENDOR.items() if (web_dir / path).is_file()}
    if "/index.html" in files:
        files["/"] = files["/index.html"]
    return files


def _page(file: Path, connects: tuple[str, ...]) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        # no-cache: ask again each time whether it changed; a stale script against a new protocol is no fun to find.
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _policy(request.host, connects)}
        response = web.FileResponse(file, headers=headers)
        response.content_type, _, charset = TYPES[file.suffix].partition("; charset=")
        response.charset = charset or None
        return response

    return serve


def _policy(host: str, connects: tuple[str, ...]) -> str:
    """Everything from ourselves. `ws:` is named as Safari does not count it as 'self'; `host` passed the guard.

    Of an address to connect to, its host is allowed by WebSocket and by HTTP, as LiveKit's client asks both.
    """
    there = [f"{scheme}{rest}" for url in connects for scheme, rest in _both(url)]
    connect = " ".join(["'self'", f"ws://{host}", f"wss://{host}", *there])
    return (
        f"default-src 'self'; connect-src {connect}; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _both(url: str) -> list[tuple[str, str]]:
    """Scheme and host for a policy: of ws://host:1/path, ws://host:1 and http://host:1; nothing for what is no URL."""
    parts = urlsplit(url)
    secure = parts.scheme in ("wss", "https")
    if parts.scheme not in ("ws", "wss", "http", "https") or not re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc):
        return []
    return [(scheme, parts.netloc) for scheme in (("wss://", "https://") if secure else ("ws://", "http://"))]


def _resource(read: Callable[[], object]) -> Handler:
    async def serve(_request: web.Request) -> web.Response:
        return _json(read())

    return serve


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


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
        response = await handler(request)
        if not response.prepared:
            _harden(response, origin)
        return response

    return middleware


def _harden(response: web.StreamResponse, origin: str | None) -> None:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Permissions-Policy"] = "microphone=(self)"
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Vary"] = "Origin"


def _quoted(text: str) -> str:
    return repr(text[:100])
