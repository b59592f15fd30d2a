"""`up --lan` as a user runs it: HTTPS for devices, one of which is paired, and stays so, and is let go."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.house import free_port
from tests.support.system import antiphon, running, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

CONFIG = """
[up]
lan = true
lan_addresses = ["127.0.0.1"]
lan_port = {port}
[orchestrator]
responder = "echo"
[tts_worker]
engine = "sine"
[asr_worker]
engine = "scripted"
"""
AS_PHONE = {"X-Forwarded-For": "192.168.1.7"}
"""A request that is not this machine's own, as seen from a machine that may have no network."""


def ask(url: str, context: ssl.SSLContext, *, body: Any = None, key: str = "") -> tuple[int, Any]:
    headers = {**AS_PHONE, "Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_phone_is_paired_and_let_go(tmp_path: Path) -> None:
    (tmp_path / "antiphon.toml").write_text(CONFIG.format(port=free_port()))
    with running(tmp_path) as system:
        lan = system.wait_event(lambda e: e["event"] == "lan", "address for devices")
        url, code = lan["url"], lan["code"]
        assert url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(tmp_path / "lan" / "ca.crt"))
        # Who sits at this machine needs no key.
        assert json.loads(system.read("/v1/voices"))
        status, refused = ask(f"{url}/v1/voices", context)
        assert (status, refused["error"]["reason"]) == (401, "KEY_MISSING")
        assert ask(f"{url}/v1/pair", context, body={"code": "0000-0000"})[0] == 401
        status, device = ask(f"{url}/v1/pair", context, body={"code": code, "name": "Ida's phone"})
        assert status == 200
        told = system.wait_event(lambda e: e["event"] == "paired", "word of the device")
        assert (told["id"], told["name"]) == (device["id"], "Ida's phone")
        assert ask(f"{url}/v1/voices", context, key=device["key"])[0] == 200
        assert ask(f"{url}/v1/pair", context, body={"code": code})[0] == 401
        listed = json.loads(antiphon("keys", "list", "--json", cwd=tmp_path).stdout)
        assert [(k["id"], k["device"], k["state"]) for k in listed] == [(device["id"], True, "good")]
        another = json.loads(antiphon("keys", "pair", "--json", cwd=tmp_path).stdout)
        assert another["url"] == f"{url}/#pair={another['code']}"
        assert antiphon("keys", "revoke", "Ida's phone", cwd=tmp_path).returncode == 0

        def gone() -> bool:
            status, said = ask(f"{url}/v1/voices", context, key=device["key"])
            return status == 401 and said["error"]["reason"] == "KEY_REVOKED"

        assert until(gone), system.said()
        # Still: who sits here needs none, though there are keys now.
        assert json.loads(system.read("/v1/voices"))
