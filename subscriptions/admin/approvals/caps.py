"""The caps of a request as meters: what it takes, what is left, and who may raise them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AnonymousUser, User

from subscriptions.approvals.closing import WAITING
from subscriptions.candidates import caps
from subscriptions.models import ReclaimRequest

RAISE = "subscriptions.raise_cap_reclaimrequest"


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
    """`refusal` is why it cannot be approved as it is, `waits` how many would be held by the rolling cap."""

    request: Meter
    day: Meter
    refusal: str
    waits: int
    free_at: datetime | None

    @property
    def within(self) -> bool:
        return not (self.request.over or self.waits)


def cap_status(request: ReclaimRequest, people: int) -> CapStatus:
    """As they are now, for `people` who stand in a request that is not decided."""
    now = caps.caps_of(request.profile)
    most = caps.allowed(request)
    waits = max(0, min(people, now.used + people - now.rolling))
    return CapStatus(
        request=_meter("This request", people, most, "people", before=0),
        day=_meter("Last 24 hours, including this request", now.used + people, now.rolling, "", before=now.used),
        refusal=caps.over(request, people),
        waits=waits,
        free_at=caps.free_at(request.profile) if waits and now.used else None,
    )


def _meter(label: str, count: int, most: int, unit: str, *, before: int) -> Meter:
    whole = max(count, most, 1)
    start = round(100 * before / whole)
    return Meter(label, count, most, unit, before=start, part=max(0, round(100 * count / whole) - start))


def why_not_raise(request: ReclaimRequest, user: User | AnonymousUser) -> str:
    """Why the reader cannot raise the cap of a request that is over it; empty when she may.

    The screen's answer; `approvals.raise_cap` decides again for itself.
    """
    if request.state not in WAITING:
        return "The request no longer waits for a decision."
    if request.requested_by_id == user.pk:
        return "You made this request. Another person has to raise its cap, and a third person has to decide."
    if not user.has_perm(RAISE):
        return "Only an Approver or a Company admin can raise the cap."
    return ""
