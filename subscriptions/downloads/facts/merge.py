"""Merge the staging table into Subscription: a few statements for any number of members.

Only rows that changed are written, and the values they replace go into ActivitySnapshot before. The statements are the
same on PostgreSQL and on SQLite.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from subscriptions.activity import license_dates
from subscriptions.activity.known_dates import COUNTED_SQL, SAID_BEFORE_SQL, VENDOR_ACTIVITY_SQL, WENT_BACK_SQL
from subscriptions.activity.reactivation import REACTIVATED_SQL, cooldown_from
from subscriptions.bulk_sql import adapted, execute, expect_large_tables, fetch_row, large_tables, set_column
from subscriptions.models import DownloadRun, Subscription
from subscriptions.models.snapshot import NEVER
from subscriptions.models.subscription import FACTS, REVIEWED_FACTS, WENT_BACK, comparable

# The columns of which the history keeps the replaced value. In KEPT_MOMENTS that value may be NULL.
KEPT = ("email", "license", "role", "active")
KEPT_MOMENTS = ("last_activity_at", "license_assigned_at")
HISTORY = (*KEPT_MOMENTS, *KEPT, "gone")
# After this many new members, PostgreSQL must collect its statistics again.
ANALYZE_FROM = 1000
ANALYZED = (
    "subscriptions_subscription",
    "subscriptions_evaluation",
    "subscriptions_searchtext",
    "subscriptions_removalcandidate",
)
CHANGED = "changed_members"

# In all statements `s` is the row as it is known and `m` the member as downloaded. Only the parts below, which are
# constants, go into the braces; all values are parameters.

# Members that are not known yet; parameters: run, profile.
IS_NEW = """m.run_id = %s AND NOT EXISTS (
       SELECT 1 FROM subscriptions_subscription AS s WHERE s.profile_id = %s AND s.external_id = m.external_id)"""
# Known members that differ; parameters: run, profile, start of the run.
IS_CHANGED = """m.run_id = %s AND s.profile_id = %s AND s.external_id = m.external_id
   AND s.facts_at < %s AND (s.gone_at IS NOT NULL OR {})""".format(
    " OR ".join(
        f"{SAID_BEFORE_SQL if column == 'last_activity_at' else f's.{column}'} IS DISTINCT FROM m.{column}"
        for column in FACTS
    )
)
# Rows that would be marked as gone; parameters: profile, start of the run, run.
IS_GONE = """s.profile_id = %s AND s.gone_at IS NULL AND s.facts_at < %s AND NOT EXISTS (
       SELECT 1 FROM subscriptions_downloadedmember AS m WHERE m.run_id = %s AND m.external_id = s.external_id)"""
PARTS = {
    "changed_members": CHANGED,
    "columns": ", ".join(FACTS),
    "values": ", ".join(f"m.{column}" for column in FACTS),
    # The columns of CHANGED, with the last activity that counts.
    "counted": ", ".join(f"{COUNTED_SQL} AS {name}" if name == "last_activity_at" else f"m.{name}" for name in FACTS)
    + f", {WENT_BACK_SQL} AS dates_went_back, {VENDOR_ACTIVITY_SQL} AS vendor_activity_at",
    "assignments": ", ".join(f"{column} = m.{column}" for column in (*FACTS, *WENT_BACK)),
    "history": ", ".join(HISTORY),
    "replaced_moments": ", ".join(
        f"CASE WHEN s.{name} IS DISTINCT FROM m.{name} THEN COALESCE(s.{name}, %s) END" for name in KEPT_MOMENTS
    ),
    "replaced": ", ".join(f"CASE WHEN s.{name} IS DISTINCT FROM m.{name} THEN s.{name} END" for name in KEPT),
    "reviewed_changed": " OR ".join(f"s.{column} IS DISTINCT FROM m.{column}" for column in REVIEWED_FACTS),
    "is_new": IS_NEW,
    "is_changed": IS_CHANGED,
    "is_gone": IS_GONE,
}
COUNT_NEW = "SELECT COUNT(*) FROM subscriptions_downloadedmember AS m WHERE {is_new}"
COUNT_CHANGED = """
SELECT COUNT(*) FROM subscriptions_subscription AS s, subscriptions_downloadedmember AS m WHERE {is_changed}
"""
COUNT_GONE = "SELECT COUNT(*) FROM subscriptions_subscription AS s WHERE {is_gone}"
SELECT_GONE = "SELECT s.* FROM subscriptions_subscription AS s WHERE {is_gone} ORDER BY s.name, s.email LIMIT %s"
# Compares all rows once. The next two statements read what it found.
FIND_CHANGED = """
CREATE TEMPORARY TABLE {changed_members} AS
SELECT s.id AS subscription_id, {counted}
  FROM subscriptions_subscription AS s, subscriptions_downloadedmember AS m
 WHERE {is_changed}
