"""What the end-to-end tests have to say, said at the end of the run whether they passed or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

SAID = "said"


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keeps a line for the end of the run."""
    return lambda line: record_property(SAID, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """From the tests' reports, which come from whatever process ran them."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    said = [
        f"{report.location[2]}: {line}"
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, line in report.user_properties
        if name == SAID
    ]
    if said:
        terminalreporter.section("what the end-to-end tests found")
        for line in said:
            terminalreporter.write_line(line)
