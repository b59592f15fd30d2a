"""HTTP: the guard at the door, the page, health, metrics, and what is there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from aiohttp.test_utils import TestServer
from yarl import URL

from orchestrator.http import Guard, Health, is_own, make_app
from orchestrator.messages import VoiceDescription
from tests.support.transports import RecordingHub

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[3] / "web"


@pytest.fixture
def ready() -> list[bool]:
    return [True]


@pytest.fixture
async def server(ready: list[bool], tmp_path: Path) -> AsyncIterator[TestServer]:
    web_dir = tmp_path / "web"
    (web_dir / "sub").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (web_dir / "index.html").write_text("<!doctype html><title>hello</title>")
    (web_dir / "sub" / "app.js").write_text("export const a = 1;")
    (web_dir / ".hidden.js").write_text("hidden")
    (web_dir / "notes.bak").write_text("no known type")
    app = make_app(
        RecordingHub(),
        web_dir=web_dir,
        metrics=lambda: (b"antiphon_up 1\n", "text/plain; version=0.0.4"),
        health=lambda: Health(ready[0], {"sessions": 3}),
        resources={"voices": lambda: [VoiceDescription(id="en", name="English", languages=["en"], model="espeak")]},
        guard=Guard(hosts=("talk.example",), origins=("https://friend.example",)),
    )
    async with TestServer(app) as server:
        yield server


async def get(server: TestServer, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    async with ClientSession() as http:
        url = URL(f"http://{server.host}:{server.port}{path}", encoded=True)
        async with http.get(url, headers=headers) as response:
            return response.status, await response.text(), dict(response.headers)


async def test_the_page_comes_with_types_and_rules(server: TestServer) -> None:
    status, text, headers = await get(server, "/")
    assert (status, "hello" in text, headers["Content-Type"]) == (200, True, "text/html; charset=utf-8")
    assert headers["Cache-Control"] == "no-cache"
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert f"ws://{server.host}:{server.port}" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    status, _, headers = await get(server, "/sub/app.js")
    assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/..%2fsecret.txt", "/sub/..%2f..%2fsecret.txt", "/%2e%2e/secret.txt", "//etc/passwd",
     "/.hidden.js", "/notes.bak", "/sub", "/sub/", "/nothing"],
)  # fmt: skip
async def test_nothing_else_is_served(server: TestServer, path: str) -> None:
    assert (await get(server, path))[0] == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("LOCALHOST:8765", 200), ("127.0.0.1:9", 200), ("[::1]:8765", 200), ("192.168.1.5", 200),
     ("talk.example:443", 200), ("talk.example.", 200), ("evil.example", 421), ("localhost.evil.example", 421),
     ("127.0.0.1.evil.example", 421), ("talk.example@evil.example", 421),
     ("x@localhost", 421), ("x; script-src *@localhost", 421), ("localhost/x", 421)],
)  # fmt: skip
async def test_a_name_that_is_not_ours_is_not_answered(server: TestServer, host: str, status: int) -> None:
    got, text, _ = await get(server, "/", Host=host)
    assert got == status
    if status == 421:
        assert "allowed_hosts" in text


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [(None, "localhost:8765", True), ("http://localhost:8765", "localhost:8765", True),
     ("https://talk.example", "talk.example", True), ("https://talk.example:443", "talk.example", True),
     ("https://friend.example", "localhost:8765", True), ("http://localhost:9", "localhost:8765", False),
     ("https://evil.example", "localhost:8765", False), ("null", "localhost:8765", False),
     ("https://friend.example.evil.example", "localhost:8765", False), ("file://", "localhost", False)],
)  # fmt: skip
async def test_pages_from_elsewhere_may_not_open_a_session(
    server: TestServer, origin: str | None, host: str, allowed: bool
) -> None:
    headers = {"Host": host, **({"Origin": origin} if origin is not None else {})}
    assert (await get(server, "/healthz", **headers))[0] == (200 if allowed else 403)
    async with ClientSession() as http:
        if allowed:
            async with http.ws_connect(server.make_url("/v1/converse"), headers=headers) as ws:
                assert not ws.closed
        else:
            with pytest.raises(WSServerHandshakeError) as caught:
                await http.ws_connect(server.make_url("/v1/converse"), headers=headers)
            assert caught.value.status == 403


def test_an_origin_with_a_bad_port_is_not_ours() -> None:
    assert not is_own("http://localhost:99999", "localhost:8765")
    assert not is_own("http://[::1", "localhost:8765")


async def test_an_accepted_origin_may_read_answers(server: TestServer) -> None:
    _, _, headers = await get(server, "/v1/voices", Origin="https://friend.example")
    assert headers["Access-Control-Allow-Origin"] == "https://friend.example"


async def test_what_is_there(server: TestServer) -> None:
    status, text, headers = await get(server, "/v1/voices")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert text == '[{"id":"en","name":"English","languages":["en"],"model":"espeak"}]'


async def test_health_and_metrics(server: TestServer, ready: list[bool]) -> None:
    assert (await get(server, "/healthz"))[0] == 200
    assert (await get(server, "/readyz"))[:2] == (200, '{"status":"ready","sessions":3}')
    ready[0] = False
    assert (await get(server, "/readyz"))[0] == 503
    assert (await get(server, "/healthz", Host="pod.cluster.local"))[0] == 200, "a probe names hosts as it likes"
    status, text, headers = await get(server, "/metrics")
    assert (status, text, headers["Content-Type"]) == (200, "antiphon_up 1\n", "text/plain; version=0.0.4")


async def test_a_plain_request_to_the_websocket_is_told(server: TestServer) -> None:
    status, text, _ = await get(server, "/v1/converse")
    assert (status, "WebSocket" in text) == (426, True)


async def test_the_real_page_is_complete() -> None:
    """Every file that the page names is there."""
    app = make_app(RecordingHub(), web_dir=PAGE, metrics=lambda: (b"", "text/plain"), health=lambda: Health(True))
    async with TestServer(app) as server:
        todo, seen = ["/index.html"], set()
        while todo:
            path = todo.pop()
            if path in seen:
                continue
            seen.add(path)
            status, text, _ = await get(server, path)
            assert status == 200, path
            todo += [urljoin(path, name) for name in named_files(text)]
        assert {"/app.js", "/antiphon.js", "/antiphon/player-worklet.js", "/antiphon/mic-worklet.js"} <= seen


def named_files(text: str) -> list[str]:
    """What a page or module names relative to itself."""
    return re.findall(r"""["']((?:\.{1,2}/)*[\w-][\w/-]*\.(?:js|css|svg|png))["']""", text)