"""
KEEP_CHANGED = """
INSERT INTO subscriptions_activitysnapshot (subscription_id, run_id, {history})
SELECT s.id, %s,
       -- NULL says that the column stays as it is. So a moment that was NULL is kept as NEVER.
       {replaced_moments},
       {replaced},
       CASE WHEN s.gone_at IS NOT NULL THEN TRUE END
  FROM subscriptions_subscription AS s, {changed_members} AS m
 WHERE s.id = m.subscription_id
"""
UPDATE_CHANGED = """
UPDATE subscriptions_subscription AS s
   SET {assignments}, gone_at = NULL, changed_run_id = %s, facts_at = %s,
       -- An admin decided on other facts.
       review_passed = CASE WHEN {reviewed_changed} THEN FALSE ELSE s.review_passed END,
       -- A person reactivated this seat, or its license date went back: leave it alone for a while.
       {cooldown}
  FROM {changed_members} AS m
 WHERE s.id = m.subscription_id
   -- Checked again: another process may have written newer facts since the rows were compared.
   AND s.facts_at < %s
"""
INSERT_NEW = """
INSERT INTO subscriptions_subscription
       (profile_id, external_id, {columns}, first_run_id, changed_run_id, facts_at)
SELECT %s, m.external_id, {values}, m.run_id, m.run_id, %s
  FROM subscriptions_downloadedmember AS m
 WHERE {is_new}
"""
KEEP_GONE = """
INSERT INTO subscriptions_activitysnapshot (subscription_id, run_id, gone)
SELECT s.id, %s, FALSE FROM subscriptions_subscription AS s WHERE {is_gone}
"""
MARK_GONE = """
UPDATE subscriptions_subscription AS s SET gone_at = %s, changed_run_id = %s, facts_at = %s WHERE {is_gone}
"""
LAST_ID = "SELECT COALESCE(MAX(id), 0) FROM subscriptions_subscription"
# Addresses with other letters than ASCII has, in the rows that this run wrote; parameters: profile, run.
SELECT_ODD_ADDRESSES = """
SELECT id, email FROM subscriptions_subscription
 WHERE profile_id = %s AND changed_run_id = %s
   AND ({bytes} <> LENGTH(email) OR LOWER(email) LIKE '%%xn--%%' OR normalized_email <> '')
