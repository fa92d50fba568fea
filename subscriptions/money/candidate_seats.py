"""The candidates of large profiles, counted by state and license type in each minute.

To count a hundred thousand rows for each view of the overview would take a seventh of its time. The page *Savings*
counts the rows themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import timedelta

from django.db import transaction
from django.db.models import Count

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.eligibility.people_counts import is_large
from subscriptions.models import CandidateSeats, CandidateState, RemovalCandidate
from subscriptions.models.reclaims.candidate import WITHDRAWABLE

COUNTED_STATES = (*WITHDRAWABLE, CandidateState.AWAITING_REVOCATION)
# An older count is not shown: the sweep has stopped, or the profile is not large any more.
SHOWN_FOR = timedelta(minutes=5)


def count_all_candidates() -> None:
    for profile in IntegrationProfile.objects.in_use():
        if is_large(profile):
            count_candidates(profile)


def count_candidates(profile: IntegrationProfile) -> None:
    """Two processes may count at the same time: each writes a count of its own, and the newest one is read."""
    now = database_now()
    candidates = RemovalCandidate.objects.filter(profile=profile, state__in=COUNTED_STATES).order_by()
    counted = candidates.values_list("state", "license").annotate(seats=Count("*"))
    rows = [
        CandidateSeats(profile=profile, state=state, license=license or "", seats=seats, counted_at=now)
        for state, license, seats in counted
    ]
    with transaction.atomic():
        CandidateSeats.objects.filter(profile=profile, counted_at__lte=now).delete()
        CandidateSeats.objects.bulk_create(rows)


def last_counts(profiles: Collection[int]) -> dict[int, list[tuple[str, str, int]]]:
    """Profile id -> state, license and seats, for those of these profiles that were counted lately and have any."""
    recent = CandidateSeats.objects.filter(profile__in=profiles, counted_at__gte=database_now() - SHOWN_FOR)
    found: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
    newest: dict[int, object] = {}
    for row in recent.order_by("-counted_at"):
        if newest.setdefault(row.profile_id, row.counted_at) == row.counted_at:
            found[row.profile_id].append((row.state, row.license, row.seats))
    return dict(found)
