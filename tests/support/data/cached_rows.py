"""The rows of all tables, read and written again in one go, for data that many tests begin with."""

from __future__ import annotations

from functools import cache

from django.apps import apps
from django.db import connection

# Users and their groups are made beside the data, before it or after it.
BESIDE = {"auth", "admin", "contenttypes", "sessions"}

# The rows of each table that has any, as the database wrote them and reads them again.
Rows = dict[str, list[str]]


@cache
def columns_of_tables() -> dict[str, str]:
    """Table -> its columns, without those that the database computes."""
    return {
        model._meta.db_table: ", ".join(f'"{f.column}"' for f in model._meta.local_concrete_fields if not f.generated)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and model._meta.app_label not in BESIDE
    }


def rows() -> Rows:
    """All rows that are in the database now."""
    columns = columns_of_tables()
    asked = ", ".join(f"EXISTS (SELECT 1 FROM {table})" for table in columns)  # noqa: S608 - names of our own models
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {asked}")
        filled = [table for table, found in zip(columns, cursor.fetchone(), strict=True) if found]
    read = _copied if connection.vendor == "postgresql" else _quoted
    return {table: read(table, columns[table]) for table in filled}


def _copied(table: str, columns: str) -> list[str]:
    command = f"COPY (SELECT {columns} FROM {table} ORDER BY 1) TO STDOUT"  # noqa: S608 - names of our own models
    with connection.cursor() as cursor, cursor.copy(command) as out:
        return b"".join(out).decode().splitlines(keepends=True)


def _quoted(table: str, columns: str) -> list[str]:
    """The rows as SQL. SQLite's driver would convert moments, and could not write them again."""
    values = " || ',' || ".join(f"quote({column})" for column in columns.split(", "))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {values} FROM {table} ORDER BY {columns.partition(',')[0]}")  # noqa: S608 - names of our own models
        return [f"({row})" for (row,) in cursor.fetchall()]


def write(before: Rows, after: Rows) -> None:
    """Make the rows `after` of the rows `before`, which are in the database now."""
    for table in before.keys() | after.keys():
        kept, wanted = before.get(table, []), after.get(table, [])
        if kept != wanted:
            _write(table, kept, wanted)


def _write(table: str, before: list[str], after: list[str]) -> None:
    """Foreign keys are checked at the end of the transaction, so that the order of the tables does not matter."""
    added = after[len(before) :]
    with connection.cursor() as cursor:
        if after[: len(before)] != before:
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own models
            added = after
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns_of_tables()[table]}) FROM STDIN") as into:
                into.write("".join(added))
        elif added:
            cursor.execute(f"INSERT INTO {table} ({columns_of_tables()[table]}) VALUES {', '.join(added)}")  # noqa: S608 - our own rows
