"""One line of the table that `make benchmark` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """`limit_seconds` is the least that has to be done, measured in the same run; `ratio` is ours to the limit.

    Both are in seconds, unless `unit` names another unit. `ok` is None when there is no target.
    """

    name: str
    limit_seconds: float
    ours_seconds: float
    ratio: float
    note: str = ""
    target: str = ""
    ok: bool | None = None
    unit: str = "s"


def against(name: str, limit: float, ours: float, *, most: float, note: str = "", unit: str = "s") -> Row:
    """A row whose target is a ratio."""
    ratio = ours / limit if limit else 0.0
    return Row(name, limit, ours, ratio, note, f"<= {most:g}x", ratio <= most, unit)


def at_most(name: str, ours: float, *, most: float, limit: float = 0.0, note: str = "", unit: str = "s") -> Row:
    """A row whose target is a number, independent of the limit."""
    ratio = ours / limit if limit else 0.0
    return Row(name, limit, ours, ratio, note, f"<= {most:g} {unit}", ours <= most, unit)
