"""The numbers of a profile. Each is counted by the same filter that the list behind it uses.

Counting all people for each page view takes too long when they are many. Then the numbers are those of the last
download, and the page says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, CharField, Count, Max, Q, QuerySet, Value, When

from integrations.models import IntegrationProfile
from licensehub.ui.lists import counts
from subscriptions.bulk_sql import large_tables
from subscriptions.eligibility.preview import preview_rule
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import DownloadRun, RequestedRemoval, RequestState, Subscription, Verdict
from subscriptions.models.subscription import HELD, LEFT_OUT, NEEDS_REVIEW, NEVER_ACTIVE

# Up to this many members are counted for each page view.
COUNTED_LIVE = 20_000


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
    requests: int
    requested_people: counts.Count
    by_license: dict[str, int]
    # Whether the numbers of people are counted now, or are those of the last download.
    live: bool


def profile_stats(profile: IntegrationProfile, run: DownloadRun | None) -> ProfileStats:
    purchased = run.purchased if run else {}
    paid = tuple(sorted(purchased)) or terms_of(profile).licenses
    live = run is None or run.read <= COUNTED_LIVE or not run.stats
    people = _counts(profile, paid) if live or run is None else _of_the_run(profile, run, paid)
    open_requests = profile.requests.filter(state=RequestState.OPEN)
    return ProfileStats(
        paid=paid,
        purchased=sum(purchased.values()) if purchased else None,
        live=live,
        requests=open_requests.count(),
        requested_people=counts.capped(RequestedRemoval.objects.not_dropped().filter(request__in=open_requests)),
        **people,
    )


def _counts(profile: IntegrationProfile, paid: tuple[str, ...]) -> dict[str, Any]:
    with large_tables():
        seats = Subscription.objects.filter(profile=profile).aggregate(
            members=Count("pk", filter=Q(gone_at=None)),
            held=Count("pk", filter=HELD),
            assigned=Count("pk", filter=HELD & Q(license__in=paid)),
            active_lately=Count("pk", filter=Q(evaluation__verdict=Verdict.ACTIVE)),
            inactive=Count("pk", filter=Q(evaluation__verdict=Verdict.CANDIDATE)),
            never=Count("pk", filter=NEVER_ACTIVE),
            never_in_review=Count("pk", filter=Q(evaluation__verdict=Verdict.NEVER_ACTIVE)),
            review=Count("pk", filter=Q(evaluation__verdict__in=NEEDS_REVIEW)),
            protected=Count("pk", filter=Q(evaluation__verdict__in=LEFT_OUT)),
        )
    return {**seats, "by_license": by_license(profile)}


def _of_the_run(profile: IntegrationProfile, run: DownloadRun, paid: tuple[str, ...]) -> dict[str, Any]:
    """The same numbers, from the statistics of the run and from the buckets counted right after it."""
    verdicts = preview_rule(profile, terms_of(profile)).verdicts
    licenses = sorted(run.stats["by_license"].items(), key=lambda item: (-item[1], item[0]))
    return {
        "members": run.stats["members"],
        "held": run.stats["active"],
        "assigned": sum(count for license, count in licenses if license in paid),
        "active_lately": verdicts.get(Verdict.ACTIVE, 0),
        "inactive": verdicts.get(Verdict.CANDIDATE, 0),
        "never": run.stats["never"],
        "never_in_review": verdicts.get(Verdict.NEVER_ACTIVE, 0),
        "review": sum(verdicts.get(verdict, 0) for verdict in NEEDS_REVIEW),
        "protected": sum(verdicts.get(verdict, 0) for verdict in LEFT_OUT),
        "by_license": dict(licenses),
    }


def by_license(profile: IntegrationProfile) -> dict[str, int]:
    """Held seats of each license type, the largest first."""
    held = Subscription.objects.filter(profile=profile).held().order_by()
    counted = held.values_list("license").annotate(n=Count("pk")).order_by("-n", "license")
    return dict(counted)


BAND_DAYS = 30
BANDS = 12
NEVER = "never"


def run_stats(profile: IntegrationProfile, *, now: datetime) -> dict[str, Any]:
    """The statistics of the people of a profile, as `stats_of` gives them."""
    return stats_of(Subscription.objects.filter(profile=profile, gone_at=None), now=now)


def stats_of(people: QuerySet[Any], *, now: datetime) -> dict[str, Any]:
    """{"members", "active", "by_license": {license: n}, "idle": {"0": n, "30": n, … "360": n}, "never": n,
    "newest_activity": ISO 8601 or None}. `people` are subscriptions or downloaded members.

    `idle` counts the held seats by days since the last activity, in bands that begin with their key. All rows are read
    once, by a statement that groups them into some hundred groups.
    """
    rows = people.annotate(band=_band(now)).order_by().values_list("active", "license", "band")
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


def _band(now: datetime) -> Case:
    """The band of a row, by its last activity; NEVER when there was none."""
    newest_first = [
        When(
            last_activity_at__gt=now - timedelta(days=BAND_DAYS * (band + 1)),
            then=Value(str(BAND_DAYS * band)),
        )
        for band in range(BANDS)
    ]
    never = When(last_activity_at=None, then=Value(NEVER))
    return Case(never, *newest_first, default=Value(str(BAND_DAYS * BANDS)), output_field=CharField())
