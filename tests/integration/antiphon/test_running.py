"""How other commands find the system that `up` runs here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from antiphon.places import PAGE, REGISTRY, Running, RunningFile, page_of, registry_of
from antiphon.up.logs import log_folder

pytestmark = pytest.mark.integration


def test_it_is_found_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_VAR", str(tmp_path / "var"))
    assert (page_of(""), registry_of("")) == (PAGE, REGISTRY)
    file = RunningFile()
    file.write(Running("http://127.0.0.1:9", "127.0.0.1:8", os.getpid()))
    assert (page_of(""), registry_of("")) == ("http://127.0.0.1:9", "127.0.0.1:8")
    assert page_of("other:1") == "other:1"
    file.remove(os.getpid() + 1)
    assert file.read() is not None, "another one's file stays"
    file.remove(os.getpid())
    assert page_of("") == PAGE


def test_of_two_the_newer_is_found_and_the_older_again_once_that_has_ended(tmp_path: Path) -> None:
    file = RunningFile(tmp_path)
    first = Running("http://127.0.0.1:1", "127.0.0.1:2", os.getpid())
    file.write(first)
    os.utime(tmp_path / f"running-{os.getpid()}.json", (1, 1))
    other = subprocess.Popen(["sleep", "60"])
    second = Running("http://127.0.0.1:3", "127.0.0.1:4", other.pid)
    file.write(second)
    assert file.read() == second
    other.kill()
    other.wait()
    assert file.read() == first, "one that was killed leaves its file, which counts no more"
    file.write(first)
    assert [p.name for p in tmp_path.iterdir()] == [f"running-{os.getpid()}.json"]


def test_logs_of_two_at_once_do_not_meet(tmp_path: Path) -> None:
    told: list[str] = []
    left = tmp_path / "log" / "up-999999999"
    left.mkdir(parents=True)
    with log_folder(tmp_path / "log", told.append) as first:
        assert first == tmp_path / "log"
        with log_folder(tmp_path / "log", told.append) as second:
            assert second == tmp_path / "log" / f"up-{os.getpid()}"
            assert second.is_dir()
            assert not left.exists()
    with log_folder(tmp_path / "log", told.append) as again:
        assert again == tmp_path / "log"
    assert told == []


def test_a_place_without_room_for_logs_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    with log_folder(tmp_path / "file" / "log", told.append) as folder:
        assert folder is None
    assert told == [f"cannot write logs to {tmp_path / 'file' / 'log'}: Not a directory; none are kept"]


def test_one_that_died_is_not_found(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    file = RunningFile(tmp_path)
    file.write(Running("http://127.0.0.1:9", "127.0.0.1:8", dead.pid))
    assert file.read() is None
    (tmp_path / "running-1.json").write_text("{}")
    assert file.read() is None
