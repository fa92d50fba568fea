"""Count the people who would have come back, if a rule had been in force 30, 60 and 90 days ago.

Each download counts them for all rules, from our own history. The count uses the facts that were known when a download
of that time was complete. These people and facts count:

- Everybody whom that download knew, and who held a seat then. People who were first seen later are left out.
- License, dates and protections are those of that time. An earlier activity that only a later download found counts,
  too, since LicenseHub looks again before each send.
- Roles, admin roles and whether the vendor lets us remove somebody are those of today: their past is not kept.
- Cool-downs are left out, since they only delay. People who needed a review were not candidates.

A person came back who was active after that moment, got the reclaimed seat back, or was deleted, made again and is
active. If a seat was reclaimed meanwhile and its person did none of this, nobody can know: that person is counted
apart. People who left the organization, or whom somebody else deactivated, did not come back.

"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, Case, CharField, Count, Max, Min, Q, QuerySet, Sum, Value, When

from integrations.connectors.contract import UNKNOWN_WORDS
from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.activity.retention import thinned_before
from subscriptions.activity.snapshots import oldest_of
from subscriptions.bulk_sql import fetch_all, insert, large_tables
from subscriptions.eligibility.buckets import MAX_GRACE_DAYS, MAX_IDLE_DAYS, whole_days
from subscriptions.eligibility.clauses import CLAUSES
from subscriptions.eligibility.terms import Terms
from subscriptions.models import DownloadRun, PastBucket, Protection, Subscription
from subscriptions.models.snapshot import NEVER
from subscriptions.models.subscription import HAS_ADMIN_ROLE

DAYS_AGO = (30, 60, 90)
COLUMNS = (
    "license",
    "idle_since",
    "last_activity_at",
    "license_assigned_at",
    "admin_roles",
    "people",
    "came_back",
    "reclaimed",
)
CHANGED = ("license", "license_assigned_at", "active", "gone")
# `s` has the rows of the people. Only names of our own columns replace the braces.
COUNT_PAST = """
WITH replaced AS (
    SELECT a.subscription_id, r.finished_at AS at, a.last_activity_at, {of_runs}
      FROM subscriptions_activitysnapshot AS a JOIN subscriptions_downloadrun AS r ON r.id = a.run_id
     WHERE r.profile_id = %s AND r.finished_at > %s
     UNION ALL
    SELECT b.subscription_id, b.seen_at, b.last_activity_at, {between}
      FROM subscriptions_rechecksnapshot AS b JOIN subscriptions_subscription AS p ON p.id = b.subscription_id
     WHERE p.profile_id = %s AND b.seen_at > %s),
activity AS (
    SELECT subscription_id, MAX(last_activity_at) AS newest,
           MAX(CASE WHEN last_activity_at <= %s THEN last_activity_at END) AS until_then
      FROM replaced GROUP BY subscription_id),
-- Few people change anything but their activity.
others AS (
    SELECT DISTINCT subscription_id, {oldest}
      FROM replaced
     WHERE license IS NOT NULL OR license_assigned_at IS NOT NULL OR active IS NOT NULL OR gone IS NOT NULL),
known AS (
    SELECT s.id, s.admin, COALESCE(o.license, s.license) AS license,
           COALESCE(o.license_assigned_at, s.license_assigned_at) AS assigned_at,
           a.until_then AS one, CASE WHEN s.last_activity_at <= %s THEN s.last_activity_at END AS other,
           COALESCE(a.newest > %s, FALSE) OR COALESCE(s.last_activity_at > %s, FALSE) AS active_since
      FROM ({people}) AS s LEFT JOIN activity AS a ON a.subscription_id = s.id
                           LEFT JOIN others AS o ON o.subscription_id = s.id
     WHERE COALESCE(o.active, s.active) AND NOT COALESCE(o.gone, s.gone)),
latest AS (
    SELECT id, admin, license, CASE WHEN assigned_at <> %s THEN assigned_at END AS assigned_at,
           CASE WHEN one IS NULL OR other > one THEN other ELSE one END AS last_at, active_since
      FROM known
     -- Without a date until then, but with a newer one, the newest date of that time was later than the download.
     WHERE NOT (one IS NULL AND other IS NULL AND active_since)),
dated AS (
    SELECT id, admin, license, assigned_at, last_at = %s OR last_at IS NULL AS never, active_since,
           CASE WHEN last_at IS NULL OR last_at = %s THEN assigned_at ELSE last_at END AS idle_since
      FROM latest),
people AS (
    SELECT id, license, never, admin, {idle} AS idle,
           CASE WHEN assigned_at IS NOT NULL THEN {assigned} END AS assigned,
           active_since
           OR id IN (SELECT subscription_id FROM subscriptions_reclaim
                      WHERE direction = 'deactivate' AND state = 'done' AND back_at > %s)
           OR id IN (SELECT former_id FROM subscriptions_subscription
                      WHERE former_id IS NOT NULL AND last_activity_at > %s) AS back,
           id IN (SELECT subscription_id FROM subscriptions_reclaim
                   WHERE direction = 'deactivate' AND state = 'done' AND finished_at > %s) AS taken
      FROM dated WHERE idle_since IS NOT NULL)
SELECT license, CASE WHEN idle > {most_idle} THEN {most_idle} ELSE idle END AS idle_days, never,
       CASE WHEN assigned < -1 THEN -1 WHEN assigned > {most_grace} THEN {most_grace} ELSE assigned END
       AS assigned_days, admin, COUNT(*),
       SUM(CASE WHEN back THEN 1 ELSE 0 END), SUM(CASE WHEN taken AND NOT back THEN 1 ELSE 0 END)
  FROM people WHERE idle >= 0
 GROUP BY license, idle_days, never, assigned_days, admin
