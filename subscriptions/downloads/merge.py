"""Staging -> Subscription, set-based: a few statements, whatever the number of members.

Only rows that changed are written, and what they replace goes into ActivitySnapshot before. The statements run on
PostgreSQL and on SQLite; the two differ in a few words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from subscriptions.activity.reactivation import REACTIVATED_SQL, cooldown_from
from subscriptions.bulk_sql import expect_large_tables, large_tables
from subscriptions.models import DownloadRun, Subscription
from subscriptions.models.snapshot import NEVER
from subscriptions.models.subscription import FACTS

# Of these the history keeps what was replaced; the moments may be empty before.
KEPT = ("license", "role", "active")
KEPT_MOMENTS = ("last_activity_at", "license_assigned_at")
HISTORY = (*KEPT_MOMENTS, *KEPT, "gone")
MANY = 1000
CHANGED = "changed_members"


# Who would be marked as gone; parameters: profile, start of the run, run.
GONE_FILTER = """s.profile_id = %s AND s.gone_at IS NULL AND s.facts_at < %s AND NOT EXISTS (
               SELECT 1 FROM subscriptions_downloadedmember AS m
                WHERE m.run_id = %s AND m.external_id = s.external_id)"""
# Who is not known yet; parameters: run, profile.
NEW_FILTER = """m.run_id = %s AND NOT EXISTS (
               SELECT 1 FROM subscriptions_subscription AS s
                WHERE s.profile_id = %s AND s.external_id = m.external_id)"""


@dataclass(frozen=True, slots=True)
class Merged:
    """Counts of rows."""

    new: int
    changed: int
    gone: int


def merge(run: DownloadRun, *, now: datetime) -> Merged:
    """Bring the staged members of a whole `run` into Subscription, and keep what each change replaces.

    Must run inside the transaction that completes the run. Rows whose facts are newer than the run's start (somebody
    was looked at again, or deactivated, meanwhile) are left to the next run. `now` is when the facts were read.
    """
    expect_large_tables()
    anybody = Subscription.objects.filter(profile_id=run.profile_id).exists()
    changed, gone = _merge_known(run, now) if anybody else (0, 0)
    return Merged(new=_insert(run, now), changed=changed, gone=gone)


def _merge_known(run: DownloadRun, now: datetime) -> tuple[int, int]:
    """How many of those who are known already changed, and how many left."""
    _find_changed(run)
    _keep_changed(run)
    changed = _update(run, now)
    _execute(f"DROP TABLE {CHANGED}", [])
    gone = _mark_gone(run, now) if _keep_left(run) else 0
    return changed, gone


def analyze_if_large(run: DownloadRun) -> None:
    """After many new ones, PostgreSQL must not plan for the few rows of before; autovacuum may come too late."""
    if run.new >= MANY and connection.vendor == "postgresql":
        _execute("ANALYZE subscriptions_subscription", [])


def preview_merge(run: DownloadRun) -> Merged:
    """What `merge` would change now; nothing is written."""
    staging, rows = "subscriptions_downloadedmember AS m", "subscriptions_subscription AS s"
    with large_tables():
        return Merged(
            new=_count(f"{staging} WHERE {NEW_FILTER}", [run.pk, run.profile_id]),
            changed=_count(f"{rows}, {staging} WHERE {_changes()}", [run.pk, run.profile_id, run.started_at]),
            gone=_count(f"{rows} WHERE {GONE_FILTER}", [run.profile_id, run.started_at, run.pk]),
        )


def leaving(run: DownloadRun, *, count: int) -> list[Subscription]:
    """The first `count` of those whom `merge` would mark as gone now, by name."""
    statement = f"SELECT s.* FROM subscriptions_subscription AS s WHERE {GONE_FILTER} ORDER BY s.name, s.email LIMIT %s"  # noqa: S608 - constants of this module, values as parameters
    with large_tables():
        return list(Subscription.objects.raw(statement, _adapted([run.profile_id, run.started_at, run.pk, count])))


def _changes() -> str:
    """Who is known and differs; parameters: run, profile, start of the run."""
    differs = " OR ".join(_differs(column) for column in FACTS)
    return f"""m.run_id = %s AND s.profile_id = %s AND s.external_id = m.external_id
           AND s.facts_at < %s AND (s.gone_at IS NOT NULL OR {differs})"""


def _differs(column: str) -> str:
    operator = "IS DISTINCT FROM" if connection.vendor == "postgresql" else "IS NOT"
    return f"s.{column} {operator} m.{column}"


def _words() -> tuple[str, str]:
    return ("TRUE", "FALSE") if connection.vendor == "postgresql" else ("1", "0")


def _find_changed(run: DownloadRun) -> None:
    """Who differs, with the facts of now: all rows are compared once, and the next two statements read these."""
    columns = ", ".join(f"m.{column}" for column in FACTS)
    _execute(
        f"CREATE TEMPORARY TABLE {CHANGED} AS SELECT s.id AS subscription_id, {columns} "  # noqa: S608 - the names are constants of this module
        f"FROM subscriptions_subscription AS s, subscriptions_downloadedmember AS m WHERE {_changes()}",
        [run.pk, run.profile_id, run.started_at],
    )


def _keep_changed(run: DownloadRun) -> int:
    """What `_update` is about to replace; empty where a column stays as it is."""
    true, _ = _words()
    moments = [f"CASE WHEN {_differs(name)} THEN COALESCE(s.{name}, {_moment()}) END" for name in KEPT_MOMENTS]
    words = [f"CASE WHEN {_differs(name)} THEN s.{name} END" for name in KEPT]
    gone = f"CASE WHEN s.gone_at IS NOT NULL THEN {true} END"
    return _execute(
        f"""
        INSERT INTO subscriptions_activitysnapshot (subscription_id, run_id, {", ".join(HISTORY)})
        SELECT s.id, %s, {", ".join([*moments, *words, gone])}
          FROM subscriptions_subscription AS s, {CHANGED} AS m WHERE s.id = m.subscription_id
        """,  # noqa: S608 - constants of this module, values as parameters
        [run.pk] + [NEVER] * len(KEPT_MOMENTS),
    )


def _moment() -> str:
    return "CAST(%s AS timestamptz)" if connection.vendor == "postgresql" else "%s"


def _update(run: DownloadRun, now: datetime) -> int:
    """A seat that was inactive and is active again was reactivated by a human: leave that person alone."""
    sets = ", ".join(f"{column} = m.{column}" for column in FACTS)
    cooldown = cooldown_from(now)
    leave_alone = ", ".join(f"{name} = CASE WHEN {REACTIVATED_SQL} THEN %s ELSE s.{name} END" for name in cooldown)
    return _execute(
        f"""
        UPDATE subscriptions_subscription AS s
           SET {sets}, gone_at = NULL, changed_run_id = %s, facts_at = %s,
               {leave_alone}
          FROM {CHANGED} AS m
         WHERE s.id = m.subscription_id AND s.facts_at < %s
        """,  # noqa: S608 - constants of this module, values as parameters
        [run.pk, now, *cooldown.values(), run.started_at],
    )


def _insert(run: DownloadRun, now: datetime) -> int:
    columns = ", ".join(FACTS)
    return _execute(
        f"""
        INSERT INTO subscriptions_subscription
               (profile_id, external_id, {columns}, first_run_id, changed_run_id, facts_at)
        SELECT %s, m.external_id, {", ".join(f"m.{column}" for column in FACTS)}, m.run_id, m.run_id, %s
          FROM subscriptions_downloadedmember AS m
         WHERE {NEW_FILTER}
        """,  # noqa: S608 - constants of this module, values as parameters
        [run.profile_id, now, run.pk, run.profile_id],
    )


def _keep_left(run: DownloadRun) -> int:
    _, false = _words()
    return _execute(
        f"""
        INSERT INTO subscriptions_activitysnapshot (subscription_id, run_id, gone)
        SELECT s.id, %s, {false} FROM subscriptions_subscription AS s WHERE {GONE_FILTER}
        """,  # noqa: S608 - constants of this module, values as parameters
        [run.pk, run.profile_id, run.started_at, run.pk],
    )


def _mark_gone(run: DownloadRun, now: datetime) -> int:
    return _execute(
        f"""
        UPDATE subscriptions_subscription AS s
           SET gone_at = %s, changed_run_id = %s, facts_at = %s
         WHERE {GONE_FILTER}
        """,  # noqa: S608 - constants of this module, values as parameters
        [now, run.pk, now, run.profile_id, run.started_at, run.pk],
    )


def _execute(statement: str, parameters: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, _adapted(parameters))
        return int(cursor.rowcount)


def _count(tables_and_where: str, parameters: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {tables_and_where}", _adapted(parameters))  # noqa: S608 - constants of this module, values as parameters
        return int(cursor.fetchone()[0])


def _adapted(parameters: list[Any]) -> list[Any]:
    return [
        connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
        for value in parameters
    ]
