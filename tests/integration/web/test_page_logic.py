"""The page's plain parts, by node's own test runner (tests/web)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


def test_the_page_s_modules_do_what_they_say() -> None:
    node = shutil.which("node")
    if node is None and not os.environ.get("CI"):
        pytest.skip("node is not installed; the page's own tests run where it is (and always in CI)")
    assert node is not None, "CI must have node: the page's own tests run in it"
    files = sorted(str(f) for f in (ROOT / "tests" / "web").glob("*.test.mjs"))
    assert len(files) >= 2
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