"""
BYTES = {"postgresql": "OCTET_LENGTH(email)", "sqlite": "LENGTH(CAST(email AS BLOB))"}


@dataclass(frozen=True, slots=True)
class Merged:
    """Counts of rows."""

    new: int
    changed: int
    gone: int


def merge(run: DownloadRun, *, now: datetime) -> Merged:
    """Bring the staged members of a whole `run` into Subscription, and keep what each change replaces.

    Must run inside the transaction that completes the run. Rows whose facts are newer than the run's start (a recheck
    or a deactivation wrote them meanwhile) are left to the next run. `now` is when the facts were read.
    """
    expect_large_tables()
    is_first = not Subscription.objects.filter(profile_id=run.profile_id).exists()
    changed, gone = (0, 0) if is_first else _merge_known(run, now)
    [new_after] = fetch_row(LAST_ID, [])
    new = execute(INSERT_NEW.format(**PARTS), [run.profile_id, now, run.pk, run.profile_id])
    [new_until] = fetch_row(LAST_ID, [])
    DownloadRun.objects.filter(pk=run.pk).update(new_after=new_after, new_until=new_until)
    _normalize_addresses(run)
    return Merged(new=new, changed=changed, gone=gone)


def _merge_known(run: DownloadRun, now: datetime) -> tuple[int, int]:
    """Merge the members that are known already. Returns how many changed, and how many left."""
    execute(FIND_CHANGED.format(**PARTS), [run.pk, run.profile_id, run.started_at])
    _keep_changed(run)
    columns, values = _cooldown(now)
    changed = execute(UPDATE_CHANGED.format(**PARTS, cooldown=columns), [run.pk, now, *values, run.started_at])
    execute(f"DROP TABLE {CHANGED}")
    is_gone = [run.profile_id, run.started_at, run.pk]
    if not execute(KEEP_GONE.format(**PARTS), [run.pk, *is_gone]):
        return changed, 0
    return changed, execute(MARK_GONE.format(**PARTS), [now, run.pk, now, *is_gone])


def _cooldown(now: datetime) -> tuple[str, list[object]]:
    """The assignments of UPDATE_CHANGED that leave people alone for a while, and their parameters."""
    reactivated, back = cooldown_from(now), license_dates.cooldown_from(now)
    condition = [now - license_dates.RECENT, now + license_dates.COOLDOWN]
    cases = f"WHEN {REACTIVATED_SQL} THEN %s WHEN {license_dates.WENT_BACK_SQL} THEN %s"
    columns = ", ".join(f"{name} = CASE {cases} ELSE s.{name} END" for name in reactivated)
    return columns, [value for name in reactivated for value in (reactivated[name], *condition, back[name])]


def _normalize_addresses(run: DownloadRun) -> None:
    """Write the column `normalized_email` for the few addresses that lower case does not normalize."""
    with connection.cursor() as cursor:
        cursor.execute(SELECT_ODD_ADDRESSES.format(bytes=BYTES[connection.vendor]), [run.profile_id, run.pk])
        odd = cursor.fetchall()
    if odd:
        set_column(Subscription, "normalized_email", [(pk, comparable(email)) for pk, email in odd])


def _keep_changed(run: DownloadRun) -> None:
    """Keep what UPDATE_CHANGED replaces."""
    execute(KEEP_CHANGED.format(**PARTS), [run.pk] + [NEVER] * len(KEPT_MOMENTS))


def analyze_if_large(run: DownloadRun) -> None:
    """Collect new statistics after many new members, at the end of the follow-up.

    Otherwise PostgreSQL plans the lists for the few rows that it knew before, until autovacuum runs. The earlier steps
    do not depend on statistics: see `bulk_sql.expect_large_tables`.
    """
    if run.new >= ANALYZE_FROM and connection.vendor == "postgresql":
        execute(f"ANALYZE {', '.join(ANALYZED)}")


def preview_merge(run: DownloadRun) -> Merged:
    """Count what `merge` would change now; nothing is written."""
    with large_tables():
        [new] = fetch_row(COUNT_NEW.format(**PARTS), [run.pk, run.profile_id])
        [changed] = fetch_row(COUNT_CHANGED.format(**PARTS), [run.pk, run.profile_id, run.started_at])
        [gone] = fetch_row(COUNT_GONE.format(**PARTS), [run.profile_id, run.started_at, run.pk])
    return Merged(new=new, changed=changed, gone=gone)


def leaving(run: DownloadRun, *, count: int) -> list[Subscription]:
    """The first `count` people whom `merge` would mark as gone now, by name."""
    parameters = adapted([run.profile_id, run.started_at, run.pk, count])
    with large_tables():
        return list(Subscription.objects.raw(SELECT_GONE.format(**PARTS), parameters))
