"""The file of keys on disk: who changes it at once, who can read it, what a broken one does."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from base.errors import Misconfigured, NotFound
from orchestrator.key_file import KeyFile
from orchestrator.keys import KeyRecord, Keys

pytestmark = pytest.mark.integration

NOW = 1_800_000_000.0


def named(name: str, id: str, digest: str) -> KeyRecord:
    return KeyRecord(id, digest, name, NOW)


def test_a_key_is_shown_once_and_kept_as_its_hash(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "state" / "keys.json")
    assert file.read() == Keys()
    assert file.stamp() is None
    key, record = file.add(lambda id, digest: named("mine", id, digest))
    assert key not in file.path.read_text()
    assert file.read().find(key) == record
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert sorted(p.name for p in file.path.parent.iterdir()) == ["keys.json", "keys.json.lock"]


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: KeyFile(path).add(lambda id, digest: named(str(n), id, digest)), range(40)))
    assert {r.name for r in KeyFile(path).read().records} == {str(n) for n in range(40)}


def test_a_code_is_good_once(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    code = file.offer_pairing(NOW, 60)

    def take(n: int) -> str | None:
        try:
            return file.pair(code.lower(), f"phone {n}", NOW + 1)[0]
        except NotFound:
            return None

    with ThreadPoolExecutor(8) as pool:
        got = [key for key in pool.map(take, range(8)) if key]
    assert len(got) == 1
    found = file.read().find(got[0])
    assert found is not None
    assert found.device
    assert found.scopes == {"talk"}
    late = file.offer_pairing(NOW, 60)
    with pytest.raises(NotFound, match="its time is over"):
        file.pair(late, "late", NOW + 60)


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    file.add(lambda id, digest: named("mine", id, digest))
    before = file.path.read_bytes(), file.stamp()
    with pytest.raises(NotFound):
        file.change(lambda keys: keys.revoked("nobody", NOW))
    assert (file.path.read_bytes(), file.stamp()) == before


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"version": 1, "keys": [{}]}', b"\xff\xfe"])
def test_a_broken_file_is_not_overwritten(tmp_path: Path, content: bytes) -> None:
    file = KeyFile(tmp_path / "keys.json")
    file.path.write_bytes(content)
    for how in (file.read, lambda: file.add(lambda id, digest: named("mine", id, digest))):
        with pytest.raises(Misconfigured, match=r"keys\.json"):
            how()
    assert file.path.read_bytes() == content


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        KeyFile(tmp_path).read()
