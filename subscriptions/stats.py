"""The numbers of a profile, and the statistics of a download.

Counting all people for each page view takes too long when they are many. Then the numbers are those of the last count,
and the page says from when it is: see `eligibility.people_counts`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, QuerySet

from integrations.models import IntegrationProfile
from licensehub.ui.lists import counts
from subscriptions.eligibility.people_counts import NEVER, PeopleCounts, band_case, current_counts
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import (
    CandidateState,
    DownloadRun,
    Protection,
    RequestedRemoval,
    RequestState,
    Subscription,
    Verdict,
)
from subscriptions.models.subscription import LEFT_OUT, NEEDS_REVIEW


@dataclass(frozen=True, slots=True)
class ProfileStats:
    """The current numbers of one profile. `paid` are the license types that `purchased` and `assigned` count."""

    paid: tuple[str, ...]
    purchased: int | None
    assigned: int
    members: int
    held: int
    active_lately: int
    inactive: int
    never: int
    never_in_review: int
    review: int
    protected: int
    requests: counts.Count
    requested_people: counts.Count
    attention: counts.Count
    lost_protections: counts.Count
    ending_protections: counts.Count
    by_license: dict[str, int]
    people: PeopleCounts


def profile_stats(profile: IntegrationProfile, run: DownloadRun | None) -> ProfileStats:
    purchased = run.purchased if run else {}
    paid = tuple(sorted(purchased)) or terms_of(profile).licenses
    people = current_counts(profile)
    verdicts, held = people.verdicts, people.held()
    never = people.bands.get(NEVER, Counter())
    open_requests = profile.requests.filter(state=RequestState.OPEN)
    requested_people = RequestedRemoval.objects.not_dropped().filter(request__in=open_requests)
    waiting = counts.capped_each(
        {
            "requests": open_requests,
            "requested_people": requested_people,
            "attention": profile.candidates.filter(state=CandidateState.ATTENTION_REQUIRED),
            "lost_protections": Protection.objects.lost().of(profile.pk),
            "ending_protections": Protection.objects.ending_soon().of(profile.pk),
        }
    )
    return ProfileStats(
        paid=paid,
        purchased=sum(purchased.values()) if purchased else None,
        assigned=sum(held[license] for license in paid),
        members=sum(verdicts.values()) - verdicts.get(Verdict.GONE, 0),
        held=held.total(),
        active_lately=verdicts.get(Verdict.ACTIVE, 0),
        inactive=people.inactive,
        never=never.total(),
        never_in_review=sum(never[verdict] for verdict in NEEDS_REVIEW),
        review=sum(verdicts.get(verdict, 0) for verdict in NEEDS_REVIEW),
        protected=sum(verdicts.get(verdict, 0) for verdict in LEFT_OUT),
        **waiting,
        by_license=dict(sorted(held.items(), key=lambda item: (-item[1], item[0]))),
        people=people,
    )


def run_stats(profile: IntegrationProfile, *, now: datetime) -> dict[str, Any]:
    """The statistics of the people of a profile, as `stats_of` gives them."""
    return stats_of(Subscription.objects.filter(profile=profile, gone_at=None), now=now)


def stats_of(people: QuerySet[Any], *, now: datetime) -> dict[str, Any]:
    """{"members", "active", "by_license": {license: n}, "idle": {"0": n, "30": n, … "360": n}, "never": n,
    "newest_activity": ISO 8601 or None}. `people` are subscriptions or downloaded members.

    `idle` counts the held seats by days since the last activity, in bands that begin with their key. All rows are read
    once, by a statement that groups them into some hundred groups.
    """
    rows = people.annotate(band=band_case(now)).order_by().values_list("active", "license", "band")
    members, idle, by_license, newest = 0, Counter[str](), Counter[str](), []
    for active, license, band, count, latest in rows.annotate(n=Count("pk"), latest=Max("last_activity_at")):
        members += count
        if active:
            by_license[license] += count
            idle[band] += count
            newest += [latest] if latest else []
    never = idle.pop(NEVER, 0)
    return {
        "members": members,
        "active": by_license.total(),
        "by_license": dict(sorted(by_license.items())),
        "idle": dict(idle),
        "never": never,
        "newest_activity": max(newest).isoformat() if newest else None,
    }
