"""Whether Moonshine is here: the dev lock brings it wherever its package has a wheel."""

from __future__ import annotations

import os

import pytest

from asr.engines.moonshine.files import is_installed

needs_moonshine = pytest.mark.skipif(
    not is_installed() and not os.environ.get("CI"), reason="no wheel of moonshine-voice for this machine"
)
