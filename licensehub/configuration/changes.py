"""The differences between a file and LicenseHub, and how each difference is applied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ParamSpec

from django.contrib.auth.models import User

from licensehub.configuration.reading import Entry, Place, Wrong

Given = ParamSpec("Given")


class Kind(StrEnum):
    """`EXTRA`: LicenseHub has it and the file does not; only `--prune` ends it. `WAITS`: a person acts first."""

    ADD = "+"
    CHANGE = "~"
    EXTRA = "-"
    WAITS = "!"


@dataclass(frozen=True, slots=True)
class Change:
    """`what` names it, e.g. “Northwind: rule: last_activity_threshold”. `right` is what the actor needs for it."""

    kind: Kind
    what: str
    text: str
    place: Place
    right: str = ""
    do: Callable[[User], object] | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.what}: {self.text}"


@dataclass
class Plan:
    """The differences, and the mistakes of the file. Each section adds to it."""

    changes: list[Change] = field(default_factory=list)
    mistakes: list[Wrong] = field(default_factory=list)

    def add(
        self,
        kind: Kind,
        what: str,
        text: str,
        entry: Entry,
        right: str = "",
        do: Callable[[User], object] | None = None,
    ) -> None:
        self.changes.append(Change(kind, what, text, entry.place, right, do))

    def guarded(self, part: Callable[Given, None], *args: Given.args, **kwargs: Given.kwargs) -> None:
        """Call the function of a part. A mistake ends this part only, so that all mistakes are shown at once."""
        try:
            part(*args, **kwargs)
        except Wrong as mistake:
            self.mistakes.append(mistake)


def shown(value: object) -> str:
    """A value as a plan shows it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {shown(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "none"
    return "none" if value is None or value == "" else str(value)
