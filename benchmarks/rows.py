"""One line of the table that `make benchmark` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """`limit_seconds` is what cannot be done without, measured in the same run; `ratio` is ours to it."""

    name: str
    limit_seconds: float
    ours_seconds: float
    ratio: float
    note: str = ""
