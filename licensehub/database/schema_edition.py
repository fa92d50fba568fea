"""Find out whether the tables are those of this version.

Before the first release, the initial migrations are edited in place. Django believes an edited one to be applied, and
the first use of a missing column would be an error in the middle of the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.apps import apps
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader

from licensehub.database.roles import OURS

# Every user may read the catalogs, also one without a right to the table.
COLUMNS_POSTGRESQL: Final = """
    SELECT c.relname, a.attname, a.attnotnull
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
      AND a.attnum > 0 AND NOT a.attisdropped
"""
NAMES_POSTGRESQL: Final = """
    SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'i'
    UNION
    SELECT conname FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
"""
COLUMNS_SQLITE: Final = """
    SELECT m.name, p.name, p."notnull" FROM sqlite_master m JOIN pragma_table_xinfo(m.name) p WHERE m.type = 'table'
"""
# A constraint has its name in the statement of its table only.
STATEMENTS_SQLITE: Final = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"

Columns = dict[str, dict[str, bool]]


def differences() -> list[str]:
    """Return how the database differs from the models, in English, e.g. `audit_auditevent has no column salt`.

    Apps with a migration that is not applied are left out: `migrate` changes their tables. Raises DatabaseError.
    """
    loader = MigrationLoader(connection)
    waiting = {app for app, name in loader.disk_migrations if (app, name) not in loader.applied_migrations}
    columns, names = _columns(), _names()
    found: list[str] = []
    for model in apps.get_models(include_auto_created=True):
        meta = model._meta
        if meta.app_label in OURS and meta.app_label not in waiting and meta.managed and not meta.proxy:
            found += _of_table(model, columns.get(meta.db_table), names)
    return found


def _of_table(model: type[models.Model], there: dict[str, bool] | None, names: str) -> Iterator[str]:
    table = model._meta.db_table
    if there is None:
        yield f"there is no table {table}"
        return
    fields = {str(field.column): field for field in model._meta.local_concrete_fields}
    yield from (f"{table} has no column {name}" for name in sorted(fields.keys() - there.keys()))
    yield from (f"{table} has a column {name} that is unknown" for name in sorted(there.keys() - fields.keys()))
    for name in sorted(fields.keys() & there.keys()):
        # The database computes a generated column, and none of them is NOT NULL.
        if there[name] == fields[name].null and not isinstance(fields[name], models.GeneratedField):
            yield f"{table}.{name} may {'' if there[name] is False else 'not '}be empty"
    named = [*model._meta.indexes, *model._meta.constraints]
    yield from (f"{table} has no {one.name}" for one in named if f'"{one.name}"' not in names)


def _columns() -> Columns:
    """Table -> column -> whether it is NOT NULL."""
    found: Columns = {}
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS_POSTGRESQL if connection.vendor == "postgresql" else COLUMNS_SQLITE)
        for table, column, filled in cursor.fetchall():
            found.setdefault(table, {})[column] = bool(filled)
    return found


def _names() -> str:
    """A text with the quoted name of each index and constraint."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(NAMES_POSTGRESQL)
            return " ".join(f'"{name}"' for (name,) in cursor.fetchall())
        cursor.execute(STATEMENTS_SQLITE)
        return " ".join(statement for (statement,) in cursor.fetchall())
