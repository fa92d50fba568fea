"""The blast radius: how many people one request may touch, and how many all requests together in 24 hours.

Counted under the lock of the profile's row, so that two processes never both find the last free place. The same
numbers stop a dry run, a request, an approval and a send.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from django.db.models import QuerySet
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.models import (
    Direction,
    HoldReason,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    ReclaimState,
    Subscription,
)

WINDOW = timedelta(hours=24)
# What has touched somebody, or may have.
COUNTED_STATES = (ReclaimState.SENDING, ReclaimState.DONE, ReclaimState.IN_DOUBT)
# In a dry run: of each request (its id) the people who would have been touched already.
Ahead = Counter[int | None]


@dataclass(frozen=True, slots=True)
class Caps:
    """What the rule allows now. `used` are the acts of the last 24 hours, `rolling` how many those may be.

    `seats` are the active licenses in scope of which the percentages are taken: as they were before those acts.
    """

    batch: int
    rolling: int
    used: int
    seats: int

    @property
    def left(self) -> int:
        return max(0, self.rolling - self.used)


def caps_of(profile: IntegrationProfile, *, given_back: int = 0) -> Caps:
    """The caps as the rule has them now. `given_back` are seats that count as if they had not been taken yet."""
    rule = ReclaimRule.objects.get(profile=profile)
    acts = acts_of(profile)
    # Before the seats are counted: who is settled in between counts not at all then, and not twice.
    taken = max(given_back, acts.filter(state=ReclaimState.DONE).count())
    seats = _in_scope(rule).count() + taken
    return Caps(
        batch=_batch(rule, seats),
        rolling=max(1, percent(rule.rolling_cap_percent, seats)),
        used=acts.count(),
        seats=seats,
    )


def batch_of(profile: IntegrationProfile, *, given_back: int = 0) -> int:
    """`Caps.batch` alone. Nothing is counted beyond what makes the people the stricter cap."""
    rule = ReclaimRule.objects.get(profile=profile)
    enough = ceil(rule.batch_cap_people * 100 / max(1, rule.batch_cap_percent))
    done = acts_of(profile).filter(state=ReclaimState.DONE)
    taken = max(given_back, done.order_by()[:enough].count())
    return _batch(rule, _in_scope(rule).order_by()[:enough].count() + taken)


def _batch(rule: ReclaimRule, seats: int) -> int:
    return max(1, min(rule.batch_cap_people, percent(rule.batch_cap_percent, seats)))


def _in_scope(rule: ReclaimRule) -> QuerySet[Subscription]:
    """The active licenses in scope, as they are now."""
    return Subscription.objects.held().filter(profile=rule.profile_id, license__in=rule.licenses)


def percent(share: int, whole: int) -> int:
    """Rounded up: 5 percent of 50 are 3."""
    return ceil(share * whole / 100)


def acts_of(profile: IntegrationProfile) -> QuerySet[Reclaim]:
    """Deactivations of the last 24 hours, done or perhaps done."""
    since = timezone.now() - WINDOW
    rows = Reclaim.objects.filter(profile=profile, direction=Direction.DEACTIVATE, state__in=COUNTED_STATES)
    return rows.filter(sending_at__gt=since)


def allowed(request: ReclaimRequest) -> int:
    """How many people this request may touch: a raised cap is for this one; else the stricter of then and now."""
    if request.cap_raised_by_id:
        return request.cap
    taken = _acts_for(request).filter(state=ReclaimState.DONE).count()
    return min(request.cap, batch_of(request.profile, given_back=taken))


def touched_by(request: ReclaimRequest) -> int:
    """How many people this request has touched, or may have."""
    return _acts_for(request).filter(state__in=COUNTED_STATES).count()


def _acts_for(request: ReclaimRequest) -> QuerySet[Reclaim]:
    """By number: a request that a dry run only supposes has none, and touched nobody."""
    return Reclaim.objects.filter(removal__request=request.pk)


def over(request: ReclaimRequest, people: int) -> str:
    """Why so many people cannot be approved at once; empty when they can."""
    most = allowed(request)
    if people <= most:
        return ""
    name = request if request.pk else "This"
    return (
        f"{name} is for {people} people, and at most {most} may be reclaimed at once. Drop some of them, or "
        "let a further person raise the cap for this request."
    )


def reached(
    profile: IntegrationProfile, request: ReclaimRequest, *, rolling: int, ahead: Ahead | None = None
) -> HoldReason | None:
    """Which cap leaves no room for one more person of this request."""
    before = ahead or Counter()
    if acts_of(profile).count() + before.total() >= rolling:
        return HoldReason.ROLLING_CAP
    if touched_by(request) + before[request.pk] >= allowed(request):
        return HoldReason.BATCH_CAP
    return None


def free_at(profile: IntegrationProfile) -> datetime:
    """When the oldest act leaves the window, and one more person may be touched."""
    oldest = acts_of(profile).order_by("sending_at").values_list("sending_at", flat=True).first()
    return (oldest or timezone.now()) + WINDOW
