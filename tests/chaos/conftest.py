"""The table of figures at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.figures import Figures, table

ALL = pytest.StashKey[list[Figures]]()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    """`figures.note(people=5)` shows up in the table."""
    made = Figures(request.node.name)
    yield made
    request.config.stash.setdefault(ALL, []).append(made)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    # The short forms have figures, too; only the long run is about them.
    if lines := table(config.stash.get(ALL, [])):
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)
