"""The people of a profile, counted by verdict, license and time since the last activity.

All figures about people come from one such count: tiles, charts, the trend, and the preview of a rule. *Inactive* is
the verdict `candidate` of the saved rule on a held seat.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Case, CharField, Count, F, QuerySet, Sum, Value, When

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.bulk_sql import large_tables
from subscriptions.eligibility.buckets import LastCount, evaluated_at, last_count, newest_buckets
from subscriptions.models import Subscription, Verdict
from subscriptions.models.subscription import SHOWN_VERDICT, TAKES_NO_SEAT

# Up to this many members are counted for each page view.
COUNTED_LIVE = 20_000
BAND_DAYS = 30
BANDS = 12
NEVER = "never"


class Group(NamedTuple):
    """A number of people. `band` is the key of a bar: days since the last activity, or NEVER."""

    verdict: str
    license: str
    band: str
    people: int

    @property
    def held(self) -> bool:
        return self.verdict not in TAKES_NO_SEAT


@dataclass(frozen=True, slots=True)
class PeopleCounts:
    """All people of a profile in groups, as they were at `at`. `live`: they were counted for this page."""

    groups: tuple[Group, ...]
    at: datetime
    live: bool

    @property
    def verdicts(self) -> dict[str, int]:
        """Verdict -> people."""
        found = Counter[str]()
        for group in self.groups:
            found[group.verdict] += group.people
        return dict(found)

    @property
    def inactive(self) -> int:
        return self.verdicts.get(Verdict.CANDIDATE, 0)

    @property
    def bands(self) -> dict[str, Counter[str]]:
        """Band -> verdict -> held seats."""
        found: dict[str, Counter[str]] = {}
        for group in self.groups:
            if group.held:
                found.setdefault(group.band, Counter())[group.verdict] += group.people
        return found

    def held(self) -> Counter[str]:
        """License -> held seats."""
        found = Counter[str]()
        for group in self.groups:
            if group.held:
                found[group.license] += group.people
        return found


def is_large(profile: IntegrationProfile) -> bool:
    """Whether the profile has so many people that no page waits for a statement about all of them."""
    # In the order of the unique index, which alone says whether there is one more: a tenth of the time of the table.
    people = Subscription.objects.filter(profile=profile).order_by("external_id").values_list("external_id")
    return bool(people[COUNTED_LIVE : COUNTED_LIVE + 1])


def current_counts(profile: IntegrationProfile) -> PeopleCounts:
    """The people by the verdicts that are written now; of a large profile, those of the last count."""
    if is_large(profile) and (last := last_count(profile)):
        return _of_buckets(profile, last)
    people = Subscription.objects.filter(profile=profile).annotate(shown=SHOWN_VERDICT)
    with large_tables():
        return PeopleCounts(counted(people, Count("pk"), evaluated_at(profile)), database_now(), live=True)


def last_counts(profile: IntegrationProfile, last: LastCount | None = None) -> PeopleCounts:
    """The same people, from the last count if nothing has changed since: two small statements.

    `last`: the last count, if it is known.
    """
    last = last or last_count(profile)
    return _of_buckets(profile, last) if last and not last.old else current_counts(profile)


def _of_buckets(profile: IntegrationProfile, last: LastCount) -> PeopleCounts:
    rows = newest_buckets(profile).annotate(shown=F("verdict"))
    return PeopleCounts(counted(rows, Sum("people"), last.as_of), last.at, live=False)


def counted(rows: QuerySet[Any], people: Any, as_of: datetime) -> tuple[Group, ...]:
    """Count rows of Subscription or Bucket by the annotation `shown`, which is a verdict."""
    by = rows.annotate(band=band_case(as_of)).order_by().values_list("shown", "license", "band")
    return tuple(Group(*row) for row in by.annotate(number=people))


def band_case(now: datetime) -> Case:
    """The band of a row, by its last activity; NEVER when there was none.

    A band of 30 to 59 days has the people who are idle for more than 30 and for at most 60 days, since a rule with a
    threshold of 60 days finds people who are idle for more than that.
    """
    newest_first = [
        When(last_activity_at__gte=now - timedelta(days=BAND_DAYS * (band + 1)), then=Value(str(BAND_DAYS * band)))
        for band in range(BANDS)
    ]
    never = When(last_activity_at=None, then=Value(NEVER))
    return Case(never, *newest_first, default=Value(str(BAND_DAYS * BANDS)), output_field=CharField())
