"""The caps of a request as meters: what the request takes, and what is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from subscriptions.candidates import caps
from subscriptions.models import Direction, ReclaimRequest
from subscriptions.models.reclaims.request import WAITING


@dataclass(frozen=True, slots=True)
class Meter:
    """`before` and `part` are percent of the whole bar, for the drawing."""

    label: str
    count: int
    most: int
    unit: str
    before: int
    part: int

    @property
    def over(self) -> bool:
        return self.count > self.most

    @property
    def tone(self) -> str:
        return "warning" if self.over else "primary"


@dataclass(frozen=True, slots=True)
class CapStatus:
    """`refusal`: why the request cannot be approved as it is. `waits`: how many people the rolling cap would hold."""

    request: Meter
    day: Meter
    refusal: str
    waits: int
    free_at: datetime | None

    @property
    def within(self) -> bool:
        return not (self.request.over or self.waits)


def cap_status(request: ReclaimRequest, people: int) -> CapStatus | None:
    """The caps as they are now, for `people` in the request. None for a decided request and for a restore."""
    if request.state not in WAITING or request.direction == Direction.REACTIVATE:
        return None
    now = caps.caps_of(request.profile)
    most = caps.allowed(request)
    waits = max(0, min(people, now.used + people - now.rolling))
    return CapStatus(
        request=_meter(_("This request"), people, most, "people", before=0),
        day=_meter(_("Last 24 hours, including this request"), now.used + people, now.rolling, "", before=now.used),
        refusal=caps.over(request, people, most=most),
        waits=waits,
        free_at=caps.free_at(request.profile) if waits and now.used else None,
    )


def _meter(label: str, count: int, most: int, unit: str, *, before: int) -> Meter:
    whole = max(count, most, 1)
    start = round(100 * before / whole)
    return Meter(label, count, most, unit, before=start, part=max(0, round(100 * count / whole) - start))
