"""Retention of past activity: snapshots older than `settings.SNAPSHOT_DAYS` are thinned to one point per month.

A month is thinned as a whole, when all of it is old enough. All snapshots that a subscription has in the month, from
runs and from rechecks, become one row of the month's last run. Each column of this row has the oldest value. Then past
activity reads as if that run were the only one of the month, and the facts at the end of any month stay the same. This
takes a few statements, the same on PostgreSQL and on SQLite.

With `settings.HISTORY_MONTHS`, snapshots that are older are removed, also those of people who are still there. A row
has what a run replaced, so any later day reads as before. Rows with a former address stay until the person is erased: a
protection may name the person by it, and the erasure looks for it.

Nothing else is thinned or deleted by age: the audit, the requests and the reclaims stay.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from django.conf import settings
from django.db.models import Max, QuerySet

from integrations.models import IntegrationProfile
from licensehub import stopping
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from subscriptions.activity.snapshots import COLUMNS, oldest_of
from subscriptions.bulk_sql import execute, large_tables
from subscriptions.models import ActivitySnapshot, DownloadRun, RecheckSnapshot

# Only names of columns go into the braces; all values are parameters.
MERGE_MONTH = """
INSERT INTO subscriptions_activitysnapshot (subscription_id, run_id, {columns})
WITH replaced AS (
    SELECT a.subscription_id, r.finished_at AS at, {of_runs}
      FROM subscriptions_activitysnapshot AS a JOIN subscriptions_downloadrun AS r ON r.id = a.run_id
     WHERE r.profile_id = %s AND r.state = 'complete' AND r.finished_at > %s AND r.finished_at <= %s
     UNION ALL
    SELECT b.subscription_id, b.seen_at, {between}
      FROM subscriptions_rechecksnapshot AS b
      JOIN subscriptions_subscription AS s ON s.id = b.subscription_id
     WHERE s.profile_id = %s AND b.seen_at > %s AND b.seen_at <= %s)
-- All rows of a subscription are the same here, so DISTINCT leaves one of them.
SELECT DISTINCT subscription_id, CAST(%s AS integer), {oldest}
  -- Without a WHERE, SQLite reads ON CONFLICT as the ON of a join.
  FROM replaced WHERE TRUE
    ON CONFLICT (subscription_id, run_id) DO UPDATE SET {replacements}
