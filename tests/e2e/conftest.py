"""What the end-to-end tests have to say, said at the end of the run whether they passed or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_SAID = pytest.StashKey[list[str]]()


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keeps a line for the end of the run."""
    said = request.config.stash.setdefault(_SAID, [])
    name = request.node.name
    return lambda line: said.append(f"{name}: {line}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    said = config.stash.get(_SAID, [])
    if said:
        terminalreporter.section("what the end-to-end tests found")
        for line in said:
            terminalreporter.write_line(line)
