"""The table of figures at the end of a run."""

from __future__ import annotations

import pytest

from tests.chaos.support.figures import Figures, table


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """`figures.note(people=5)` shows up in the table, also from another process of pytest-xdist."""
    made = Figures(request.node.name)
    request.node.user_properties.append(("figures", (made.test, made.rows)))
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Only the long run is about figures."""
    if "not chaos" in config.option.markexpr:
        return
    reports = [report for found in ("passed", "failed") for report in terminalreporter.stats.get(found, [])]
    told = [value for report in reports for name, value in report.user_properties if name == "figures"]
    if told:
        terminalreporter.section("figures")
        for line in table([Figures(test, rows) for test, rows in told]):
            terminalreporter.write_line(line)
