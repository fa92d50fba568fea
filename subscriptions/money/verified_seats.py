"""The verified reclaims of the days that have ended, counted by license type and day.

A verified reclaim keeps its license type and the moment at which it was verified, which is the moment when that is
written. So these counts stay right, and no later action has to correct them. Pages add the rows that were verified
since. All is counted anew after each download and every night.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.db.models.functions import TruncDay
from django.utils import timezone

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.ui.time_zones import company_day, company_midnight
from subscriptions.bulk_sql import large_tables
from subscriptions.models import Reclaim, VerifiedSeats
from subscriptions.models.reclaims.reclaim import VERIFIED

# After this time, no transaction can still write a moment of the day, also not with a slow clock.
LATE = timedelta(hours=1)


def count_verified(profile: IntegrationProfile) -> int:
    """Count the ended days of a profile again. Returns how many reclaims they have."""
    until = company_midnight(company_day(database_now() - LATE))
    day = TruncDay("finished_at", tzinfo=timezone.get_default_timezone())
    ended = Reclaim.objects.filter(VERIFIED, profile=profile, finished_at__lt=until).order_by()
    with large_tables():
        # Two processes that count at once write the same rows, one after the other.
        IntegrationProfile.objects.select_for_update().get(pk=profile.pk)
        counted = ended.annotate(day=day).values_list("day", "license")
        rows = [
            VerifiedSeats(profile=profile, day=at, license=license, seats=seats, until=until)
            for at, license, seats in counted.annotate(seats=Count("pk"))
        ]
        # A row with 0 seats says that nothing was there to count until this moment.
        mark = VerifiedSeats(profile=profile, day=until, license="", seats=0, until=until)
        VerifiedSeats.objects.filter(profile=profile).delete()
        VerifiedSeats.objects.bulk_create([*rows, mark])
    return sum(row.seats for row in rows)


def count_all_verified() -> None:
    for profile in IntegrationProfile.objects.all():
        count_verified(profile)


def not_counted(profiles: Iterable[int], until: Mapping[int, datetime]) -> Q:
    """A condition on reclaims of these profiles: they were verified later. `until` has those that are counted."""
    never = [pk for pk in profiles if pk not in until]
    each = [Q(profile=pk, finished_at__gte=moment) for pk, moment in until.items()]
    found = Q(Q(profile__in=never), *each, _connector=Q.OR)
    # The second condition lets the database use the index.
    return found if never else found & Q(finished_at__gte=min(until.values(), default=database_now()))
