"""Who is let in, over real HTTP and WebSocket: loopback, proxies, keys that come and go, tokens, devices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from antiphon.client import connect
from base.errors import Denied, Misconfigured
from orchestrator.access import networks
from orchestrator.app import orchestrator
from orchestrator.gate import make_gate
from orchestrator.http import Doors, Health, make_app
from orchestrator.key_file import KeyFile
from orchestrator.keys import KeyRecord
from orchestrator.messages import CloseCode
from orchestrator.settings import OrchestratorSettings
from orchestrator.tokens import Signer, mint, verify
from tests.support.house import plainly
from tests.support.transports import RecordingHub
from tests.support.user import raw

pytestmark = pytest.mark.integration

SECRET = "a secret of thirty-two characters"
PROXIES = [
    {"X-Forwarded-For": "192.0.2.7"},
    {"Forwarded": "for=192.0.2.7"},
    {"X-Real-IP": "127.0.0.1"},
    {"Via": "1.1 proxy"},
    {"CF-Connecting-IP": "192.0.2.7"},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Scheme": "https"},
    {"Host": "talk.example"},
    {"Host": "192.168.1.4:8765"},
]


class Front:
    """An orchestrator alone, and what it is asked."""

    def __init__(self, url: str, http: aiohttp.ClientSession, keys: KeyFile) -> None:
        self.url = url
        self.http = http
        self.keys = keys

    def add(self, name: str = "k", **more: Any) -> str:
        return self.keys.add(lambda id, digest: KeyRecord(id, digest, name, 1.8e9, **more))[0]

    async def ask(
        self, path: str, method: str = "GET", *, key: str = "", body: Any = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            sent["Authorization"] = f"Bearer {key}"
        async with self.http.request(method, self.url + path, headers=sent, json=body) as answer:
            kind = answer.headers.get("Content-Type", "")
            found = await answer.json() if "json" in kind else await answer.text()
            return answer.status, found, dict(answer.headers)

    async def token(self, key: str = "", body: Any = None, **headers: str) -> dict[str, Any]:
        status, found, _ = await self.ask("/v1/token", "POST", key=key, body=body, **headers)
        assert status == 200, found
        return dict(found)

    async def why(self, path: str, method: str = "GET", **more: Any) -> tuple[int, str]:
        status, found, _ = await self.ask(path, method, **more)
        return status, found["error"]["reason"]

    async def wait(self, path: str, status: int, key: str = "") -> None:
        """Until the server has noticed. A key that it does not know yet is a wrong one, and those are counted."""
        while (await self.ask(path, key=key))[0] != status:
            await asyncio.sleep(0.2 if key else 0.02)


@asynccontextmanager
async def fronting(folder: Path, **settings: Any) -> AsyncIterator[Front]:
    file = KeyFile(folder / "keys.json")
    given = {"port": 0, "registry": "127.0.0.1:1", "keys_file": str(file.path), "allowed_hosts": ("talk.example",)}
    given["grpc_port"] = -1
    async with (
        plainly(),
        orchestrator(OrchestratorSettings(**given | settings)) as serving,  # type: ignore[arg-type]
        aiohttp.ClientSession() as http,
    ):
        yield Front(f"http://{serving.address}", http, file)


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with fronting(tmp_path) as made:
        yield made


# --- without keys ----------------------------------------------------------------------------------------------------


async def test_without_keys_this_machine_has_everything(front: Front) -> None:
    for path in ("/", "/healthz", "/metrics", "/v1/voices", "/v1/workers"):
        assert (await front.ask(path))[0] == 200, path
    assert (await front.token())["room_name"]
    async with raw(front.url) as client:
        await client.start()


@pytest.mark.parametrize("headers", PROXIES)
async def test_what_came_through_a_proxy_is_not_this_machine(front: Front, headers: dict[str, str]) -> None:
    async with front.http.get(front.url + "/", headers=headers) as page:
        assert page.status == 200
    for path, method in (("/metrics", "GET"), ("/v1/voices", "GET"), ("/v1/workers", "GET"), ("/v1/token", "POST")):
        async with front.http.request(method, front.url + path, headers=headers) as answer:
            found = await answer.json()
            assert (answer.status, found["error"]["reason"]) == (401, "KEY_MISSING"), path
            assert "antiphon keys add" in found["error"]["message"]
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    async with raw(front.url, **headers) as client:
        await client.send(type="session_start")
        error = await client.wait("error")
        assert (error["code"], error["reason"], error["fatal"]) == ("denied", "KEY_MISSING", True)
        assert "antiphon keys add" in error["message"]
        assert await client.closed() == CloseCode.POLICY


async def test_a_trusted_proxy_tells_the_address(tmp_path: Path) -> None:
    async with fronting(tmp_path, trusted_proxies=("127.0.0.1",), open_networks=("192.0.2.0/24",)) as front:
        assert (await front.ask("/v1/voices", X_Forwarded_For="192.0.2.7"))[0] == 200
        assert await front.why("/v1/voices", X_Forwarded_For="198.51.100.7") == (401, "KEY_MISSING")
        # What the client itself wrote there stands to the left.
        assert await front.why("/v1/voices", X_Forwarded_For="192.0.2.7, 198.51.100.7") == (401, "KEY_MISSING")
        assert await front.why("/v1/voices", X_Forwarded_For="127.0.0.1") == (401, "KEY_MISSING")


async def test_limits_of_an_address(tmp_path: Path) -> None:
    limits = {"address_sessions": 2, "address_sessions_per_minute": 3, "tokens_per_minute": 1}
    networks = {"trusted_proxies": ("127.0.0.1",), "open_networks": ("192.0.2.0/24",)}
    async with fronting(tmp_path, **limits, **networks) as front:
        here = {"X-Forwarded-For": "192.0.2.7"}
        async with raw(front.url, **here) as first, raw(front.url, **here) as second, raw(front.url, **here) as third:
            await first.start()
            await second.start()
            await third.send(type="session_start")
            error = await third.wait("error")
            assert (error["code"], error["reason"]) == ("at_capacity", "TOO_MANY_SESSIONS")
            assert await third.closed() == CloseCode.TRY_LATER
            async with raw(front.url, **{"X-Forwarded-For": "192.0.2.8"}) as other:
                await other.start()
        assert (await front.ask("/v1/token", "POST", X_Forwarded_For="192.0.2.7"))[0] == 200
        status, found, headers = await front.ask("/v1/token", "POST", X_Forwarded_For="192.0.2.7")
        assert (status, found["error"]["reason"]) == (429, "TOO_OFTEN")
        assert 1 <= int(headers["Retry-After"]) <= 60


# --- with keys -------------------------------------------------------------------------------------------------------


async def test_a_key_made_while_it_runs_is_good_and_needed(front: Front) -> None:
    key = front.add()
    await front.wait("/v1/voices", 401)
    assert (await front.ask("/v1/voices", key=key))[0] == 200
    assert await front.why("/v1/voices", key="antiphon_guess") == (401, "KEY_UNKNOWN")
    assert await front.why("/metrics", key=key) == (403, "KEY_SCOPE")
    assert await front.why("/v1/workers", key=key) == (403, "KEY_SCOPE")
    watcher = front.add("watcher", scopes=frozenset({"monitor"}))
    await front.wait("/metrics", 200, watcher)
    assert await front.why("/v1/voices", key=watcher) == (403, "KEY_SCOPE")
    for open_to_all in ("/", "/healthz"):
        assert (await front.ask(open_to_all))[0] == 200


async def test_who_talks_with_a_key_that_is_revoked_is_told_and_ends(front: Front) -> None:
    key, other = front.add("one"), front.add("two")
    await front.wait("/v1/voices", 200, key)
    await front.wait("/v1/voices", 200, other)
    token = (await front.token(key))["participant_token"]
    async with raw(front.url) as mine, raw(front.url) as by_token, raw(front.url) as theirs:
        await mine.start(key=key)
        await by_token.start(key=token)
        await theirs.start(key=other)
        front.keys.change(lambda keys: keys.revoked("one", 1.8e9))
        for client in (mine, by_token):
            error = await client.wait("error")
            assert (error["code"], error["reason"], error["fatal"]) == ("denied", "KEY_REVOKED", True)
            assert await client.closed() == CloseCode.POLICY
        await theirs.send(type="text", text="still here", mode="say")
        await theirs.wait("reply")
    assert await front.why("/v1/voices", key=key) == (401, "KEY_REVOKED")
    assert await front.why("/v1/voices", key=token) == (401, "KEY_REVOKED")


async def test_a_broken_file_leaves_the_keys_as_they_were(front: Front) -> None:
    key = front.add()
    await front.wait("/v1/voices", 200, key)
    await front.wait("/v1/voices", 401)
    whole = front.keys.path.read_bytes()
    front.keys.path.write_bytes(whole[:-40])
    again = front.keys.stamp()
    await asyncio.sleep(0)
    assert (await front.ask("/v1/voices", key=key))[0] == 200
    front.keys.path.write_bytes(whole)
    assert front.keys.stamp() != again
    second = front.add("second")
    await front.wait("/v1/voices", 200, second)
    assert (await front.ask("/v1/voices", key=key))[0] == 200


async def test_a_server_does_not_start_on_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(Misconfigured, match=r"keys\.json"):
        async with fronting(tmp_path):
            pass


async def test_a_keys_own_limit(front: Front) -> None:
    key = front.add(sessions=1)
    await front.wait("/v1/voices", 200, key)
    async with raw(front.url) as first, raw(front.url) as second:
        await first.start(key=key)
        await second.send(type="session_start", key=key)
        assert (await second.wait("error"))["reason"] == "TOO_MANY_SESSIONS"
        await first.send(type="session_end")
        await first.closed()
    async with raw(front.url) as third:
        await third.start(key=key)


async def test_wrong_keys_are_slowed_down(front: Front) -> None:
    key = front.add()
    await front.wait("/v1/voices", 401)
    reasons = [await front.why("/v1/voices", key=f"guess-{n}") for n in range(15)]
    assert reasons[0] == (401, "KEY_UNKNOWN")
    assert reasons[-1] == (429, "TOO_MANY_TRIES")
    assert (await front.ask("/v1/voices", key=key))[0] == 200


async def test_a_session_that_cannot_be_made_takes_no_place(front: Front) -> None:
    key = front.add(sessions=1)
    await front.wait("/v1/voices", 401)
    async with raw(front.url) as client:
        for n in range(3):
            await client.send(type="session_start", key=key, responder="nobody")
            assert (await client.wait("error", n + 1))["code"] == "not_found"
        await client.start(key=key)


async def test_denials_are_counted(front: Front) -> None:
    watcher = front.add("watcher", scopes=frozenset({"monitor"}))
    await front.wait("/v1/voices", 401)

    async def count() -> float:
        status, text, _ = await front.ask("/metrics", key=watcher)
        assert status == 200
        (line,) = [x for x in text.splitlines() if x.startswith("antiphon_requests_denied ")]
        return float(line.split()[1])

    before = await count()
    assert await front.why("/v1/voices", key=watcher) == (403, "KEY_SCOPE")
    assert await front.why("/v1/voices") == (401, "KEY_MISSING")
    assert await count() == before + 2


# --- tokens ----------------------------------------------------------------------------------------------------------


async def test_a_token_opens_a_session_and_nothing_else(front: Front) -> None:
    key = front.add()
    await front.wait("/v1/voices", 401)
    got = await front.token(key, {"room_name": "lounge", "participant_identity": "ida", "participant_name": "Ida"})
    assert (got["room_name"], got["participant_identity"], got["expires_in_s"]) == ("lounge", "ida", 600)
    assert got["server_url"] == ""
    assert got["websocket_url"] == front.url.replace("http", "ws") + "/v1/converse"
    token = got["participant_token"]
    async with raw(front.url) as client:
        await client.start(key=token)
    async with raw(front.url, Authorization=f"Bearer {token}") as client:
        await client.start()
    assert await front.why("/v1/token", "POST", key=token) == (403, "TOKEN_NOT_KEY")
    assert await front.why("/metrics", key=token) == (403, "KEY_SCOPE")
    other, again = await front.token(key), await front.token(key, {})
    assert other["room_name"] != again["room_name"]
    assert other["participant_identity"] != again["participant_identity"]


async def test_a_forged_token_an_expired_one_and_none_at_all(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    async with fronting(tmp_path, token_secret_file=str(secret), without_key="nobody") as front:
        signer = Signer(SECRET)
        good = mint(signer, room="r", identity="i", now=time.time(), ttl_s=60)
        async with raw(front.url) as client:
            await client.start(key=good)
        old = mint(signer, room="r", identity="i", now=1_000_000_000, ttl_s=60)
        for token, reason in (
            (old, "TOKEN_EXPIRED"),
            (
                mint(Signer("another secret of 32 characters.."), room="r", identity="i", now=2e9, ttl_s=60),
                "TOKEN_FORGED",
            ),
            ("eyJhbGciOiJub25lIn0.e30.", "TOKEN_FORGED"),
            ("", "KEY_MISSING"),
        ):
            async with raw(front.url) as client:
                await client.send(type="session_start", key=token)
                assert (await client.wait("error"))["reason"] == reason
                assert await client.closed() == CloseCode.POLICY


async def test_a_device_may_not_name_a_room(front: Front) -> None:
    key = front.add(scopes=frozenset({"talk"}))
    await front.wait("/v1/voices", 401)
    assert (await front.token(key))["room_name"]
    for wish in ({"room_name": "r"}, {"participant_identity": "i"}):
        assert await front.why("/v1/token", "POST", key=key, body=wish) == (403, "KEY_SCOPE")


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b'{"room_name": 3}', b'{"room_name": "a\\u0000b"}', b"x" * 20_000,
             b'{"room_name": "' + b"r" * 300 + b'"}', b"\xff"],
)  # fmt: skip
async def test_a_bad_request_for_a_token(front: Front, body: bytes) -> None:
    async with front.http.post(front.url + "/v1/token", data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["code"] == "bad_request"


async def test_pages_elsewhere_ask_before_they_ask(tmp_path: Path) -> None:
    async with fronting(tmp_path, allowed_origins=("https://friend.example",)) as front:
        asks = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization"}
        status, _, headers = await front.ask("/v1/token", "OPTIONS", Origin="https://friend.example", **asks)
        assert status == 204
        assert headers["Access-Control-Allow-Origin"] == "https://friend.example"
        assert "POST" in headers["Access-Control-Allow-Methods"]
        assert "Authorization" in headers["Access-Control-Allow-Headers"]
        assert (await front.ask("/v1/token", "OPTIONS", Origin="https://evil.example", **asks))[0] == 403
        # A refusal can be read by the page, too.
        front.add()
        await front.wait("/v1/voices", 401)
        status, found, headers = await front.ask("/v1/token", "POST", Origin="https://friend.example")
        assert (status, found["error"]["reason"]) == (401, "KEY_MISSING")
        assert headers["Access-Control-Allow-Origin"] == "https://friend.example"
        assert (await front.ask("/nothing", Origin="https://friend.example"))[2]["Access-Control-Allow-Origin"]


async def test_with_livekit_the_token_is_livekits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A LiveKit on this machine's loopback is told of here, and to nobody elsewhere."""
    monkeypatch.setenv("LIVEKIT_API_KEY", "APIx")
    monkeypatch.setenv("LIVEKIT_API_SECRET", SECRET)
    settings = OrchestratorSettings(open_networks=("192.0.2.0/24",))
    gate = make_gate(settings, time.monotonic, time.time)
    trusted = networks(["127.0.0.1"], "trusted_proxies")
    for url, elsewhere in (("wss://livekit.example", "wss://livekit.example"), ("ws://127.0.0.1:7880", "")):
        doors = Doors(gate, trusted=trusted, livekit_url=url)
        app = make_app(
            RecordingHub(), web_dir=None, metrics=lambda: (b"", "text/plain"), health=lambda: Health(True), doors=doors
        )
        async with TestServer(app) as server, aiohttp.ClientSession() as http:
            here = Front(f"http://{server.host}:{server.port}", http, KeyFile(tmp_path / "keys.json"))
            got = await here.token(body={"room_name": "r"})
            assert got["server_url"] == url
            found = verify(Signer(SECRET, issuer="APIx"), got["participant_token"], now=time.time(), room="r")
            assert found.identity == got["participant_identity"]
            away = await here.token(X_Forwarded_For="192.0.2.7", Host="192.168.1.4:8765")
            assert away["server_url"] == elsewhere


