"""The staging table of a download: filled page by page, read once by the merge, and emptied.

On PostgreSQL a batch of pages is one COPY into a table that has no key and no write-ahead log. So the table can hold a
member twice, where pages overlap, and it is empty after a crash of the database. Both are checked before the merge.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from integrations.connectors.contract import Member
from integrations.models import IntegrationProfile
from subscriptions.bulk_sql import copy_or_insert, execute, fetch_row, large_tables
from subscriptions.models import DownloadedMember, DownloadRun
from subscriptions.models.fields import join_labels

# Each column with PostgreSQL's name of its type, since a binary COPY converts nothing.
TYPES = {
    "run_id": "int4",
    "external_id": "varchar",
    "email": "varchar",
    "active": "bool",
    "license": "varchar",
    "role": "varchar",
    "license_assigned_at": "timestamptz",
    "last_activity_at": "timestamptz",
    "reclaimable": "bool",
    "why_not": "varchar",
    "admin_roles": "text",
    "implausible_dates": "varchar",
}
COLUMNS = tuple(TYPES)
ROLES = Member._fields.index("admin_roles")
DROP_REPEATED = {
    "postgresql": """
DELETE FROM subscriptions_downloadedmember AS m
 -- No NOT IN: PostgreSQL reads its list again for each row, where it expects that the list does not fit into memory.
 USING (SELECT external_id, MIN(ctid) AS kept FROM subscriptions_downloadedmember WHERE run_id = %s
         GROUP BY external_id HAVING COUNT(*) > 1) AS repeated
 WHERE m.run_id = %s AND m.external_id = repeated.external_id AND m.ctid <> repeated.kept
""",
    "sqlite": """
DELETE FROM subscriptions_downloadedmember
 WHERE rowid NOT IN
       (SELECT MIN(rowid) FROM subscriptions_downloadedmember WHERE run_id = %s GROUP BY external_id)
   AND run_id = %s
""",
}
COUNTS = "SELECT COUNT(*), COUNT(DISTINCT external_id) FROM subscriptions_downloadedmember WHERE run_id = %s"
# Booleans are compared as numbers: PostgreSQL has no MIN of a boolean.
CONTRADICTION = """
SELECT external_id FROM subscriptions_downloadedmember WHERE run_id = %s GROUP BY external_id
HAVING MIN(email) <> MAX(email) OR MIN(license) <> MAX(license) OR MIN(role) <> MAX(role)
    OR MIN(why_not) <> MAX(why_not) OR MIN(admin_roles) <> MAX(admin_roles)
    OR MIN(CAST(active AS integer)) <> MAX(CAST(active AS integer))
    OR MIN(CAST(reclaimable AS integer)) <> MAX(CAST(reclaimable AS integer))
    OR MIN(license_assigned_at) <> MAX(license_assigned_at)
    -- MIN and MAX skip NULL, so rows of which only some have the day are found by their number.
    OR COUNT(license_assigned_at) NOT IN (0, COUNT(*))
 ORDER BY external_id LIMIT 1
"""


def store(run: DownloadRun, members: Iterable[Member]) -> None:
    """Put them into staging. Call it in the transaction that also stores the cursor of the next page."""
    pk = run.pk
    # The fields of a member are in the order of the columns.
    rows = ((pk, *member[:ROLES], join_labels(member.admin_roles), *member[ROLES + 1 :]) for member in members)
    copy_or_insert(DownloadedMember, COLUMNS, rows, types=tuple(TYPES.values()))


def is_whole(run: DownloadRun) -> bool:
    """Whether all stored rows are still there. A crash of PostgreSQL empties the table."""
    return run.members.count() == run.read


def contradiction(run: DownloadRun) -> str:
    """The id of a member that two pages show with different facts; empty when there is none.

    Only the last activity may have changed while the pages were read.
    """
    return "".join(fetch_row(CONTRADICTION, [run.pk]))


def counts(run: DownloadRun) -> tuple[int, int]:
    """The numbers of stored rows and of members. They differ where a member came again on a later page."""
    rows, members = fetch_row(COUNTS, [run.pk])
    return int(rows), int(members)


def drop_repeated(run: DownloadRun) -> None:
    """Keep one row of each member that several pages show."""
    with large_tables():
        execute(DROP_REPEATED[connection.vendor], [run.pk, run.pk])


def empty_all(profile: IntegrationProfile, *, until: DownloadRun | None = None) -> None:
    """Delete the staged members of all runs of the profile, or of those up to `until`.

    Rows are found by run: profiles may share people.
    """
    runs = DownloadRun.objects.filter(profile=profile)
    if until is not None:
        runs = runs.filter(pk__lte=until.pk)
    DownloadedMember.objects.filter(run__in=runs.values("pk")).delete()


def empty(run: DownloadRun) -> None:
    """Delete the staged members of the run."""
    run.members.all().delete()
