from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from antiphon import places
from antiphon.places import ROOT, own_command, var_dir

pytestmark = pytest.mark.unit


def test_things_lie_where_the_user_says_else_beside_the_source() -> None:
    assert var_dir({"ANTIPHON_VAR": "/somewhere/else"}) == Path("/somewhere/else")
    assert var_dir({}) == ROOT / "var"


def test_in_a_clone_the_launcher_is_what_is_typed() -> None:
    assert own_command(ROOT) == "./antiphon"
    assert own_command(ROOT / "docs") == str(ROOT / "antiphon")


def test_a_clone_with_a_space_in_its_name_can_be_pasted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clone = tmp_path / "my clone"
    clone.mkdir()
    (clone / "antiphon").write_text("")
    monkeypatch.setattr(places, "ROOT", clone)
    assert shlex.split(own_command(tmp_path)) == [str(clone / "antiphon")]
