"""How long every change stays: snapshots older than SNAPSHOT_DAYS are thinned to one point a month.

A month is thinned as a whole, once all of it is old enough. What its runs, and the looks between them, have replaced of
a subscription becomes one row, column by column the oldest value, and stands with the month's last run. So the history
reads as if that run had been the only one of the month: at its end, and at the end of every other month, everybody is
what they were before. All of it are a few statements, the same on PostgreSQL and on SQLite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from subscriptions.activity.snapshots import COLUMNS
from subscriptions.models import ActivitySnapshot, DownloadRun, RecheckSnapshot


@dataclass(frozen=True, slots=True)
class Month:
    """All after `start` up to `end`, both midnight UTC: so `as_of` either reads a whole month back, or none of it.

    `kept` is its last complete run.
    """

    start: datetime
    end: datetime
    kept: int


def thin_histories() -> int:
    """Thin whatever is old enough, of all profiles. Returns how many months that were."""
    return sum(_thin(profile, month) for profile in IntegrationProfile.objects.all() for month in due_months(profile))


def due_months(profile: IntegrationProfile) -> list[Month]:
    """The months of a profile that are over for long enough and hold a point for each run, the oldest first."""
    before = _start_of_month(timezone.now() - timedelta(days=settings.SNAPSHOT_DAYS))
    runs = _runs(profile).filter(thinned=False, finished_at__lte=before).order_by("finished_at", "pk")
    return list(_months((run.finished_at, run.pk) for run in runs.only("finished_at") if run.finished_at))


def thinned_before(profile: IntegrationProfile) -> datetime | None:
    """Since when the history of a profile holds every change; None where it always has."""
    last = _runs(profile).filter(thinned=True).aggregate(last=Max("finished_at"))["last"]
    return _next_month(last - timedelta.resolution) if last else None


def _runs(profile: IntegrationProfile) -> QuerySet[DownloadRun]:
    return DownloadRun.objects.complete().filter(profile=profile)


def _months(runs: Iterable[tuple[datetime, int]]) -> Iterator[Month]:
    for start, of_month in groupby(runs, key=lambda run: _start_of_month(run[0] - timedelta.resolution)):
        yield Month(start=start, end=_next_month(start), kept=list(of_month)[-1][1])


def _start_of_month(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next_month(moment: datetime) -> datetime:
    return _start_of_month(_start_of_month(moment) + timedelta(days=32))


def _thin(profile: IntegrationProfile, month: Month) -> bool:
    """False when another process does it in this moment."""
    with transaction.atomic():
        due = _runs(profile).filter(thinned=False, finished_at__gt=month.start, finished_at__lte=month.end)
        if not due.filter(pk=month.kept).update(thinned=True):
            return False
        before = _count(profile, month)
        _merge(profile, month)
        _drop(profile, month)
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
    """One row for each subscription of the month, in the place of what it has with the kept run, if anything."""
    columns = ", ".join(COLUMNS)
    span = [profile.pk, _adapted(month.start), _adapted(month.end)]
    _execute(
        f"""
        INSERT INTO subscriptions_activitysnapshot (subscription_id, run_id, {columns})
        WITH replaced AS (
            SELECT a.subscription_id, r.finished_at AS at, {", ".join(f"a.{column}" for column in COLUMNS)}
              FROM subscriptions_activitysnapshot AS a JOIN subscriptions_downloadrun AS r ON r.id = a.run_id
             WHERE r.profile_id = %s AND r.state = 'complete' AND r.finished_at > %s AND r.finished_at <= %s
             UNION ALL
            SELECT b.subscription_id, b.seen_at, {", ".join(f"b.{column}" for column in COLUMNS)}
              FROM subscriptions_rechecksnapshot AS b
              JOIN subscriptions_subscription AS s ON s.id = b.subscription_id
             WHERE s.profile_id = %s AND b.seen_at > %s AND b.seen_at <= %s)
        SELECT DISTINCT subscription_id, CAST(%s AS integer), {", ".join(_oldest(column) for column in COLUMNS)}
          FROM replaced WHERE true
            ON CONFLICT (subscription_id, run_id)
            DO UPDATE SET {", ".join(f"{column} = excluded.{column}" for column in COLUMNS)}
        """,  # noqa: S608 - the names are constants of this project
        [*span, *span, month.kept],
    )


def _oldest(column: str) -> str:
    """The oldest value of the month that is told at all; the others say that nothing was replaced."""
    told_first = f"CASE WHEN {column} IS NULL THEN 1 ELSE 0 END, at"
    return f"FIRST_VALUE({column}) OVER (PARTITION BY subscription_id ORDER BY {told_first})"


def _drop(profile: IntegrationProfile, month: Month) -> None:
    """What has gone into the kept run's rows."""
    _of_runs(profile, month).exclude(run=month.kept).delete()
    _between(profile, month).delete()


def _adapted(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _execute(statement: str, parameters: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
