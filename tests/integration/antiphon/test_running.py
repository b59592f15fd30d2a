"""How other commands find the system that `up` runs here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from antiphon.places import PAGE, REGISTRY, Running, RunningFile, page_of, registry_of

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


def test_one_that_died_is_not_found(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    file = RunningFile(tmp_path / "running.json")
    file.write(Running("http://127.0.0.1:9", "127.0.0.1:8", dead.pid))
    assert file.read() is None
    (tmp_path / "running.json").write_text("{}")
    assert file.read() is None
