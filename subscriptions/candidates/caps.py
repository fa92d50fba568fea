"""The caps: how many people one request may reclaim, and how many all requests together in 24 hours.

They are counted under the lock of the profile's row, so that two processes never both take the last free place. The
same numbers are used in a dry run, a request, an approval and a send.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.models import (
    Direction,
    HoldReason,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    ReclaimState,
    RequestedRemoval,
    Subscription,
)

WINDOW = timedelta(hours=24)
# States in which somebody was deactivated, or may have been.
COUNTED_STATES = (ReclaimState.SENDING, ReclaimState.DONE, ReclaimState.IN_DOUBT)
# How many people a dry run would send before the next one, by the id of their request.
Ahead = Counter[int | None]


@dataclass(frozen=True, slots=True)
class Caps:
    """The caps that the rule sets now. `used`: deactivations of the last 24 hours; `rolling`: how many are allowed.

    `seats`: the active licenses in scope from which the percentages are taken, as they were before those deactivations.
    """

    batch: int
    rolling: int
    used: int
    seats: int

    @property
    def left(self) -> int:
        return max(0, self.rolling - self.used)


def caps_of(profile: IntegrationProfile, *, given_back: int = 0) -> Caps:
    """The caps by the current rule. `given_back`: seats that count as if they had not been reclaimed."""
    rule = ReclaimRule.objects.get(profile=profile)
    # Counted before the seats: an item that ends between the two counts is then not counted, and never twice.
    counted = deactivations_of(profile).aggregate(used=Count("pk"), done=Count("pk", filter=Q(state=ReclaimState.DONE)))
    taken = max(given_back, counted["done"])
    seats = _in_scope(rule).count() + taken
    return Caps(
        batch=_batch(rule, seats),
        rolling=max(1, percent(rule.rolling_cap_percent, seats)),
        used=counted["used"],
        seats=seats,
    )


def batch_of(profile: IntegrationProfile, *, given_back: int = 0) -> int:
    """`Caps.batch` alone. It stops counting where the cap in people becomes the stricter one."""
    rule = ReclaimRule.objects.get(profile=profile)
    enough = ceil(rule.batch_cap_people * 100 / max(1, rule.batch_cap_percent))
    done = deactivations_of(profile).filter(state=ReclaimState.DONE)
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


def deactivations_of(profile: IntegrationProfile) -> QuerySet[Reclaim]:
    """Deactivations of the last 24 hours that are done, or may be.

    All profiles of the organization count: an archived one may have sent some of them.
    """
    since = database_now() - WINDOW
    profiles = list(IntegrationProfile.objects.of_organization(profile).values_list("pk", flat=True))
    rows = Reclaim.objects.filter(profile__in=profiles, direction=Direction.DEACTIVATE, state__in=COUNTED_STATES)
    return rows.filter(sending_at__gt=since)


def allowed(request: ReclaimRequest) -> int:
    """Return how many people it may reclaim: its raised cap, else the lower of its cap and the current one."""
    if request.cap_raised_by_id:
        return request.cap
    taken = _reclaims_of(request).filter(state=ReclaimState.DONE).count()
    return min(request.cap, batch_of(request.profile, given_back=taken))


def touched_by(request: ReclaimRequest) -> int:
    """Return how many people of this request were deactivated, or may have been."""
    return _reclaims_of(request).filter(state__in=COUNTED_STATES).count()


def _reclaims_of(request: ReclaimRequest) -> QuerySet[Reclaim]:
    """Selected by primary key: the request of a dry run has none, so it has no items."""
    people = IdList.read(RequestedRemoval.objects.filter(request=request.pk).order_by())
    return Reclaim.objects.filter(IdIn("removal", people))


def over(request: ReclaimRequest, people: int, *, most: int | None = None) -> str:
    """Return why so many people cannot be approved at once; empty when they can. `most`: what `allowed` just found."""
    most = allowed(request) if most is None else most
    if people <= most:
        return ""
    return _(
        "{request} is for {people} people, and at most {most} may be reclaimed at once. Drop some of them, or let "
        "another person raise the cap of this request."
    ).format(request=request if request.pk else _("This"), people=people, most=most)


def reached(
    profile: IntegrationProfile, request: ReclaimRequest, *, rolling: int, ahead: Ahead | None = None
) -> HoldReason | None:
    """The cap that is reached for this request, or None."""
    before = ahead or Counter()
    if deactivations_of(profile).count() + before.total() >= rolling:
        return HoldReason.ROLLING_CAP
    if touched_by(request) + before[request.pk] >= allowed(request):
        return HoldReason.BATCH_CAP
    return None


def free_at(profile: IntegrationProfile) -> datetime:
    """Return when the oldest deactivation is more than 24 hours ago, so that one more is allowed."""
    oldest = deactivations_of(profile).order_by("sending_at").values_list("sending_at", flat=True).first()
    return (oldest or database_now()) + WINDOW