# --- devices ---------------------------------------------------------------------------------------------------------


async def test_a_device_is_paired_once_and_stays_so(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        code = front.keys.offer_pairing(time.time(), 60)
        agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) AppleWebKit/605 Version/18.0 Mobile Safari/604.1"
        status, got, _ = await front.ask("/v1/pair", "POST", body={"code": code.lower()}, User_Agent=agent)
        assert (status, got["name"]) == (200, "Safari on iPhone")
        assert (await front.ask("/v1/voices", key=got["key"]))[0] == 200
        assert (await front.token(got["key"]))["room_name"]
        assert await front.why("/v1/pair", "POST", body={"code": code}) == (401, "PAIRING_UNKNOWN")
    async with fronting(tmp_path) as front:
        assert (await front.ask("/v1/voices", key=got["key"]))[0] == 200
        front.keys.change(lambda keys: keys.revoked(got["id"], 1.8e9))
        await front.wait("/v1/voices", 401, got["key"])


async def test_codes_are_not_to_be_guessed(front: Front) -> None:
    code = front.keys.offer_pairing(time.time(), 60)
    answers = [await front.why("/v1/pair", "POST", body={"code": f"GUES-{n:04}"}) for n in range(12)]
    assert answers[0] == (401, "PAIRING_UNKNOWN")
    assert answers[-1] == (429, "TOO_MANY_TRIES")
    # Here a right one counts like a wrong one.
    assert await front.why("/v1/pair", "POST", body={"code": code}) == (429, "TOO_MANY_TRIES")


