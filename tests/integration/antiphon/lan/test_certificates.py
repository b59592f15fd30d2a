"""Certificates on disk, and TLS with them: verified by OpenSSL as a device would."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from antiphon.lan.addresses import lan_addresses
from antiphon.lan.authority import Pair, make_authority, make_server
from antiphon.lan.files import Certificates, certificates
from base import rpc
from base.errors import Misconfigured
from orchestrator.app import orchestrator
from orchestrator.checks import check
from orchestrator.settings import OrchestratorSettings
from orchestrator.tls import server_context
from tests.support.house import free_port, plainly

pytestmark = pytest.mark.integration

NAMES = ("pc.local", "localhost")
HERE = (ipaddress.ip_address("127.0.0.1"),)


def made(folder: Path, *more: str, after: timedelta = timedelta()) -> Certificates:
    addresses = (*HERE, *(ipaddress.ip_address(a) for a in more))
    return certificates(folder, NAMES, addresses, datetime.now(UTC) + after)


def trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


def test_they_are_made_once_and_renewed_when_they_do_not_fit(tmp_path: Path) -> None:
    folder = tmp_path / "lan"
    first = made(folder)
    assert first.new_authority
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(content) == ["ca.crt", "ca.key", "server.crt", "server.key"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    again = made(folder)
    assert not again.new_authority
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == content
    moved = made(folder, "192.168.1.10")
    assert not moved.new_authority
    assert moved.fingerprint == first.fingerprint
    assert moved.cert.read_bytes() != content["server.crt"]
    assert moved.ca.read_bytes() == content["ca.crt"]
    late = made(folder, "192.168.1.10", after=timedelta(days=350))
    assert not late.new_authority
    found = x509.load_pem_x509_certificate(late.cert.read_bytes())
    assert found.not_valid_after_utc > datetime.now(UTC) + timedelta(days=700)
    (folder / "ca.key").write_text("broken")
    assert made(folder).new_authority


def test_a_folder_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "lan").write_text("a file")
    with pytest.raises(Misconfigured, match="certificates cannot be kept"):
        made(tmp_path / "lan")


def test_what_is_given_comes_first_and_must_be_private() -> None:
    assert str(lan_addresses(["127.0.0.1"])[0]) == "127.0.0.1"
    for wrong, why in (("8.8.8.8", "not a private address"), ("pc", "is no address")):
        with pytest.raises(Misconfigured, match=why):
            lan_addresses([wrong])


@asynccontextmanager
async def serving(folder: Path, pair: Pair) -> AsyncIterator[int]:
    """Bare TLS with this certificate."""
    cert, key = folder / "x.crt", folder / "x.key"
    cert.write_bytes(pair.certificate.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        pair.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server_context(str(cert), str(key))
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("name", "good"),
    [("pc.local", True), ("a.b.local", True), ("192.168.1.10", True), ("fd00::7", True),
     ("bank.example", False), ("evil-local", False), ("8.8.8.8", False), ("2001:db8::7", False)],
)  # fmt: skip
async def test_the_authority_vouches_for_nobody_else(tmp_path: Path, name: str, good: bool) -> None:
    """Even with its key: a device that trusts it takes no certificate for a bank from it."""
    now = datetime.now(UTC)
    authority = make_authority("pc", now)
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    try:
        forged = make_server(authority, ["x.local"], [ipaddress.ip_address(name)], now)
    except ValueError:
        forged = make_server(authority, [name], [], now)
    async with serving(tmp_path, forged) as port:
        connecting = asyncio.open_connection("127.0.0.1", port, ssl=trusting(ca), server_hostname=name)
        if good:
            _, writer = await connecting
            writer.close()
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
                await connecting


async def test_the_page_over_https_beside_http(tmp_path: Path) -> None:
    files = made(tmp_path / "lan")
    settings = OrchestratorSettings(
        port=0,
        grpc_port=-1,
        registry="127.0.0.1:1",
        tls_cert=str(files.cert),
        tls_key=str(files.key),
        tls_ca=str(files.ca),
        tls_port=(port := free_port()),
    )
    async with plainly(), orchestrator(settings) as serving_at, aiohttp.ClientSession() as http:
        async with http.get(f"http://{serving_at.address}/healthz") as answer:
            assert answer.status == 200
        secure = f"https://127.0.0.1:{port}"
        async with http.get(secure + "/ca.crt", ssl=trusting(files.ca)) as answer:
            assert answer.headers["Content-Type"] == "application/x-x509-ca-cert"
            assert await answer.read() == files.ca.read_bytes()
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await http.get(secure + "/healthz")
        async with http.ws_connect(f"wss://localhost:{port}/v1/converse", ssl=trusting(files.ca)) as ws:
            await ws.send_json({"type": "session_start"})
            assert (await ws.receive_json())["type"] == "session_started"
        async with http.post(secure + "/v1/token", ssl=trusting(files.ca)) as answer:
            assert (await answer.json())["websocket_url"] == f"wss://127.0.0.1:{port}/v1/converse"


async def test_https_in_the_place_of_http(tmp_path: Path) -> None:
    files = made(tmp_path / "lan")
    settings = OrchestratorSettings(
        port=0, grpc_port=-1, registry="127.0.0.1:1", tls_cert=str(files.cert), tls_key=str(files.key)
    )
    async with plainly(), orchestrator(settings) as serving_at, aiohttp.ClientSession() as http:
        async with http.get(f"https://{serving_at.address}/healthz", ssl=trusting(files.ca)) as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ClientError):
            await http.get(f"http://{serving_at.address}/healthz")


@pytest.mark.parametrize("wrong", ["cert", "key", "half", "ca"])
def test_what_is_no_certificate_is_told_of(tmp_path: Path, wrong: str) -> None:
    files = made(tmp_path / "lan")
    other = made(tmp_path / "other")
    junk = tmp_path / "junk"
    junk.write_text("nonsense")
    cert, key, ca = str(files.cert), str(files.key), ""
    if wrong == "cert":
        cert = str(junk)
    elif wrong == "key":
        key = str(other.key)
    elif wrong == "half":
        key = ""
    else:
        ca = str(junk)
    with pytest.raises(Misconfigured) as refused:
        check(OrchestratorSettings(tls_cert=cert, tls_key=key, tls_ca=ca))
    assert refused.value.reason == "BAD_TLS"


async def test_grpc_speaks_tls_where_https_took_http_s_place(tmp_path: Path) -> None:
    found = made(tmp_path / "lan")
    files = {"tls_cert": str(found.cert), "tls_key": str(found.key)}
    for tls_port, is_tls in ((-1, True), (0, False)):
        settings = OrchestratorSettings(port=0, grpc_port=0, tls_port=tls_port, **files)
        async with plainly(), orchestrator(settings) as serving:
            address = serving.others["grpc"]
            # BoringSSL knows no name constraints for addresses, which the CA of `--lan` has: the certificate is pinned.
            async with rpc.secure_channel(address, found.cert.read_bytes()) as channel:
                assert await rpc.answers(channel, timeout_s=5.0) is is_tls
            async with rpc.channel(address) as channel:
                assert await rpc.answers(channel, timeout_s=5.0) is not is_tls
