"""One piece of the strip at the top of the overview."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """`tone` is ok, warning, error or neutral."""

    icon: str
    label: str
    text: str
    tone: str
    link: str = ""
