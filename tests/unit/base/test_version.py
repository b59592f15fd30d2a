import tomllib
from pathlib import Path

import pytest

from base.version import VERSION

pytestmark = pytest.mark.unit


def test_it_is_that_of_the_package():
    assert tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"] == VERSION
