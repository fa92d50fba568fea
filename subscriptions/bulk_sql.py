"""Statements that write or read very many rows at once: what would be too slow with one object for each row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Model, QuerySet

# What PostgreSQL must not choose for a statement about all rows of a large table, whatever its statistics say.
UNSAFE_PLANS = ("enable_nestloop", "enable_sort")


def expect_large_tables() -> None:
    """Until the transaction ends, PostgreSQL plans neither nested loops nor sorts.

    It chooses a nested loop where it believes a table to be small. It can believe so of a table that was empty a moment
    ago, or that autovacuum cleaned after a load was rolled back. Then one statement about a million rows takes hours.
    For the same reason it would sort all rows, where it can count them in a hash table.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for setting in UNSAFE_PLANS:
                cursor.execute(f"SET LOCAL {setting} = off")


@contextmanager
def large_tables() -> Iterator[None]:
    """`expect_large_tables` for some statements only: what follows in the same transaction is planned as usual."""
    with transaction.atomic():
        before = _plan_settings()
        expect_large_tables()
        yield
        # After an error there is nothing to do: the rollback also takes the settings back.
        with connection.cursor() as cursor:
            for setting, value in before.items():
                cursor.execute("SELECT set_config(%s, %s, true)", [setting, value])


def _plan_settings() -> dict[str, str]:
    if connection.vendor != "postgresql":
        return {}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'current_setting({name!r})' for name in UNSAFE_PLANS)}")
        return dict(zip(UNSAFE_PLANS, cursor.fetchone(), strict=True))


def new_ids(model: type[Model], count: int) -> list[int]:
    """Ids that nobody else will get. In the transaction that uses them: SQLite keeps them apart by its write lock."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            table = model._meta.db_table
            cursor.execute(
                "SELECT nextval((SELECT pg_get_serial_sequence(%s, 'id')::regclass)) FROM generate_series(1, %s)",
                [table, count],
            )
            return [row[0] for row in cursor.fetchall()]
    first = (model._base_manager.aggregate(last=Max("pk"))["last"] or 0) + 1
    return list(range(first, first + count))


def insert(
    model: type[Model], columns: Sequence[str], rows: Iterable[tuple[Any, ...]], same: Mapping[str, Any]
) -> None:
    """`columns` are the database's names of what differs, `same` is what all share. JSON comes as text.

    Raises IntegrityError for all or nothing.
    """
    names, shared = (*columns, *same), [_adapted(value) for value in same.values()]
    into = f"{model._meta.db_table} ({', '.join(names)})"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # https://www.psycopg.org/psycopg3/docs/basic/copy.html
            with connection.wrap_database_errors, cursor.copy(f"COPY {into} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row((*row, *shared))
            return
        places = ", ".join(["%s"] * len(names))
        statement = f"INSERT INTO {into} VALUES ({places})"  # noqa: S608 - names of our own models
        cursor.executemany(statement, [(*row, *shared) for row in rows])


def read(rows: QuerySet[Any, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What a `values_list` selects. Its moments are read by psycopg, five times as fast as by Django's loader.

    They are the same, in UTC as the session is. https://www.psycopg.org/psycopg3/docs/advanced/adapt.html
    """
    if connection.vendor != "postgresql":
        return list(rows)
    selecting, values = rows.query.sql_with_params()
    from psycopg.types.datetime import TimestamptzLoader  # only where PostgreSQL is

    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        return list(cursor.execute(selecting, values))


def insert_selected(model: type[Model], columns: Sequence[str], rows: QuerySet[Any, tuple[Any, ...]]) -> int:
    """What `rows` select, without coming here: `values_list` in the order of `columns`. Returns how many."""
    selecting, values = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) {selecting}", values)
        return int(cursor.rowcount)


def _adapted(value: Any) -> Any:
    """As text that a COPY takes, and in Django's words for SQLite."""
    if not isinstance(value, datetime):
        return value
    return str(value) if connection.vendor == "postgresql" else connection.ops.adapt_datetimefield_value(value)


def set_column(model: type[Model], column: str, values: Sequence[tuple[int, str]]) -> None:
    """Write one text column of many rows: (id, text)."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            ids = [pk for pk, _ in values]
            # The range adds nothing but a plan: without it the whole table is read for each batch.
            cursor.execute(
                f"UPDATE {table} SET {column} = v.text "  # noqa: S608 - names of our own models
                f"FROM unnest(%s::bigint[], %s::text[]) AS v(id, text) "
                f"WHERE {table}.id = v.id AND {table}.id BETWEEN %s AND %s",
                [ids, [text for _, text in values], min(ids), max(ids)],
            )
            return
        statement = f"UPDATE {table} SET {column} = %s WHERE id = %s"  # noqa: S608 - names of our own models
        cursor.executemany(statement, [(text, pk) for pk, text in values])
