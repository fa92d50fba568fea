"""Statements that write or read very many rows at once, where one object for each row would be too slow.

The differences between PostgreSQL and SQLite are here, so that the modules above write each statement once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Model, QuerySet

# The settings for a statement about all rows of a large table: see `large_tables`.
# Without the last one PostgreSQL would plan a cursor as if only a tenth of its rows were read.
LARGE = {"enable_nestloop": "off", "hash_mem_multiplier": "1000", "cursor_tuple_fraction": "1"}
# Up to this many rows are looked up one by one. With a million people, a plan for all rows would take half a second.
FEW = 100

# Only names of our own tables and columns go into the braces of a statement; all values are parameters.
INSERT_ROW = "INSERT INTO {into} VALUES ({places})"
INSERT_SELECTED = "INSERT INTO {into} {selected}"
NEW_IDS = "SELECT nextval((SELECT pg_get_serial_sequence(%s, 'id')::regclass)) FROM generate_series(1, %s)"
UPDATE_TEXT = "UPDATE {table} SET {column} = %s WHERE id = %s"
UPDATE_TEXTS = """
UPDATE {table} SET {column} = v.text
  FROM unnest(%s::bigint[], %s::text[]) AS v(id, text)
 WHERE {table}.id = v.id
   -- The range excludes no row. Without it PostgreSQL reads the whole table for each batch.
   AND {table}.id BETWEEN %s AND %s
"""


# --- Any statement ----------------------------------------------------------------------------------------------------


def execute(statement: str, parameters: Iterable[Any] = ()) -> int:
    """Run a statement that writes. Returns how many rows it wrote."""
    with connection.cursor() as cursor:
        cursor.execute(_translated(statement), adapted(parameters))
        return int(cursor.rowcount)


def fetch_row(statement: str, parameters: Iterable[Any] = ()) -> tuple[Any, ...]:
    """Run a statement that selects. Returns its first row; empty where it selects no row."""
    with connection.cursor() as cursor:
        cursor.execute(_translated(statement), adapted(parameters))
        return tuple(cursor.fetchone() or ())


def fetch_all(statement: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement that selects. Returns all its rows."""
    with connection.cursor() as cursor:
        cursor.execute(_translated(statement), adapted(parameters))
        return list(cursor.fetchall())


def fetch_column(statement: str, parameters: Iterable[Any] = ()) -> list[Any]:
    """Run a statement that selects. Returns the first column of its rows."""
    with connection.cursor() as cursor:
        cursor.execute(_translated(statement), adapted(parameters))
        return [row[0] for row in cursor.fetchall()]


def _translated(statement: str) -> str:
    """SQLite has IS DISTINCT FROM only since version 3.39; its IS NOT means the same."""
    return statement.replace("IS DISTINCT FROM", "IS NOT") if connection.vendor == "sqlite" else statement


def adapted(values: Iterable[Any]) -> list[Any]:
    """The values as parameters. SQLite has no type for a datetime, and gets the text that Django writes."""
    adapt = connection.ops.adapt_datetimefield_value
    return [adapt(value) if isinstance(value, datetime) else value for value in values]


# --- Plans ------------------------------------------------------------------------------------------------------------


@contextmanager
def large_tables() -> Iterator[None]:
    """In the `with` block, PostgreSQL plans no nested loops, and puts lists of any length into a hash table.

    PostgreSQL chooses a nested loop when it expects a small table, e.g. one that was empty a moment ago, or that
    autovacuum cleaned after a load was rolled back. Then one statement about a million rows takes hours. If it expects
    that the list of a subquery, e.g. the protections, does not fit into memory, it reads this list again for each row.
    Statements after the block are planned as usual.
    """
    with transaction.atomic():
        before = _current_settings()
        _set_local(LARGE)
        yield
        # After an error there is nothing to do: the rollback also restores the settings.
        _set_local(before)


def expect_large_tables() -> None:
    """Plan as in `large_tables` until the transaction ends, and count in hash tables instead of sorting.

    Do not use it for a statement with an ORDER BY: PostgreSQL would choose between a sort and a nested loop.
    """
    _set_local({**LARGE, "enable_sort": "off"})


def planned_for(number: int) -> AbstractContextManager[None]:
    """A transaction with statements about so many rows. For more than FEW rows it plans as `large_tables`.

    For a few rows the usual plan is fast, and no plan is quadratic.
    """
    return transaction.atomic() if number <= FEW else large_tables()


