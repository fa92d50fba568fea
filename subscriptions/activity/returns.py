"""Finds when somebody whose seat was reclaimed holds a seat again, by a restore or by hand at the vendor.

A reclaim that was verified has saved its seat until then. The savings subtract it if the seat was bought again soon, or
was taken once more later: a seat is never saved twice at once.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.db.models import Case, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from integrations.models import IntegrationProfile
from licensehub.ui.lists.id_filter import IdIn, IdList
from licensehub.ui.time_zones import company_day
from subscriptions.activity.person_rows import rows_of_person
from subscriptions.models import DownloadRun, Price, Reclaim, ReclaimRule, Subscription
from subscriptions.models.reclaims.reclaim import VERIFIED
from subscriptions.models.subscription import HELD

# A seat that is taken again within this time was not saved.
BOUGHT_AGAIN = timedelta(days=90)
# The row of a reclaim, and the rows that its person got later. Nobody gets more than three within BOUGHT_AGAIN.
ROWS_OF_PERSON = ("pk", "former", "former__former", "former__former__former")
# A verified reclaim counts for a year. One that is older has saved its seat for the whole of it.
COUNTED = timedelta(days=365)


def note_returns(
    profile: IntegrationProfile, *, at: datetime, subscription: int | None = None, license: str = ""
) -> int:
    """Note on each verified reclaim that its person holds a paid seat again since `at`. Returns how many reclaims.

    Looks at all people of the organization, or at one `subscription`, whose `license` may be newer than the row. A
    person who was deleted and made again at the vendor has a new row, which points to the former one, and so has each
    person of a profile that was archived and made again.
    """
    profiles = IntegrationProfile.objects.of_organization(profile)
    # Back on a license that costs nothing, a seat is bought again when the license changes.
    free = _free_licenses(profiles, company_day(at))
    not_bought = Q(back_at=None) | Q(back_license__in=free)
    out = Reclaim.objects.filter(VERIFIED, not_bought, profile__in=profiles)
    if subscription is not None:
        out = out.filter(subscription=subscription)
    held = Subscription.objects.filter(HELD).order_by()
    found_license = Coalesce(
        *(Subquery(held.filter(**{row: OuterRef("subscription")}).values("license")[:1]) for row in ROWS_OF_PERSON)
    )
    paid = _paid_licenses(profile, profiles)
    found = out.annotate(now=found_license).exclude(now=None)
    back = [
        (pk, license or now)
        for pk, now, taken, known in found.values_list("pk", "now", "license", "back_license")
        if ((license or now) in paid or (license or now) == taken) and not (known and (license or now) in free)
    ]
    soon = Case(When(finished_at__gte=at - BOUGHT_AGAIN, then=Value(True)), default=Value(False))
    for name in {name for _, name in back}:
        ids = [pk for pk, held_now in back if held_now == name]
        rows = Reclaim.objects.filter(not_bought, IdIn("pk", IdList.of(ids)))
        rows.update(back_at=at, back_license=name, bought_again=soon)
    return len(back)


def _paid_licenses(profile: IntegrationProfile, profiles: QuerySet[IntegrationProfile]) -> set[str]:
    """The license types that somebody pays for: bought, with a price, or in the rule. On others no seat is held."""
    run = DownloadRun.objects.with_facts().filter(profile=profile).first()
    priced = Price.objects.valid().filter(profile__in=profiles, amount__gt=0).values_list("license", flat=True)
    rules = ReclaimRule.objects.filter(profile=profile).values_list("licenses", flat=True)
    return {*(run.purchased if run else ()), *priced, *(license for words in rules for license in words)}


def _free_licenses(profiles: QuerySet[IntegrationProfile], day: date) -> set[str]:
    """The license types with a price of 0 on this day. Of each, the price that began last holds."""
    begun = Price.objects.valid().filter(profile__in=profiles, valid_from__lte=day).order_by("valid_from", "pk")
    return {license for license, amount in dict(begun.values_list("license", "amount")).items() if not amount}


def note_taken_again(item: Reclaim) -> None:
    """Note that this reclaim took a seat that earlier reclaims of the same person had taken: they save nothing now."""
    rows = rows_of_person(item.subscription)
    earlier = Reclaim.objects.filter(VERIFIED, subscription__in=rows).exclude(pk=item.pk)
    # No download saw that this person was back.
    earlier.filter(back_at=None).update(back_at=item.queued_at, back_license=item.license)
    earlier.filter(finished_at__gt=item.queued_at - COUNTED).update(bought_again=True)
