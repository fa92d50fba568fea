"""Preview a reclaim rule: how many people would have which verdict, without evaluating each of them again.

Each evaluation counts people once, by license and whole days, into a few thousand buckets: see `models.Bucket`. The
clauses that depend on a rule are then evaluated for the buckets. This gives the same numbers as an evaluation of
everybody at that moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    DateTimeField,
    F,
    IntegerField,
    Max,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.expressions import Func
from django.db.models.functions import Greatest, Least
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.bulk_sql import insert, large_tables
from subscriptions.eligibility.clauses import CLAUSES, Clause, verdict_case
from subscriptions.eligibility.terms import Terms
from subscriptions.models import Bucket, ReclaimRule, Subscription, Verdict
from subscriptions.models.subscription import HAS_ADMIN_ROLE

# A longer grace is rare, and would need a hundred times as many buckets. So it is evaluated for each person.
MAX_GRACE_DAYS = 90
MAX_IDLE_DAYS = 3650
BUCKET_COLUMNS = (
    "standing",
    "license",
    "idle_since",
    "last_activity_at",
    "license_assigned_at",
    "review_passed",
    "admin_roles",
    "people",
)


class WholeDays(Func):
    """The number of days between a moment of the row and `now`, as an integer.

    Only whole days count, so that “less than n days” can be answered. With `begun`, the day that has begun counts as
    well, and one is subtracted, so that “more than n days” can be answered. Both are exact to the microsecond.
    """

    output_field = IntegerField()
    arity = 2

    def as_sql(  # type: ignore[override]
        self, compiler: Any, connection: Any, **extra: Any
    ) -> tuple[str, Any]:
        (now, first), (moment, second) = (compiler.compile(part) for part in self.source_expressions)
        if connection.vendor == "postgresql":
            days = f"DATE_PART('epoch', {now}::timestamptz - {moment}) / 86400"
        else:
            days = f"django_timestamp_diff({now}, {moment}) / 86400000000.0"
        rounded = f"CEIL({days}) - 1" if self.extra["begun"] else f"FLOOR({days})"
        return f"CAST({rounded} AS integer)", (*first, *second)


@dataclass(frozen=True, slots=True)
class Preview:
    """The number of people by verdict, as of `at`, which is None while nobody was counted yet."""

    verdicts: dict[str, int]
    at: datetime | None

    @property
    def everybody(self) -> int:
        return sum(self.verdicts.values())


def preview_rule(profile: IntegrationProfile, terms: Terms) -> Preview:
    """The verdicts of the profile's people by these terms; nothing is written."""
    buckets = Bucket.objects.filter(profile=profile)
    at = buckets.aggregate(at=Max("counted_at"))["at"]
    if at is None or terms.grace > MAX_GRACE_DAYS:
        everybody = Subscription.objects.filter(profile=profile)
        evaluated: QuerySet[Any] = everybody.annotate(evaluated=verdict_case(terms, timezone.now()))
        with large_tables():
            return Preview(_by_verdict(evaluated, Count("pk")), at)
    # `standing` has the verdict of the clauses that do not read the terms, from when the buckets were counted.
    whens = [
        When(clause.when(terms, at) if clause.reads_terms else Q(standing=clause.verdict.value), _verdict_of(clause))
        for clause in CLAUSES
    ]
    case = Case(*whens, default=Value(Verdict.CANDIDATE.value))
    return Preview(_by_verdict(buckets.annotate(evaluated=case), Sum("people")), at)


def _by_verdict(evaluated: QuerySet[Any], people: Any) -> dict[str, int]:
    return dict(evaluated.order_by().values_list("evaluated").annotate(people=people))


def _verdict_of(clause: Clause) -> Value:
    return Value(clause.verdict.value)


def count_buckets(profile: IntegrationProfile) -> int:
    """Count the people of the profile again, as they are now. Returns how many buckets they make."""
    now = timezone.now()
    people: QuerySet[Any] = Subscription.objects.filter(profile=profile).order_by().annotate(**_group_columns(now))
    columns = ("standing", "license", "idle", "assigned", "never", "review_passed", "admin")
    counted = people.values_list(*columns).annotate(people=Count("pk"))
    with large_tables():
        buckets = [_bucket(now, *row) for row in counted]
        Bucket.objects.filter(profile=profile).delete()
        insert(Bucket, BUCKET_COLUMNS, buckets, {"profile_id": profile.pk, "counted_at": now})
    return len(buckets)


def _group_columns(now: datetime) -> dict[str, Case]:
    """The values by which people are counted, which are all that a clause can read.

    A future moment counts as the day before today.
    """
    # Any terms are right, since these clauses do not read them.
    terms = Terms.of(ReclaimRule())
    fixed_clauses = [clause for clause in CLAUSES if not clause.reads_terms]
    return {
        "standing": Case(
            *(When(clause.when(terms, now), _verdict_of(clause)) for clause in fixed_clauses),
            default=Value(""),
            output_field=CharField(),
        ),
        "idle": _days("idle_since", now, begun=True, limit=MAX_IDLE_DAYS),
        "assigned": _days("license_assigned_at", now, begun=False, limit=MAX_GRACE_DAYS),
        "admin": Case(When(HAS_ADMIN_ROLE, then=Value("has")), default=Value(""), output_field=CharField()),
        "never": Case(When(last_activity_at=None, then=Value(True)), default=Value(False), output_field=BooleanField()),
    }


def _days(column: str, now: datetime, *, begun: bool, limit: int) -> Case:
    days = WholeDays(Value(now, output_field=DateTimeField()), F(column), begun=begun)
    bounded = Least(Greatest(days, Value(-1)), Value(limit))
    return Case(When(**{column: None}, then=Value(None)), default=bounded, output_field=IntegerField())


def _bucket(
    now: datetime,
    standing: str,
    license: str,
    idle: int | None,
    assigned: int | None,
    never: bool,
    review_passed: bool,
    admin: str,
    people: int,
) -> tuple[Any, ...]:
    """The values of one bucket, in the order of BUCKET_COLUMNS. Each moment is the middle of its day."""
    idle_since = None if idle is None else now - timedelta(days=idle + 0.5)
    last_activity_at = None if never else idle_since
    assigned_at = None if assigned is None else now - timedelta(days=assigned + 0.5)
    return standing, license, idle_since, last_activity_at, assigned_at, review_passed, admin, people
