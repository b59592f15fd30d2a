"""In a process of its own: this one has loaded what it likes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SRC = Path(__file__).parents[3] / "src"


def test_structlog_brings_no_painter_of_tracebacks_and_leaves_it_to_who_wants_it() -> None:
    code = (
        "import sys, base.log, base.tracing\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'rich']\n"
        "import importlib.util as found\n"
        "assert found.find_spec('rich') is None or __import__('rich')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
