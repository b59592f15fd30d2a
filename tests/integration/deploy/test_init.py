"""deploy/init: what it makes, with which rights, and that it keeps what is there."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from base.rpc_token import read_token
from tests.support.deployment import ROOT

pytestmark = pytest.mark.integration


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "deploy").mkdir()
    for name in ("init", "antiphon.example.toml"):
        shutil.copy2(ROOT / "deploy" / name, tmp_path / "deploy" / name)
    return tmp_path


def init(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(clone / "deploy" / "init"), *arguments], capture_output=True, text=True, timeout=30, cwd="/"
    )


MADE = ("livekit-keys", "worker-token", "grafana-password")


def test_it_makes_secrets_that_only_the_containers_user_reads(clone: Path) -> None:
    done = init(clone, "talk.example")
    assert done.returncode == 0, done.stderr
    uid = 10001 if os.getuid() == 0 else os.getuid()
    for path in [
        *(clone / "deploy" / "secrets" / name for name in MADE),
        clone / ".env",
        clone / "deploy/antiphon.toml",
    ]:
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o600, path
        assert status.st_uid == uid, path
    for folder in ("secrets", "keys"):
        assert stat.S_IMODE((clone / "deploy" / folder).stat().st_mode) == 0o700
    env = (clone / ".env").read_text()
    assert "\nANTIPHON_DOMAIN=talk.example\n" in env
    assert f"\nANTIPHON_UID={uid}\n" in env
    key, secret = (clone / "deploy/secrets/livekit-keys").read_text().strip().split(": ")
    assert re.fullmatch(r"API[0-9a-f]{12}", key)
    assert re.fullmatch(r"[0-9a-f]{64}", secret)
    assert read_token(str(clone / "deploy/secrets/worker-token"), host="0.0.0.0")
    assert secret not in done.stdout


def test_two_sites_have_two_secrets_and_again_changes_none(clone: Path) -> None:
    init(clone, "talk.example")
    before = {name: (clone / "deploy" / "secrets" / name).read_text() for name in MADE}
    assert len(set(before.values())) == len(MADE)
    again = init(clone, "other.example")
    assert again.returncode == 0
    assert again.stdout.count("kept") == 5
    assert {name: (clone / "deploy" / "secrets" / name).read_text() for name in MADE} == before
    assert "talk.example" in (clone / ".env").read_text()
    shutil.rmtree(clone / "deploy" / "secrets")
    init(clone)
    assert all((clone / "deploy" / "secrets" / name).read_text() != before[name] for name in MADE)


@pytest.mark.parametrize("name", ["https://talk.example", "talk.example/page", "two words", "-x", ""])
def test_what_is_no_host_name_is_refused_before_anything_is_made(clone: Path, name: str) -> None:
    done = init(clone, name)
    assert done.returncode == 2
    assert "no host name" in done.stderr
    assert not (clone / ".env").exists()
    assert not (clone / "deploy" / "secrets").exists()
