"""`antiphon keys` as a user types it, and a chat that shows a key."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest

from antiphon.commands.chat import access_key
from antiphon.settings import ChatSettings
from base.errors import Misconfigured
from orchestrator.key_file import KeyFile
from tests.support.house import house
from tests.support.system import antiphon

pytestmark = pytest.mark.integration


def test_a_key_is_made_listed_and_revoked(tmp_path: Path) -> None:
    made = antiphon("keys", "add", "laptop", "--sessions", "2", "--expires", "30d", cwd=tmp_path)
    assert made.returncode == 0, made
    key = made.stdout.strip()
    assert key.startswith("antiphon_")
    assert "from now on every session needs a key" in made.stderr
    file = tmp_path / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in file.read_text()
    found = KeyFile(file).read().find(key)
    assert found is not None
    assert (found.name, found.sessions, found.scopes) == ("laptop", 2, {"talk", "token"})
    (row,) = [line for line in antiphon("keys", "list", cwd=tmp_path).stdout.splitlines() if found.id in line]
    assert "laptop" in row
    assert "2 at once" in row
    assert antiphon("keys", "revoke", found.id, cwd=tmp_path).returncode == 0
    (plain,) = json.loads(antiphon("keys", "list", "--json", cwd=tmp_path).stdout)
    assert plain["state"] == "revoked"
    assert key not in json.dumps(plain)
    assert found.digest not in json.dumps(plain)
    assert antiphon("keys", "revoke", "laptop", "--forget", cwd=tmp_path).returncode == 0
    assert json.loads(antiphon("keys", "list", "--json", cwd=tmp_path).stdout) == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("add", "x", "--scope", "admin"), 2, "talk, token, monitor"),
        (("add", "x", "--expires", "soon"), 2, "--expires 'soon'"),
        (("add", " "), 2, "nothing in it"),
        (("add", "x", "--sessions", "0"), 2, "sessions"),
        (("revoke", "nobody"), 2, "no key 'nobody'"),
        (("list", "--file", "."), 78, "cannot be read"),
    ],
)
def test_what_is_not_possible_is_said(tmp_path: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = antiphon("keys", *arguments, cwd=tmp_path)
    assert done.returncode == code, done
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_orchestrators_own_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "antiphon.toml").write_text('[orchestrator]\nkeys_file = "state/mine.json"\n')
    key = json.loads(antiphon("keys", "add", "x", "--json", cwd=tmp_path).stdout)["key"]
    assert KeyFile(tmp_path / "state" / "mine.json").read().find(key)


async def test_a_chat_shows_its_key(tmp_path: Path) -> None:
    scopes = ("--scope", "talk", "--scope", "monitor")
    key = json.loads(antiphon("keys", "add", "x", *scopes, "--json", cwd=tmp_path).stdout)["key"]
    (tmp_path / "key").write_text(key + "\n")
    async with house(keys_file=str(tmp_path / "keys.json"), key=key) as here:

        async def chat(*flags: str, **env: str) -> tuple[int, str]:
            """One with nothing to say."""
            command = ("chat", "--url", here.url, "--text", *flags)
            done = await asyncio.to_thread(antiphon, *command, cwd=tmp_path, **env)
            return done.returncode, done.stderr

        code, said = await chat()
        assert (code, "asks for an access key" in said) == (1, True), said
        for flags, env in ((("--key-file", "key"), {}), ((), {"ANTIPHON_KEY": key})):
            code, said = await chat(*flags, **env)
            assert code == 0, said


@pytest.mark.parametrize(("content", "says"), [(None, "cannot be read"), ("", "one key"), ("two keys", "one key")])
def test_a_key_file_holds_one_key(tmp_path: Path, content: str | None, says: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    with pytest.raises(Misconfigured, match=says):
        access_key(ChatSettings(key_file=str(file)), {"ANTIPHON_KEY": "another"})
    file.write_text(" mine\n")
    assert access_key(ChatSettings(key_file=str(file)), {"ANTIPHON_KEY": "another"}) == "mine"