"""


@dataclass(frozen=True, slots=True)
class Month:
    """The time after `start`, up to and including `end`. Both are midnight UTC, so `as_of` undoes whole months.

    `kept` is the last complete run of the month.
    """

    start: datetime
    end: datetime
    kept: int


def thin_past_activity(*, seconds: float = math.inf) -> int:
    """Thin the months that are old enough, of all profiles, for about `seconds`. Returns how many.

    The others are thinned in the next night.
    """
    ends_at, thinned = time.monotonic() + seconds, 0
    for profile in IntegrationProfile.objects.all():
        for month in due_months(profile):
            if stopping.is_over(ends_at):
                return thinned
            thinned += _thin(profile, month)
    return thinned


def due_months(profile: IntegrationProfile) -> list[Month]:
    """The months of a profile that are old enough and not thinned yet, the oldest first."""
    before = _start_of_month(database_now() - timedelta(days=settings.SNAPSHOT_DAYS))
    runs = _runs(profile).filter(thinned=False, finished_at__lte=before).order_by("finished_at", "pk")
    finished = ((run.finished_at, run.pk) for run in runs.only("finished_at") if run.finished_at)
    by_month = groupby(finished, key=lambda run: _start_of_month(run[0] - timedelta.resolution))
    return [Month(start, _next_month(start), kept=list(of_month)[-1][1]) for start, of_month in by_month]


def thinned_before(profile: IntegrationProfile) -> datetime | None:
    """The moment from which on every change of the profile is kept; None when nothing is thinned."""
    last = _runs(profile).filter(thinned=True).aggregate(last=Max("finished_at"))["last"]
    return _next_month(last - timedelta.resolution) if last else None


def remove_old_history(*, seconds: float = math.inf) -> int:
    """Remove the snapshots that are older than `HISTORY_MONTHS`, of all profiles, for about `seconds`.

    Returns how many; 0 if the setting is 0. The other profiles follow in the next night.
    """
    if not settings.HISTORY_MONTHS:
        return 0
    ends_at, removed = time.monotonic() + seconds, 0
    before = _months_ago(database_now(), settings.HISTORY_MONTHS)
    for profile in IntegrationProfile.objects.all():
        if stopping.is_over(ends_at):
            break
        removed += _remove(profile, before)
    return removed


def _months_ago(moment: datetime, months: int) -> datetime:
    """The begin of the month so many months ago, or the first one that there is."""
    count = moment.year * 12 + moment.month - 1 - months
    return datetime(max(count // 12, 1), count % 12 + 1 if count >= 12 else 1, 1, tzinfo=UTC)


def _remove(profile: IntegrationProfile, before: datetime) -> int:
    runs = _runs(profile).filter(finished_at__lte=before)
    with large_tables():
        of_runs = ActivitySnapshot.objects.filter(run__in=runs.order_by().values("pk"), email=None)
        between = RecheckSnapshot.objects.filter(subscription__profile=profile, seen_at__lte=before, email=None)
        removed = of_runs.delete()[0] + between.delete()[0]
        # Not every change is there any more, whatever SNAPSHOT_DAYS says.
        runs.filter(thinned=False).update(thinned=True)
        if removed:
            data = {"before": before.date(), "rows": removed}
            record(Action.HISTORY_REMOVED, actor=None, target=profile, data=data)
    return removed


def removed_before(profile: IntegrationProfile) -> date | None:
    """The day before which changes of the profile were removed, by the newest event of a removal; None if all are."""
    events = AuditEvent.objects.filter(target_type=profile._meta.label_lower, target_id=profile.pk)
    last = events.filter(action=Action.HISTORY_REMOVED).exclude(salt="").order_by("-sequence").first()
    return date.fromisoformat(last.data["before"]) if last else None


def _runs(profile: IntegrationProfile) -> QuerySet[DownloadRun]:
    return DownloadRun.objects.complete().filter(profile=profile)


def _start_of_month(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next_month(moment: datetime) -> datetime:
    return _start_of_month(_start_of_month(moment) + timedelta(days=32))


def _thin(profile: IntegrationProfile, month: Month) -> bool:
    """Thin one month. Returns False when another process thins it at the same time."""
    with large_tables():
        due = _runs(profile).filter(thinned=False, finished_at__gt=month.start, finished_at__lte=month.end)
        if not due.filter(pk=month.kept).update(thinned=True):
            return False
        before = _count(profile, month)
        _merge(profile, month)
        # Delete what `_merge` has put into the rows of the kept run.
        _of_runs(profile, month).exclude(run=month.kept).delete()
        _between(profile, month).delete()
        due.update(thinned=True)
        data = {"month": f"{month.start:%Y-%m}", "before": before, "after": _count(profile, month)}
        record(Action.HISTORY_THINNED, actor=None, target=profile, data=data)
    return True


def _of_runs(profile: IntegrationProfile, month: Month) -> QuerySet[ActivitySnapshot]:
    runs = _runs(profile).filter(finished_at__gt=month.start, finished_at__lte=month.end)
    return ActivitySnapshot.objects.filter(run__in=runs.order_by().values("pk"))


def _between(profile: IntegrationProfile, month: Month) -> QuerySet[RecheckSnapshot]:
    return RecheckSnapshot.objects.filter(
        subscription__profile=profile, seen_at__gt=month.start, seen_at__lte=month.end
    )


def _count(profile: IntegrationProfile, month: Month) -> int:
    return _of_runs(profile, month).count() + _between(profile, month).count()


def _merge(profile: IntegrationProfile, month: Month) -> None:
    """Write one row for each subscription of the month. It replaces the row that the kept run has, if any."""
    statement = MERGE_MONTH.format(
        columns=", ".join(COLUMNS),
        of_runs=", ".join(f"a.{column}" for column in COLUMNS),
        between=", ".join(f"b.{column}" for column in COLUMNS),
        oldest=", ".join(oldest_of(column) for column in COLUMNS),
        replacements=", ".join(f"{column} = excluded.{column}" for column in COLUMNS),
    )
    span = [profile.pk, month.start, month.end]
    execute(statement, [*span, *span, month.kept])
