"""The layers in pyproject.toml name every package; import-linter itself cannot ask for that of top-level packages."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


def test_every_package_stands_in_the_layers() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c for c in linter["contracts"] if c["type"] == "layers")["layers"]
    packages = {p.name for p in (ROOT / "src").iterdir() if p.is_dir() and not p.name.startswith(("_", "."))}
    assert {name for layer in layers for name in layer.split(" | ")} == packages
    assert set(linter["root_packages"]) == packages
