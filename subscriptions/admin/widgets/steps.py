"""One step of a timeline, for the template `admin/subscriptions/steps.html`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """`tone` as for a badge, or "pending" for a step that is not reached: it has no date and is drawn faintly."""

    title: str
    icon: str
    when: str = ""
    detail: str = ""
    tone: str = "neutral"
    url: str = ""

    @property
    def reached(self) -> bool:
        return self.tone != "pending"
