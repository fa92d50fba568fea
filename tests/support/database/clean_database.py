"""Makes the database as the migrations made it, quickly, after a test with real transactions.

Django's flush empties every table and the next test loads what the migrations had written, object by object. Here only
tables that hold rows are emptied, and what the migrations had written is put back only where it has changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test import TransactionTestCase

from licensehub.audit.triggers import create, drop

Rows = list[tuple[Any, ...]]
AUDIT = "audit_auditevent"
LARGE = 1 << 18  # bytes


class CleanDatabase:
    """The tables of all models, and the rows that they have before the first test."""

    def __init__(self) -> None:
        models = apps.get_models(include_auto_created=True)
        # Also those of unmanaged models, which a migration makes by itself.
        self.tables = sorted({model._meta.db_table for model in models})
        self.pristine = {table: self._read(table) for table in self._filled()}

    def restore(self) -> None:
        self._empty([table for table in self._filled() if table not in self.pristine])
        changed = [table for table, rows in self.pristine.items() if self._read(table) != rows]
        # Foreign keys are checked at the end of the transaction, so that the order does not matter.
        with transaction.atomic():
            for table in changed:
                self._write(table, self.pristine[table])

    def _filled(self) -> list[str]:
        asked = ", ".join(f"EXISTS (SELECT 1 FROM {table})" for table in self.tables)  # noqa: S608 - names of our own models
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {asked}")
            return [table for table, filled in zip(self.tables, cursor.fetchone(), strict=True) if filled]

    def _read(self, table: str) -> Rows:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table} ORDER BY 1")  # noqa: S608 - names of our own models
            return [tuple(map(_writable, row)) for row in cursor.fetchall()]

    def _empty(self, tables: list[str]) -> None:
        """Also the audit, which is append-only: its triggers are lifted here, and nowhere else."""
        if not tables:
            return
        with transaction.atomic(), connection.cursor() as cursor:
            if AUDIT in tables:
                drop(connection)
            large = _large(tables)
            if large:
                cursor.execute(f"TRUNCATE {', '.join(large)} CASCADE")
            for table in tables:
                if table not in large:
                    cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own models
            if AUDIT in tables:
                create(connection)

    def _write(self, table: str, rows: Rows) -> None:
        places = ", ".join(["%s"] * len(rows[0]))
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own models
            cursor.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 - names of our own models


def _large(tables: list[str]) -> list[str]:
    """The tables that are quicker to truncate; none on SQLite, which cannot.

    PostgreSQL makes new files for a truncated table and all of its indexes. To delete few rows takes a tenth of that.
    """
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM unnest(%s::text[]) name WHERE pg_relation_size(name::regclass) > %s", [tables, LARGE]
        )
        return [name for (name,) in cursor.fetchall()]


def _writable(value: Any) -> Any:
    """SQLite's driver reads moments, and does not write them."""
    return str(value) if connection.vendor == "sqlite" and isinstance(value, datetime) else value


@pytest.fixture(autouse=True, scope="session")
def _quick_flushes() -> Iterator[None]:
    """For the session, since only the outermost fixture is still there when pytest-django flushes."""
    clean: list[CleanDatabase] = []

    def set_up(case: type[TransactionTestCase]) -> None:
        if not clean:
            clean.append(CleanDatabase())

    def tear_down(case: TransactionTestCase) -> None:
        clean[0].restore()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_setup", classmethod(set_up))
        patch.setattr(TransactionTestCase, "_fixture_teardown", tear_down)
        yield