async def test_without_a_file_there_is_nothing_to_pair_with(tmp_path: Path) -> None:
    async with fronting(tmp_path, keys_file="") as front:
        assert await front.why("/v1/pair", "POST", body={"code": "AAAA-AAAA"}) == (401, "PAIRING_UNKNOWN")
        assert (await front.ask("/ca.crt"))[0] == 404


async def test_the_python_client_is_told(front: Front) -> None:
    front.add()
    await front.wait("/v1/voices", 401)
    with pytest.raises(Denied) as refused:
        async with plainly(), connect(front.url):
            pass
    assert refused.value.reason == "KEY_MISSING"


async def test_the_grpc_door_asks_the_same(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    key = file.add(lambda id, digest: KeyRecord(id, digest, "k", 1.8e9))[0]
    settings = OrchestratorSettings(port=0, grpc_port=0, registry="127.0.0.1:1", keys_file=str(file.path))

    async def talk(url: str, key: str) -> None:
        """Until it is told that its key was revoked, once it talks."""
        async with plainly(), connect(url, key=key) as session:
            await asyncio.to_thread(file.change, lambda keys: keys.revoked("k", 1.8e9))
            async for _ in session.events():
                pass

    async with plainly(), orchestrator(settings) as serving:
        url = f"grpc://{serving.others['grpc']}"
        for shown, reason in (("", "KEY_MISSING"), ("antiphon_wrong", "KEY_UNKNOWN"), (key, "KEY_REVOKED")):
            with pytest.raises(Denied) as refused:
                await talk(url, shown)
            assert refused.value.reason == reason
