"""`doctor --url` against a plain server on loopback, one that is not there, and one that is something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from antiphon.checks import Check
from antiphon.exits import MISCONFIGURED, USAGE
from antiphon.outside import Site, examine
from base.errors import BadRequest
from tests.support.house import free_port, house
from tests.support.system import antiphon

pytestmark = pytest.mark.integration


async def told(site: Site) -> dict[str, Check]:
    return {check.name: check async for check in examine(site)}


async def test_a_system_on_this_machine_is_well_without_tls_livekit_or_key() -> None:
    async with house(grpc_port=0) as here:
        async with here.http.get(f"{here.url}/readyz") as answer:
            door = (await answer.json())["grpc"]
        found = await told(Site(here.url, grpc=door))
    failed = {name: check for name, check in found.items() if not check.ok}
    assert set(failed) == {"LiveKit"}, failed
    assert not failed["LiveKit"].needed
    assert "a sentence was spoken" in found["WebSocket"].detail
    assert "ready" in found["/readyz"].detail


async def test_who_is_not_ready_is_told_so() -> None:
    async with house(tts=0, asr=0) as here:
        found = await told(Site(here.url))
        assert not found["/readyz"].ok
        assert "TTS worker" in found["/readyz"].help
    assert found["page"].ok


async def test_something_else_under_the_name_is_no_antiphon() -> None:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="It works!")

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", hello)
    async with TestServer(app) as other:
        found = await told(Site(f"http://127.0.0.1:{other.port}", grpc=f"127.0.0.1:{other.port}"))
    for name in ("page", "token", "WebSocket"):
        assert not found[name].ok, name
        assert found[name].needed, name
        assert found[name].help, name
    assert not found["gRPC door"].ok


async def test_nobody_there_is_one_line_and_no_more() -> None:
    port = free_port()
    found = await told(Site(f"http://127.0.0.1:{port}"))
    assert list(found) == ["DNS", f"TCP {port}"]
    assert "connection refused" in found[f"TCP {port}"].detail
    found = await told(Site("https://no-such-name.invalid"))
    assert list(found) == ["DNS"]
    assert not found["DNS"].ok


@pytest.mark.parametrize("url", ["talk.example", "ftp://talk.example", "https://", "http://[", "http://x:0"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadRequest, match="no address of a site"):
        Site(url)


def test_the_command_line_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    done = antiphon("doctor", "--url", "nonsense", cwd=tmp_path)
    assert (done.returncode, "no address of a site" in done.stderr) == (USAGE, True)
    done = antiphon("doctor", "--url", "https://localhost", "--mic", cwd=tmp_path)
    assert (done.returncode, "name one of them" in done.stderr) == (USAGE, True)
    (tmp_path / "ca").write_text("no certificate")
    done = antiphon("doctor", "--url", "https://localhost", "--ca", "ca", cwd=tmp_path)
    assert (done.returncode, "no certificate in PEM" in done.stderr) == (MISCONFIGURED, True)
    done = antiphon("doctor", "--url", f"http://127.0.0.1:{free_port()}", "--json", cwd=tmp_path)
    assert done.returncode == 69
    assert [line["ok"] for line in json.loads(done.stdout)] == [True, False]