def _set_local(settings: Mapping[str, str]) -> None:
    if connection.vendor == "postgresql" and settings:
        with connection.cursor() as cursor:
            calls = ", ".join(["set_config(%s, %s, true)"] * len(settings))
            cursor.execute(f"SELECT {calls}", [part for setting in settings.items() for part in setting])


def _current_settings() -> dict[str, str]:
    if connection.vendor != "postgresql":
        return {}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(['current_setting(%s)'] * len(LARGE))}", list(LARGE))
        return dict(zip(LARGE, cursor.fetchone(), strict=True))


# --- Many rows --------------------------------------------------------------------------------------------------------


def new_ids(model: type[Model], count: int) -> list[int]:
    """Get ids that no other process gets.

    Call it in the transaction that uses them: on SQLite, its write lock keeps other processes away.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(NEW_IDS, [model._meta.db_table, count])
            return [row[0] for row in cursor.fetchall()]
    first = (model._base_manager.aggregate(last=Max("pk"))["last"] or 0) + 1
    return list(range(first, first + count))


def insert(
    model: type[Model], columns: Sequence[str], rows: Iterable[tuple[Any, ...]], same: Mapping[str, Any]
) -> None:
    """Insert rows of which some columns differ (`columns`) and the others have the `same` value. JSON comes as text.

    Columns are named as in the database. Raises IntegrityError, and then inserts no row.
    """
    shared = list(same.values())
    if connection.vendor == "postgresql":
        # A COPY takes text. So each shared value is converted once, not once for each row.
        shared = [str(value) if isinstance(value, datetime) else value for value in shared]
    copy_or_insert(model, (*columns, *same), ((*row, *shared) for row in rows))


def copy_or_insert(
    model: type[Model], columns: Sequence[str], rows: Iterable[tuple[Any, ...]], *, types: Sequence[str] = ()
) -> None:
    """Write rows with one COPY on PostgreSQL, else with INSERT.

    With `types` (PostgreSQL's names) the COPY is binary, so that no side writes or reads dates as text.
    https://www.psycopg.org/psycopg3/docs/basic/copy.html
    """
    into = f"{model._meta.db_table} ({', '.join(columns)})"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            statement = f"COPY {into} FROM STDIN{' (FORMAT BINARY)' if types else ''}"
            with connection.wrap_database_errors, cursor.copy(statement) as copy:
                if types:
                    copy.set_types(list(types))
                for row in rows:
                    copy.write_row(row)
        else:
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(INSERT_ROW.format(into=into, places=places), [adapted(row) for row in rows])


def insert_selected(model: type[Model], columns: Sequence[str], rows: QuerySet[Any, tuple[Any, ...]]) -> int:
    """Insert what a `values_list` selects, in the order of `columns`, inside the database. Returns how many rows."""
    selected, values = rows.query.sql_with_params()
    into = f"{model._meta.db_table} ({', '.join(columns)})"
    return execute(INSERT_SELECTED.format(into=into, selected=selected), values)


def read(rows: QuerySet[Any, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Read the rows of a `values_list`. psycopg loads the datetimes, five times as fast as Django does.

    They are in UTC, like the session. https://www.psycopg.org/psycopg3/docs/advanced/adapt.html
    """
    if connection.vendor != "postgresql":
        return list(rows)
    selecting, values = rows.query.sql_with_params()
    from psycopg.types.datetime import TimestamptzLoader  # psycopg is installed only with PostgreSQL

    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        return list(cursor.execute(selecting, values))


def batches(ids: QuerySet[Any, int], size: int) -> Iterator[list[int]]:
    """The ids of a `values_list` in ascending order, so many at once. All are read now, and take eight bytes each."""
    with large_tables():
        found = array("q", ids.order_by("pk").iterator(chunk_size=size))
    return (found[start : start + size].tolist() for start in range(0, len(found), size))


def set_column(model: type[Model], column: str, values: Sequence[tuple[int, str]]) -> None:
    """Write one text column of many rows: (id, text)."""
    names = {"table": model._meta.db_table, "column": column}
    with planned_for(len(values)), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            ids = [pk for pk, _ in values]
            texts = [text for _, text in values]
            cursor.execute(UPDATE_TEXTS.format(**names), [ids, texts, min(ids), max(ids)])
        else:
            cursor.executemany(UPDATE_TEXT.format(**names), [(text, pk) for pk, text in values])
