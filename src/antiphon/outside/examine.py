"""Tries one path after the other, each as a user's program would, and yields what came of it as it comes.

A path that needs another is not tried when that failed: the first line that says FAILS is the one to mend.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from antiphon.checks import Check
from antiphon.outside import verdicts
from base import rpc
from base.errors import AntiphonError, BadRequest, Misconfigured
from orchestrator.messages import unpack_audio

ANSWER_S = 10.0
REPLY_S = 20.0
RELAY_S = 20.0
SENTENCE = "This is a test."
LOCAL_GRPC = 50060


@dataclass(frozen=True, slots=True)
class Site:
    """A deployment; `key` and `grpc` may be empty, `ca` names a PEM file, `media_tcp` is LiveKit's rtc.tcp_port.

    Raises BadRequest for what is no address.
    """

    url: str
    key: str = ""
    ca: Path | None = None
    grpc: str = ""
    media_tcp: int = 7881

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise BadRequest(f"{self.url!r} is no address of a site, such as https://talk.example")

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or (443 if self.secure else 80)

    @property
    def origin(self) -> str:
        return f"{urlsplit(self.url).scheme}://{urlsplit(self.url).netloc}"

    def trust(self) -> ssl.SSLContext:
        """Raises Misconfigured."""
        try:
            return ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        except (OSError, ssl.SSLError) as error:
            raise Misconfigured(f"--ca {str(self.ca)!r} is no certificate in PEM: {error}") from error


@dataclass(frozen=True, slots=True)
class _Token:
    """What `POST /v1/token` gave."""

    token: str
    livekit: str


async def examine(site: Site) -> AsyncIterator[Check]:
    """Raises Misconfigured for a CA that cannot be read; all else becomes a Check."""
    trust = site.trust()
    addresses, check = await _resolve(site)
    yield check
    if not check.ok:
        return
    check = await _connect(site, addresses)
    yield check
    if not check.ok and check.needed:
        return
    local = all(ipaddress.ip_address(address).is_loopback for address in addresses)
    if site.secure:
        check = await _certificate(site, trust)
        yield check
        if not check.ok and check.needed:
            return
    else:
        yield verdicts.plain(site.host, local)
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    connector = aiohttp.TCPConnector(ssl=trust)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        for path in ("/", "/healthz", "/readyz"):
            check = await _get(http, site, path)
            yield check
        if site.secure and site.port == 443:
            yield await _redirect(http, site)
        yield await _figures(http, site, local)
        token, check = await _token(http, site)
        yield check
        yield await _conversation(http, site, token.token if token and not site.key else site.key)
        if token is not None and token.livekit:
            async for check in _livekit(http, site, token):
                yield check
        elif token is not None:
            how = "set livekit_url, livekit_public_url and livekit_key_file, if it is to be there"
            yield Check("LiveKit", False, "not configured: the page talks over WebSocket alone", how, False)
        else:
            yield Check("LiveKit", False, "not tried: it takes a token", "name a key: --key", False)
    yield await _grpc(site, local)


# --- the way there ---------------------------------------------------------------------------------------------------


async def _resolve(site: Site) -> tuple[list[str], Check]:
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(site.host, site.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        return addresses, verdicts.dns(site.host, addresses)
    except OSError as error:
        return [], verdicts.dns(site.host, [], str(error.strerror or error))


async def _connect(site: Site, addresses: list[str]) -> Check:
    reached: dict[str, float] = {}
    failed: dict[str, str] = {}
    for address in addresses:
        began = time.monotonic()
        why = await _cannot_connect(address, site.port)
        if why:
            failed[address] = why
        else:
            reached[address] = time.monotonic() - began
    # This machine's own network may have no IPv6, or localhost nobody there: no fault of the deployment.
    if reached:
        nowhere = ("unreachable", "refused") if site.host == "localhost" else ("unreachable",)
        failed = {a: why for a, why in failed.items() if not any(word in why for word in nowhere)}
    return verdicts.tcp(site.port, reached, failed)


async def _cannot_connect(address: str, port: int) -> str:
    """Why not; empty: one can."""
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return f"no answer within {ANSWER_S:g} s (a firewall drops it)"
    except OSError as error:
        return (os.strerror(error.errno) if error.errno else str(error)).lower()
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return ""


async def _certificate(site: Site, trust: ssl.SSLContext) -> Check:
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(site.host, site.port, ssl=trust)
    except TimeoutError:
        return verdicts.certificate(site.host, "", 0, f"no handshake within {ANSWER_S:g} s")
    except ssl.SSLCertVerificationError as error:
        return verdicts.certificate(site.host, "", 0, error.verify_message or str(error))
    except OSError as error:
        return verdicts.certificate(site.host, "", 0, str(error))
    found: Any = writer.get_extra_info("peercert")
    writer.close()
    names = {key: value for part in found.get("issuer", ()) for key, value in part}
    issuer = " ".join(filter(None, (names.get("organizationName"), names.get("commonName")))) or "an unnamed CA"
    until = ssl.cert_time_to_seconds(found["notAfter"])
    days = (until - datetime.datetime.now(datetime.UTC).timestamp()) / 86_400
    return verdicts.certificate(site.host, issuer, days)


# --- HTTP ------------------------------------------------------------------------------------------------------------


async def _get(http: aiohttp.ClientSession, site: Site, path: str) -> Check:
    name = "page" if path == "/" else path
    try:
        async with http.get(site.origin + path, allow_redirects=False) as answer:
            text = await answer.text()
    except (aiohttp.ClientError, TimeoutError, UnicodeError) as error:
        return Check(name, False, _words(error), "docker compose ps; docker compose logs caddy orchestrator")
    first = " ".join(text.split())[:120]
    if answer.status == 421:
        how = f"add {site.host} to allowed_hosts of [orchestrator]"
        return Check(name, False, f"421: {first}", how)
    if answer.status != 200:
        how = "antiphon workers: is a TTS worker there?" if path == "/readyz" else "docker compose logs orchestrator"
        return Check(name, False, f"{answer.status}: {first}", how)
    if path == "/" and "<html" not in text:
        return Check(name, False, f"no page of HTML: {first}", "does something else answer under this name?")
    return Check(name, True, f"{len(text)} characters" if path == "/" else first)


async def _redirect(http: aiohttp.ClientSession, site: Site) -> Check:
    how = "open port 80/TCP: the certificate's renewal needs it, and people type names without https://"
    try:
        async with http.get(f"http://{site.host}/", allow_redirects=False) as answer:
            to = answer.headers.get("Location", "")
    except (aiohttp.ClientError, TimeoutError) as error:
        return Check("TCP 80", False, _words(error), how, False)
    good = answer.status in (301, 302, 307, 308) and to.startswith("https://")
    return Check("TCP 80", good, f"leads to {to}" if good else f"answers {answer.status}", how, False)


async def _figures(http: aiohttp.ClientSession, site: Site, local: bool) -> Check:
    try:
        async with http.get(f"{site.origin}/metrics", allow_redirects=False) as answer:
            return verdicts.figures(answer.status, local)
    except (aiohttp.ClientError, TimeoutError) as error:
        return Check("/metrics", False, _words(error), "", False)


async def _token(http: aiohttp.ClientSession, site: Site) -> tuple[_Token | None, Check]:
    headers = {"Authorization": f"Bearer {site.key}"} if site.key else {}
    try:
        async with http.post(f"{site.origin}/v1/token", json={}, headers=headers) as answer:
            said = await answer.json(content_type=None)
        if answer.status == 200:
            got = _Token(str(said["participant_token"]), str(said["server_url"]))
            where = got.livekit or "no LiveKit"
            return got, Check("token", True, f"for {said['expires_in_s']} s, {where}")
        error = said["error"]
        words = f"{answer.status}: {error['message']}"
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as failed:
        return None, Check("token", False, f"POST /v1/token: {_words(failed)}", "is this Antiphon, and new enough?")
    if not site.key and error.get("reason") == "KEY_MISSING":
        # As it should be, for a stranger.
        return None, Check("token", True, "a stranger gets none; name a key to try further: --key", needed=False)
    return None, Check("token", False, words, "antiphon keys list: is the key there, and good for talk?")


async def _conversation(http: aiohttp.ClientSession, site: Site, key: str) -> Check:
    name, how = "WebSocket", "does a proxy in between let WebSockets through (Upgrade, Connection)?"
    scheme = "wss" if site.secure else "ws"
    began = time.monotonic()
    try:
        async with (
            asyncio.timeout(REPLY_S),
            http.ws_connect(
                f"{scheme}://{urlsplit(site.url).netloc}/v1/converse", headers={"Origin": site.origin}
            ) as to,
        ):
            start = {"type": "session_start", "protocol": 1, "greeting": ""} | ({"key": key} if key else {})
            await to.send_json(start)
            asked = time.monotonic()
            async for message in to:
                if message.type is aiohttp.WSMsgType.BINARY:
                    if unpack_audio(message.data).pcm:
                        await to.send_json({"type": "session_end"})
                        first = time.monotonic() - asked
                        return Check(name, True, f"a sentence was spoken, its first sound after {first * 1000:.0f} ms")
                    continue
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                said = json.loads(message.data)
                if said["type"] == "session_started":
                    asked = time.monotonic()
                    await to.send_json({"type": "text", "text": SENTENCE, "mode": "say"})
                elif said["type"] == "error":
                    return _refused(said, bool(site.key))
            return Check(
                name, False, f"closed with {to.close_code} before a sound came", "docker compose logs orchestrator"
            )
    except TimeoutError:
        waited = time.monotonic() - began
        return Check(
            name, False, f"nothing was heard within {waited:.0f} s", "docker compose logs orchestrator tts-worker"
        )
    except aiohttp.WSServerHandshakeError as error:
        return Check(name, False, f"no upgrade: {error.status} {error.message}", how)
    except (aiohttp.ClientError, AntiphonError, ValueError, KeyError) as error:
        return Check(name, False, _words(error), how)


def _refused(said: dict[str, Any], keyed: bool) -> Check:
    if not keyed and said.get("reason") == "KEY_MISSING":
        return Check("WebSocket", True, "opens, and asks a stranger for a key", needed=False)
    return Check("WebSocket", False, f"{said.get('reason')}: {said.get('message')}", "docker compose logs orchestrator")


# --- LiveKit ---------------------------------------------------------------------------------------------------------


async def _livekit(http: aiohttp.ClientSession, site: Site, token: _Token) -> AsyncIterator[Check]:
    check = await _signalling(http, token)
    yield check
    if not check.ok:
        return
    try:
        from antiphon.outside import media
    except ImportError as error:
        yield Check("media", False, f"not tried: {error.name} is missing", "./antiphon install livekit", False)
        return
    if site.ca is not None:
        # How the SDK, which is no Python, is told whom to trust.
        os.environ["SSL_CERT_FILE"] = str(site.ca)
    try:
        joined = await media.join(token.livekit, token.token, wait_s=ANSWER_S)
    except AntiphonError as error:
        how = "open 7882/UDP and 7881/TCP; does LiveKit tell an address that is reached from here (ANTIPHON_NODE_IP)?"
        yield Check("media", False, error.message, how)
        return
    if joined.track_s is None:
        how = "docker compose logs orchestrator: is it registered with LiveKit?"
        yield Check("LiveKit room", False, f"joined in {joined.join_s * 1000:.0f} ms, but no agent came", how)
    else:
        detail = f"joined in {joined.join_s * 1000:.0f} ms, {joined.agent}'s track after {joined.track_s * 1000:.0f} ms"
        yield Check("LiveKit room", True, detail)
    yield verdicts.udp(joined.route)
    told = dict.fromkeys(c.address for c in joined.route.remotes if c.address and c.protocol == "udp")
    yield verdicts.tcp_media(site.media_tcp, {a: await _cannot_connect(a, site.media_tcp) for a in told})
    async for check in _turn(http, site, joined.route):
        yield check


async def _signalling(http: aiohttp.ClientSession, token: _Token) -> Check:
    url = "http" + token.livekit.removeprefix("ws")
    how = "is `/rtc` proxied to LiveKit, and livekit_public_url right? docker compose logs livekit"
    try:
        async with http.get(f"{url.rstrip('/')}/rtc/validate", params={"access_token": token.token}) as answer:
            text = (await answer.text())[:120]
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return Check("LiveKit signalling", False, f"{token.livekit}: {_words(error)}", how)
    if answer.status == 401:
        how = "orchestrator and livekit must have the same key: restart both after deploy/secrets/livekit-keys changed"
    detail = f"{token.livekit}" if answer.status == 200 else f"{token.livekit}: {answer.status} {text}"
    return Check("LiveKit signalling", answer.status == 200, detail, how)


async def _turn(http: aiohttp.ClientSession, site: Site, route: verdicts.Route) -> AsyncIterator[Check]:
    """Where TURN is advertised: a second room, reached through it alone."""
    from antiphon.outside import media

    servers = verdicts.turn_servers(route)
    token, _ = await _token(http, site) if servers else (None, None)
    if token is None:
        return
    try:
        relayed = await media.join(token.livekit, token.token, wait_s=RELAY_S, relay=True)
        yield verdicts.turn(servers, relayed.route)
    except AntiphonError as error:
        yield verdicts.turn(servers, None, error.message)


# --- gRPC ------------------------------------------------------------------------------------------------------------


async def _grpc(site: Site, local: bool) -> Check:
    host = site.host
    address = site.grpc or rpc.join_address(host, site.port if site.secure else LOCAL_GRPC)
    how = "is gRPC proxied (the Caddyfile does it), and grpc_port not -1? --grpc HOST:PORT names another address"
    opened = rpc.channel(address)
    if site.secure:
        roots = await asyncio.to_thread(site.ca.read_bytes) if site.ca else None
        opened = rpc.secure_channel(address, roots)
    async with opened as channel:
        try:
            async with asyncio.timeout(ANSWER_S):
                good = await rpc.serving(channel, timeout_s=ANSWER_S)
        except (AntiphonError, TimeoutError) as error:
            return Check("gRPC door", False, f"{address}: {_words(error)}", how, False)
    return Check("gRPC door", good, f"{address} {'serves' if good else 'does not serve'}", how, False)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER_S:g} s"
    return str(error) or type(error).__name__