"""


@dataclass(frozen=True, slots=True)
class Past:
    """The count for one moment: `people` would have been reclaimed after the download at `moment`; `came_back` of them
    did.

    `reclaimed` is the number of people who were reclaimed meanwhile and did not come back. They are not in `people`.
    """

    days: int
    moment: datetime
    people: int
    came_back: int
    reclaimed: int

    @property
    def percent(self) -> int:
        return round(100 * self.came_back / self.people) if self.people else 0


@dataclass(frozen=True, slots=True)
class History:
    """The known moments, the newest first. There are `runs` complete downloads since `since`; None without any."""

    past: tuple[Past, ...]
    since: datetime | None
    runs: int


def count_past(profile: IntegrationProfile) -> int:
    """Count the people of the past again, after a download. Returns how many buckets they make."""
    now, written = database_now(), 0
    with large_tables():
        PastBucket.objects.filter(profile=profile).delete()
        for days, moment in _moments(profile, now).items():
            counted = _counted(profile, moment)
            buckets = [_bucket(now, *row) for row in counted if row[0] not in UNKNOWN_WORDS]
            same = {"profile_id": profile.pk, "counted_at": now, "days": days, "moment": moment}
            insert(PastBucket, COLUMNS, buckets, same)
            written += len(buckets)
    return written


def _moments(profile: IntegrationProfile, now: datetime) -> dict[int, datetime]:
    """Days ago -> the end of the last complete download before that time; no entry where the history is thinned.

    Two times without a download in between have the same moment.
    """
    complete = DownloadRun.objects.complete().filter(profile=profile)
    exact = thinned_before(profile)
    found = {}
    for days in DAYS_AGO:
        moment = complete.filter(finished_at__lte=now - timedelta(days=days)).aggregate(last=Max("finished_at"))["last"]
        if moment and (exact is None or moment >= exact):
            found[days] = moment
    return found


def _counted(profile: IntegrationProfile, moment: datetime) -> list[tuple[Any, ...]]:
    vendor = connection.vendor
    try:
        people, parameters = _people(profile, moment).query.sql_with_params()
    except EmptyResultSet:
        return []
    statement = COUNT_PAST.format(
        of_runs=", ".join(f"a.{column}" for column in CHANGED),
        between=", ".join(f"b.{column}" for column in CHANGED),
        oldest=", ".join(f"{oldest_of(column)} AS {column}" for column in CHANGED),
        people=people,
        idle=whole_days(vendor, "%s", "idle_since", begun=True),
        assigned=whole_days(vendor, "%s", "assigned_at", begun=False),
        most_idle=MAX_IDLE_DAYS,
        most_grace=MAX_GRACE_DAYS,
    )
    before = [profile.pk, moment, profile.pk, moment, *[moment] * 4]
    return fetch_all(statement, [*before, *parameters, NEVER, NEVER, NEVER, *[moment] * 5])


def _people(profile: IntegrationProfile, moment: datetime) -> QuerySet[Any]:
    """The people whom a download of that time knew, who were not protected then, and who are removable."""
    rows = Subscription.objects.filter(profile=profile, first_run__finished_at__lte=moment).order_by()
    rows = rows.filter(reclaimable=True, sole_admin_of="").exclude(role__in=UNKNOWN_WORDS)
    named: QuerySet[Any] = rows.exclude(Protection.objects.covered_row_at(moment)).annotate(
        admin=Case(When(HAS_ADMIN_ROLE, then=Value("has")), default=Value(""), output_field=CharField()),
        gone=Case(When(gone_at=None, then=Value(False)), default=Value(True), output_field=BooleanField()),
    )
    return named.values("id", "admin", "license", "license_assigned_at", "last_activity_at", "active", "gone")


def _bucket(
    now: datetime,
    license: str,
    idle: int,
    never: bool,
    assigned: int | None,
    admin: str,
    people: int,
    came_back: int,
    reclaimed: int,
) -> tuple[Any, ...]:
    """The values of one bucket, in the order of COLUMNS. Each moment is the middle of its day."""
    idle_since = now - timedelta(days=idle + 0.5)
    assigned_at = None if assigned is None else now - timedelta(days=assigned + 0.5)
    return license, idle_since, None if never else idle_since, assigned_at, admin, people, came_back, reclaimed


def history_of(profile: IntegrationProfile, terms: Terms) -> History:
    """The history under these terms, read with three small statements at any size.

    If the grace is longer than MAX_GRACE_DAYS, nothing is known.
    """
    complete = DownloadRun.objects.complete().filter(profile=profile)
    known = complete.order_by().aggregate(first=Min("finished_at"), runs=Count("pk"))
    rows: QuerySet[Any] = PastBucket.objects.filter(profile=profile).order_by()
    counted_at = rows.values_list("counted_at", flat=True).first()
    if counted_at is None or terms.grace > MAX_GRACE_DAYS:
        return History((), known["first"], known["runs"])
    whens = [When(clause.when(terms, counted_at), then=Value(False)) for clause in CLAUSES if clause.reads_terms]
    # Nobody had passed a review then.
    judged = rows.annotate(review_passed=Value(False)).annotate(is_candidate=Case(*whens, default=Value(True)))
    sums = {name: Sum(name, filter=Q(is_candidate=True), default=0) for name in ("people", "came_back", "reclaimed")}
    past = [
        Past(days, moment, people - reclaimed, came_back, reclaimed)
        for days, moment, people, came_back, reclaimed in judged.values_list("days", "moment").annotate(
            **{f"all_{name}": number for name, number in sums.items()}
        )
    ]
    return History(tuple(sorted(past, key=lambda found: found.days)), known["first"], known["runs"])
