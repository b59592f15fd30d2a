"""The deployment as it runs, by hand: each image's own command as its container would run it
(`tests.support.containers`), with the real Caddy and its local CA in front and a real livekit-server beside."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import jwt
import pytest

from antiphon.exits import OK, UNAVAILABLE
from base import rpc
from orchestrator.messages import unpack_audio
from orchestrator.transports.grpc.wire import SERVICE as CONVERSATION
from pb.antiphon.v1.conversation_pb2 import (
    ConverseRequest,
    ConverseResponse,
    Greeting,
    SessionEnd,
    SessionStart,
    TextInput,
)
from tests.support.containers import LIMIT_S, Host
from tests.support.deployment import ROOT, caddy, dockerfile

pytestmark = pytest.mark.integration

ORDER = ("registry", "livekit", "tts-worker", "asr-worker", "orchestrator", "caddy")
"""As `depends_on` has them start."""
DOCUMENTED_PORTS = {"registry": 50050, "tts-worker": 50061, "asr-worker": 50062, "orchestrator": 8765}


@dataclass
class Site:
    host: Host
    http: aiohttp.ClientSession
    """Of a client outside, who trusts Caddy's CA."""
    running: dict[str, asyncio.subprocess.Process]
    key: str


@asynccontextmanager
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Everything, healthy, with a worker of each kind known; the brain is echo, the voice sine."""
    host = Host.made(tmp_path)
    key = (await host.run("keys", "add", "phone")).strip()
    assert "phone" in await host.run("keys", "list")
    services = host.model["services"]
    services["orchestrator"]["environment"] |= {"ANTIPHON_ORCHESTRATOR_RESPONDER": "echo"}
    public = f"wss://localhost:{host.port(443)}"
    services["orchestrator"]["environment"] |= {"ANTIPHON_ORCHESTRATOR_LIVEKIT_PUBLIC_URL": public}
    services["tts-worker"]["environment"] |= {"ANTIPHON_TTS_WORKER_ENGINE": "sine"}
    async with AsyncExitStack() as stack:
        running = {name: await stack.enter_async_context(host.container(name)) for name in ORDER}
        async with asyncio.timeout(LIMIT_S):
            # The local CA's first certificates take a moment after Caddy is well.
            while not await has_certificate(host):
                await asyncio.sleep(0.05)
        connector = aiohttp.TCPConnector(ssl=host.trust())
        http = await stack.enter_async_context(aiohttp.ClientSession(host.url, connector=connector))
        async with asyncio.timeout(LIMIT_S):
            while True:
                async with http.get("/readyz") as answer:
                    said = await answer.json()
                    if answer.status == 200 and said["asr_workers"]:
                        break
                await asyncio.sleep(0.05)
        yield Site(host, http, running, key)


@pytest.mark.timeout(300)
async def test_the_whole_of_it(tmp_path: Path) -> None:
    """One start for all, which takes its time: who is asked what, then that each ends as it should."""
    async with site(tmp_path) as here:
        await the_page_and_the_api(here)
        await a_conversation(here)
        await a_token_for_both(here)
        await the_grpc_door(here)
        await doctor_from_outside(here)
        await livekit_and_nothing_else_of_it(here)
        await figures_for_prometheus_alone(here)
        for name in reversed(ORDER):
            process = here.running[name]
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(LIMIT_S):
                assert await process.wait() == OK, f"{name}\n{here.host.log(name)}"
    for name in ("registry", "tts-worker", "asr-worker", "orchestrator"):
        assert "service.stopped" in here.host.log(name)


async def the_page_and_the_api(here: Site) -> None:
    host, http = here.host, here.http
    async with http.get("/") as through, aiohttp.ClientSession() as plain:
        assert through.status == 200
        async with plain.get(
            f"http://127.0.0.1:{host.port(8765)}/", headers={"Host": f"localhost:{host.port(443)}"}
        ) as direct:
            assert await through.text() == await direct.text()
            # The page's own rules come through as they are; the proxy only adds that it is always HTTPS.
            for name in ("Content-Security-Policy", "Permissions-Policy", "Referrer-Policy", "Cache-Control"):
                assert through.headers.getall(name) == direct.headers.getall(name), name
        # Of localhost a browser would keep it for every port, plain HTTP's too.
        assert "Strict-Transport-Security" not in through.headers
        assert "Caddy" not in through.headers.get("Server", "")
        elsewhere = f"http://localhost:{host.port(80)}/?a=b"
        async with plain.get(elsewhere, allow_redirects=False) as answer:
            assert answer.status == 308
            assert answer.headers["Location"].startswith("https://localhost")
    # A page elsewhere is refused through the proxy as it is without.
    async with http.get("/v1/voices", headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
    async with http.get("/v1/voices", headers={"Origin": host.url}) as answer:
        assert answer.status == 401
    async with http.get("/v1/voices", headers={"Origin": host.url, "Authorization": f"Bearer {here.key}"}) as answer:
        assert answer.status == 200
        assert await answer.json()


async def a_conversation(here: Site) -> None:
    heard, samples = await said_back(here.http, "say it back", here.key)
    assert heard == "say it back"
    assert samples > 0
    # Who came through a proxy is not this machine's own user, whatever address the proxy has.
    with pytest.raises(AssertionError, match="KEY_MISSING"):
        await said_back(here.http, "let me in", "")


async def said_back(http: aiohttp.ClientSession, text: str, key: str) -> tuple[str, int]:
    """What was heard of the reply to `text`, and how many samples of it came."""
    samples = 0
    async with asyncio.timeout(LIMIT_S), http.ws_connect("/v1/converse") as socket:
        start: dict[str, Any] = {"type": "session_start", "protocol": 1, "greeting": ""}
        await socket.send_json(start | ({"key": key} if key else {}))
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                samples += len(unpack_audio(message.data).pcm) // 2
                continue
            said = json.loads(message.data)
            assert said["type"] != "error", said["reason"]
            if said["type"] == "session_started":
                await socket.send_json({"type": "text", "text": text, "mode": "ask"})
            if said["type"] == "turn_finished":
                return said["heard"], samples
    raise AssertionError("the conversation ended before the reply did")


async def a_token_for_both(here: Site) -> None:
    """With a key, a token; with that, LiveKit's door and the WebSocket's."""
    async with here.http.post("/v1/token", json={}) as answer:
        assert answer.status == 401
    async with here.http.post("/v1/token", json={}, headers={"Authorization": f"Bearer {here.key}"}) as answer:
        assert answer.status == 200, await answer.text()
        given = await answer.json()
    assert given["server_url"] == f"wss://localhost:{here.host.port(443)}"
    assert given["websocket_url"] == f"wss://localhost:{here.host.port(443)}/v1/converse"
    async with here.http.get("/rtc/validate", params={"access_token": given["participant_token"]}) as answer:
        assert (answer.status, await answer.text()) == (200, "success")
    assert (await said_back(here.http, "and again", given["participant_token"]))[0] == "and again"


async def the_grpc_door(here: Site) -> None:
    """Over the same origin, by its content type; health, and a stream both ways, which a missing key ends."""
    roots = here.host.root_certificate.read_bytes()
    async with rpc.secure_channel(f"localhost:{here.host.port(443)}", roots) as channel:
        assert await rpc.serving(channel, timeout_s=LIMIT_S)
        converse: Any = channel.stream_stream(f"/{CONVERSATION}/Converse")
        call = converse(timeout=LIMIT_S)
        await call.write(ConverseRequest(session_start=SessionStart(protocol=1)).SerializeToString())
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await to_the_end(call)
        assert rpc.error_from_rpc(refused.value).reason == "KEY_MISSING"
        # A turn after another: what goes either way is not kept until the call is over.
        call = converse(timeout=LIMIT_S, metadata=(("authorization", f"Bearer {here.key}"),))
        await call.write(ConverseRequest(session_start=SessionStart(greeting=Greeting())).SerializeToString())
        for text in ("over the proxy", "and again"):
            await call.write(ConverseRequest(text=TextInput(text=text)).SerializeToString())
            samples = 0
            while (said := ConverseResponse.FromString(await call.read())).turn_finished.heard != text:
                samples += len(said.audio.data) // 2
            assert samples > 0
        await call.write(ConverseRequest(session_end=SessionEnd()).SerializeToString())
        await to_the_end(call)


async def to_the_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def doctor_from_outside(here: Site) -> None:
    """As an operator runs it: with a key all is tried, and a stranger is told so much."""
    ca = str(here.host.root_certificate)
    media = str(here.host.port(7881))
    code, found = await doctor(here.host.url, "--key", here.key, "--ca", ca, "--media-tcp", media)
    told = {check["name"]: check for check in found}
    for name in ("DNS", f"TCP {here.host.port(443)}", "TLS", "page", "/healthz", "/readyz", "/metrics"):
        assert told[name]["ok"], told[name]
    for name in ("token", "WebSocket", "LiveKit signalling", "LiveKit room", "media, UDP", "media, TCP", "gRPC door"):
        assert told[name]["ok"], told[name]
    assert "Caddy Local Authority" in told["TLS"]["detail"]
    assert "a sentence was spoken" in told["WebSocket"]["detail"]
    # By IPv4 or IPv6, whichever was quicker.
    assert re.match(rf"UDP \S+:{here.host.port(7882)}\b", told["media, UDP"]["detail"])
    assert "127.0.0.1" in told["media, TCP"]["detail"]
    assert f"takes connections on port {media}" in told["media, TCP"]["detail"]
    assert code == OK
    code, found = await doctor(here.host.url, "--ca", ca)
    told = {check["name"]: check for check in found}
    assert code == OK
    assert "asks a stranger for a key" in told["WebSocket"]["detail"]
    assert "a stranger gets none" in told["token"]["detail"]
    # Without our CA it is nobody's business to go on.
    code, found = await doctor(here.host.url)
    assert code == UNAVAILABLE
    assert (found[-1]["name"], found[-1]["ok"]) == ("TLS", False)
    assert "--ca" in found[-1]["help"]


async def doctor(url: str, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "antiphon", "doctor", "--json", "--url", url, *arguments),
        env={k: v for k, v in os.environ.items() if not k.startswith("ANTIPHON_")} | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
    )
    async with asyncio.timeout(LIMIT_S):
        said, _ = await running.communicate()
    assert running.returncode is not None
    return running.returncode, json.loads(said)


def livekit_token(host: Host, room: str, **changes: Any) -> str:
    key, secret = host.secret("livekit-keys").read_text().strip().split(": ")
    now = int(time.time())
    claims = {"iss": key, "sub": "anna", "nbf": now - 5, "exp": now + 60, "video": {"roomJoin": True, "room": room}}
    return jwt.encode(claims | changes, secret, algorithm="HS256")


async def livekit_and_nothing_else_of_it(here: Site) -> None:
    host, http = here.host, here.http
    token = livekit_token(host, "kitchen")
    async with http.get("/rtc/validate", params={"access_token": token}) as answer:
        assert (answer.status, await answer.text()) == (200, "success")
    # The newer one, which wants to be told more: LiveKit's own words.
    async with http.get("/rtc/v1/validate", params={"access_token": token}) as answer:
        assert "join_request" in await answer.text()
    async with http.get("/rtc/validate", params={"access_token": livekit_token(host, "kitchen", iss="x")}) as answer:
        assert answer.status == 401
    async with http.ws_connect("/rtc", params={"access_token": token, "protocol": "15"}) as socket:
        first = await socket.receive(timeout=LIMIT_S)
        assert first.type is aiohttp.WSMsgType.BINARY
        assert b"kitchen" in first.data
    # The server's own API, its agents, its debugging: not out here, even for who has a token.
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for path in ("/twirp/livekit.RoomService/ListRooms", "/agent", "/debug/pprof/", "/settings/regions"):
        async with http.post(path, headers=headers, data="{}") as answer:
            assert answer.status in (404, 405), path


async def figures_for_prometheus_alone(here: Site) -> None:
    async with here.http.get("/metrics") as answer:
        assert answer.status == 404
    url = f"http://127.0.0.1:{here.host.port(8765)}/metrics"
    async with aiohttp.ClientSession() as somebody, somebody.get(url) as answer:
        assert answer.status == 401
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.12", 0))
    async with aiohttp.ClientSession(connector=connector) as inside:
        # By the container's name, as Prometheus asks; and a name that is not ours is still none.
        for name, status in (("orchestrator:8765", 200), ("evil.example", 421)):
            async with inside.get(url, headers={"Host": name}) as answer:
                assert answer.status == status, name
        names = ""
        for port in (8765, 9101, 9102, 6789):
            url = f"http://127.0.0.1:{here.host.port(port)}/metrics"
            async with inside.get(url, headers={"Host": "orchestrator:8765"}) as answer:
                assert answer.status == 200, port
                names += await answer.text()
    # The dashboard shows nothing that nobody measures.
    board = json.loads((ROOT / "deploy" / "monitoring" / "antiphon.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            for name in re.findall(r"\b(?:antiphon|livekit|process)_\w+", target["expr"]):
                assert f"# TYPE {name.removesuffix('_bucket')} " in names, f"{panel['title']}: {name}"


async def test_an_image_without_its_secret_says_so_and_does_not_start(tmp_path: Path) -> None:
    host = Host.made(tmp_path)
    host.secret("worker-token").unlink()
    with pytest.raises(AssertionError, match=r"worker_token_file .* cannot be read"):
        async with host.container("registry"):
            pass


def test_the_caddyfile_is_valid_for_every_kind_of_site(tmp_path: Path) -> None:
    for env in (
        {},
        {"ANTIPHON_DOMAIN": "talk.example"},
        {"ANTIPHON_DOMAIN": "192.168.1.7"},
        {"ANTIPHON_DOMAIN": "talk.example, www.talk.example"},
        {
            "ANTIPHON_DOMAIN": "talk.example",
            "ANTIPHON_TURN_DOMAIN": "turn.example",
            "ANTIPHON_CADDY_SITES": str(ROOT / "deploy" / "caddy"),
        },
    ):
        done = subprocess.run(
            [str(caddy()), "validate", "--config", str(ROOT / "Caddyfile"), "--adapter", "caddyfile"],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"} | env,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, f"{env}\n{done.stderr}"


async def has_certificate(host: Host) -> bool:
    if not host.root_certificate.exists():
        return False
    try:
        async with aiohttp.ClientSession() as http, http.get(f"{host.url}/healthz", ssl=host.trust()) as answer:
            return answer.status == 200
    except aiohttp.ClientConnectorSSLError:
        return False


def test_ports_are_the_ones_that_are_documented(tmp_path: Path) -> None:
    host = Host.made(tmp_path)
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    for name, port in DOCUMENTED_PORTS.items():
        own = [v for k, v in host.model["services"][name]["environment"].items() if k.endswith("_PORT")]
        assert str(port) in own, name
        assert str(port) in page, name


def test_what_the_images_copy_is_here() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name, target in dockerfile().items():
        for words in target.copies:
            if any(word.startswith("--from=") for word in words):
                continue
            for source in words[:-1]:
                assert (ROOT / source).exists(), f"{name}: {source}"
                assert any(Path(source).match(p) or Path(p) in Path(source).parents for p in kept), (
                    f"{name}: .dockerignore leaves out {source}"
                )
