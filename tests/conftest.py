"""Of all tests."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["tests.support.time_limits"]

# Machines are shared: how long an example takes says nothing.
settings.register_profile("antiphon", deadline=None)
settings.load_profile("antiphon")
