"""Count the people of a profile by everything that a rule can read: see `models.Bucket`.

Each evaluation counts everybody into a few thousand buckets. A later change of a verdict, e.g. by a decision, leaves a
`CountDue`, and the sweep counts again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    DateTimeField,
    Exists,
    F,
    IntegerField,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.expressions import Func
from django.db.models.functions import Greatest, Least

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.bulk_sql import insert, large_tables
from subscriptions.eligibility.clauses import CLAUSES
from subscriptions.eligibility.terms import Terms
from subscriptions.models import Bucket, CountDue, ReclaimRule, Subscription
from subscriptions.models.subscription import HAS_ADMIN_ROLE, SHOWN_VERDICT

# A longer grace is rare, and would need a hundred times as many buckets. So it is evaluated for each person.
MAX_GRACE_DAYS = 90
MAX_IDLE_DAYS = 3650
BUCKET_COLUMNS = (
    "verdict",
    "standing",
    "license",
    "idle_since",
    "last_activity_at",
    "license_assigned_at",
    "review_passed",
    "admin_roles",
    "people",
)
GROUP_COLUMNS = ("shown", "standing", "license", "idle", "assigned", "never", "review_passed", "admin")


class WholeDays(Func):
    """The number of days between a moment of the row and `now`, as an integer.

    Only whole days count, so that “less than n days” can be answered. With `begun`, the day that has begun counts as
    well, and one is subtracted, so that “more than n days” can be answered. Both are exact to the microsecond.
    """

    output_field = IntegerField()
    arity = 2

    def as_sql(  # type: ignore[override]  # narrower than Django's
        self, compiler: Any, connection: Any, **extra: Any
    ) -> tuple[str, Any]:
        (now, first), (moment, second) = (compiler.compile(part) for part in self.source_expressions)
        return whole_days(connection.vendor, now, moment, begun=self.extra["begun"]), (*first, *second)


def whole_days(vendor: str, now: str, moment: str, *, begun: bool) -> str:
    """The SQL of `WholeDays`. `now` and `moment` are SQL, too; `vendor` is the one of the database."""
    if vendor == "postgresql":
        days = f"DATE_PART('epoch', {now}::timestamptz - {moment}) / 86400"
    else:
        days = f"django_timestamp_diff({now}, {moment}) / 86400000000.0"
    return f"CAST({f'CEIL({days}) - 1' if begun else f'FLOOR({days})'} AS integer)"


def note_change(profile_id: int) -> None:
    """Note that facts or verdicts changed after the last count, in the transaction that changes them."""
    CountDue.objects.create(profile_id=profile_id)


class LastCount(NamedTuple):
    """The moment of the last counts and verdicts of everybody, and whether facts or verdicts changed after that."""

    at: datetime
    as_of: datetime
    old: bool


def last_count(profile: IntegrationProfile) -> LastCount | None:
    """None before the first count."""
    changed = Exists(CountDue.objects.filter(profile=profile))
    counts = Bucket.objects.filter(profile=profile).order_by("-counted_at")
    found = counts.values_list("counted_at", "as_of", changed).first()
    return LastCount(*found) if found else None


def newest_buckets(profile: IntegrationProfile) -> QuerySet[Bucket]:
    """The buckets of the last count."""
    mine = Bucket.objects.filter(profile=profile)
    return mine.filter(counted_at=mine.order_by("-counted_at").values("counted_at")[:1])


def profiles_to_count() -> list[int]:
    """Ids of the profiles whose people have to be counted again."""
    due = CountDue.objects.filter(profile__in=IntegrationProfile.objects.in_use())
    return sorted(due.order_by().values_list("profile_id", flat=True).distinct())


def evaluated_at(profile: IntegrationProfile) -> datetime:
    """The moment of the last evaluation of everybody; now, before the first one."""
    found = ReclaimRule.objects.filter(profile=profile).values_list("evaluated_at", flat=True).first()
    return found or database_now()


def count_buckets(profile: IntegrationProfile) -> int:
    """Count the people of the profile again, as they are now. Returns how many buckets they make.

    Two processes may count at the same time: each writes a count of its own, and the newest one is read.
    """
    with large_tables():
        # Read first: what commits after this is due again.
        due = list(CountDue.objects.filter(profile=profile).values_list("pk", flat=True))
        now, as_of = database_now(), evaluated_at(profile)
        people: QuerySet[Any] = Subscription.objects.filter(profile=profile).order_by()
        counted = people.annotate(**_group_columns(as_of)).values_list(*GROUP_COLUMNS).annotate(people=Count("pk"))
        buckets = [_bucket(as_of, *row) for row in counted]
        same = {"profile_id": profile.pk, "counted_at": now, "as_of": as_of}
        Bucket.objects.filter(profile=profile, counted_at__lte=now).delete()
        insert(Bucket, BUCKET_COLUMNS, buckets, same)
        CountDue.objects.filter(pk__in=due).delete()
    return len(buckets)


def _group_columns(now: datetime) -> dict[str, Case]:
    """The values by which people are counted: the verdict, and all that a clause can read.

    A moment after `now` counts as the day before.
    """
    # Any terms are right, since these clauses do not read them.
    terms = Terms.of(ReclaimRule())
    fixed_clauses = [clause for clause in CLAUSES if not clause.reads_terms]
    return {
        "shown": SHOWN_VERDICT,
        "standing": Case(
            *(When(clause.when(terms, now), Value(clause.verdict.value)) for clause in fixed_clauses),
            default=Value(""),
            output_field=CharField(),
        ),
        "idle": _days("idle_since", now, begun=True, limit=MAX_IDLE_DAYS),
        "assigned": _days("license_assigned_at", now, begun=False, limit=MAX_GRACE_DAYS),
        "admin": Case(When(HAS_ADMIN_ROLE, then=Value("has")), default=Value(""), output_field=CharField()),
        "never": Case(
            When(Q(last_activity_at=None), then=Value(True)), default=Value(False), output_field=BooleanField()
        ),
    }


def _days(column: str, now: datetime, *, begun: bool, limit: int) -> Case:
    days = WholeDays(Value(now, output_field=DateTimeField()), F(column), begun=begun)
    bounded = Least(Greatest(days, Value(-1)), Value(limit))
    return Case(When(**{column: None}, then=Value(None)), default=bounded, output_field=IntegerField())


def _bucket(
    now: datetime,
    verdict: str,
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
    return verdict, standing, license, idle_since, last_activity_at, assigned_at, review_passed, admin, people
