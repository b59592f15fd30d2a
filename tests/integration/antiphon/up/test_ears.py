"""What `up` hears with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from antiphon.up.ears import find_ears
from antiphon.up.programs import Layout, Place
from asr.engines.moonshine import files

pytestmark = pytest.mark.integration


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that name, before any other."""
    for name in [name for name in sys.modules if name.partition(".")[0] == files.PACKAGE]:
        monkeypatch.delitem(sys.modules, name)
    folder = tmp_path / "site" / files.PACKAGE
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('nobody is to import this')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


def test_moonshine_is_chosen_where_its_model_is_installed(package: Path) -> None:
    (package / files.BUNDLED).mkdir(parents=True)
    found = find_ears(None)
    assert found.flags == ("--engine", "moonshine")
    assert "tiny-en" in found.words
    here = (Place("page", "127.0.0.1", 0, print), Place("registry", "127.0.0.1", 0, print))
    layout = Layout(*here, ears=found.flags, listening=found.front)
    programs = {p.service.name: p for p in layout.programs()}
    argv = {name: list(p.argv(dict.fromkeys(programs, "127.0.0.1:7"))) for name, p in programs.items()}
    assert [name for name, words in argv.items() if "--engine" in words] == ["asr-worker"]
    assert [name for name, words in argv.items() if "--final-ms" in words] == ["orchestrator"]


def test_how_long_a_final_is_waited_for_is_what_the_user_has_set(package: Path, tmp_path: Path) -> None:
    (package / files.BUNDLED).mkdir(parents=True)
    file = tmp_path / "antiphon.toml"
    file.write_text("[orchestrator]\nfinal_ms = 300\n")
    found = find_ears(file)
    assert (found.flags, found.front) == (("--engine", "moonshine"), ())


def test_without_it_the_user_is_told_what_brings_it(package: Path) -> None:
    found = find_ears(None)
    assert (found.flags, found.front) == ((), ())
    assert "install moonshine" in found.words


@pytest.mark.parametrize("line", ['engine = "pocketsphinx"', 'model = "/somewhere"'])
def test_what_the_user_has_set_counts(package: Path, tmp_path: Path, line: str) -> None:
    (package / files.BUNDLED).mkdir(parents=True)
    file = tmp_path / "antiphon.toml"
    file.write_text(f"[asr_worker]\n{line}\n")
    found = find_ears(file)
    assert (found.flags, found.words) == ((), "")
