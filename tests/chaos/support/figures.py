"""The figures that the fault tests measured, as a table at the end of their run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Figures:
    """The figures of one test."""

    test: str
    rows: dict[str, Any] = field(default_factory=dict)

    def note(self, **values: Any) -> None:
        self.rows.update(values)


def table(all_of_them: list[Figures]) -> list[str]:
    """Lines; one block for each test."""
    lines: list[str] = []
    for figures in all_of_them:
        lines.append(figures.test)
        lines += [f"    {name.replace('_', ' '):28} {value}" for name, value in figures.rows.items()]
    return lines
