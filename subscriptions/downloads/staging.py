"""The staging table of a download: filled page by page, read once by the merge, and emptied.

On PostgreSQL a batch of pages is one COPY into a table without key and log. So the table may hold a member twice, where
pages overlap, and nothing at all after a crash of the database; both are looked for before the merge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.db import connection

from integrations.connectors.contract import Member
from integrations.models import IntegrationProfile
from subscriptions.bulk_sql import large_tables
from subscriptions.models import DownloadedMember, DownloadRun

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
}
COLUMNS = tuple(TYPES)
TABLE = DownloadedMember._meta.db_table
INTO = f"{TABLE} ({', '.join(COLUMNS)})"
# PostgreSQL reads the list of a NOT IN again for each row, where it expects that the list does not fit into its memory.
DROP_REPEATED = {
    "postgresql": f"""
DELETE FROM {TABLE} AS m
 USING (SELECT external_id, MIN(ctid) AS kept FROM {TABLE} WHERE run_id = %s
         GROUP BY external_id HAVING COUNT(*) > 1) AS repeated
 WHERE m.run_id = %s AND m.external_id = repeated.external_id AND m.ctid <> repeated.kept
""",  # noqa: S608 - constants of this module, values as parameters
    "sqlite": f"""
DELETE FROM {TABLE}
 WHERE rowid NOT IN (SELECT MIN(rowid) FROM {TABLE} WHERE run_id = %s GROUP BY external_id) AND run_id = %s
""",  # noqa: S608 - constants of this module, values as parameters
}


def store(run: DownloadRun, members: Iterable[Member]) -> None:
    """Put them into staging. In the transaction that also keeps the cursor behind them."""
    pk = run.pk
    # A member's fields come in the order of the columns.
    rows = ((pk, *member) for member in members)
    if connection.vendor == "postgresql":
        _copy(rows)
    else:
        _insert(rows)


def _copy(rows: Iterator[tuple[Any, ...]]) -> None:
    """In binary, which spares both sides the reading and writing of dates.

    https://www.psycopg.org/psycopg3/docs/basic/copy.html#binary-copy
    """
    copying = f"COPY {INTO} FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(copying) as copy:
        copy.set_types(list(TYPES.values()))
        for row in rows:
            copy.write_row(row)


def _insert(rows: Iterator[tuple[Any, ...]]) -> None:
    places = ", ".join(["%s"] * len(COLUMNS))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {INTO} VALUES ({places})", [_adapted(row) for row in rows])  # noqa: S608 - constants of this module, values as parameters


def _adapted(row: tuple[Any, ...]) -> tuple[Any, ...]:
    adapt = connection.ops.adapt_datetimefield_value
    return tuple(adapt(value) if isinstance(value, datetime) else value for value in row)


def is_whole(run: DownloadRun) -> bool:
    """Whether everything that was stored is still there. Not, after a crash of PostgreSQL."""
    return run.members.count() == run.read


def contradiction(run: DownloadRun) -> str:
    """The id of a member whom two pages show with different facts; empty when there is none.

    Only the last activity may have moved on while the pages were read.
    """
    texts = [f"MIN({name}) <> MAX({name})" for name in ("email", "license", "role", "why_not")]
    flags = [f"MIN(CAST({name} AS integer)) <> MAX(CAST({name} AS integer))" for name in ("active", "reclaimable")]
    assigned = "MIN(license_assigned_at) <> MAX(license_assigned_at) OR COUNT(license_assigned_at) NOT IN (0, COUNT(*))"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT external_id FROM {TABLE} WHERE run_id = %s GROUP BY external_id "  # noqa: S608 - constants of this module, values as parameters
            f"HAVING {' OR '.join([*texts, *flags, assigned])} ORDER BY external_id LIMIT 1",
            [run.pk],
        )
        found = cursor.fetchone()
    return str(found[0]) if found else ""


def counts(run: DownloadRun) -> tuple[int, int]:
    """How many rows were stored, and of how many members: some may have come again on a later page."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*), COUNT(DISTINCT external_id) FROM {TABLE} WHERE run_id = %s", [run.pk])  # noqa: S608 - constants of this module, values as parameters
        rows, members = cursor.fetchone()
    return int(rows), int(members)


def drop_repeated(run: DownloadRun) -> None:
    """Keep one row of each member whom several pages showed."""
    with large_tables(), connection.cursor() as cursor:
        cursor.execute(DROP_REPEATED[connection.vendor], [run.pk, run.pk])


def empty_all(profile: IntegrationProfile) -> None:
    """No run of the profile needs its members any more. Said by run: another profile may know the same people."""
    runs = DownloadRun.objects.filter(profile=profile)
    DownloadedMember.objects.filter(run__in=runs.values("pk")).delete()


def empty(run: DownloadRun) -> None:
    """The run needs no members any more."""
    run.members.all().delete()
