"""The rights that a user of PostgreSQL really has, compared with `licensehub.database.roles`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.db import connection

from licensehub.database.roles import MAKE_TEMPORARY_TABLES, MIGRATIONS, SEE_MIGRATIONS, Role, declared, tables

_ATTRIBUTES: Final = """
SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication,
       EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND pg_has_role(rolname, c.relowner, 'USAGE')),
       has_schema_privilege(rolname, 'public', 'CREATE'),
       has_database_privilege(rolname, current_database(), 'CREATE')
  FROM pg_roles WHERE rolname = %s
"""
_ON_TABLES: Final = """
SELECT c.relname, word
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
       unnest(ARRAY['SELECT', 'INSERT', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS word
 WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND has_table_privilege(%s, c.oid, word)
"""
_ON_COLUMNS: Final = """
SELECT c.relname, a.attname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND has_column_privilege(%s, c.oid, a.attnum, 'UPDATE')
"""
_SEQUENCES: Final = """
SELECT c.relname, pg_get_serial_sequence(quote_ident(c.relname), a.attname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = 'public' AND c.relkind = 'r'
   AND pg_get_serial_sequence(quote_ident(c.relname), a.attname) IS NOT NULL
"""
_ON_DATABASE: Final = "SELECT has_database_privilege(%s, current_database(), 'TEMPORARY')"
DATABASE: Final = "the database"  # as the place of a right
TOO_MUCH: Final = "superuser, or may make users and databases", "owns tables", "may make tables", "may make schemas"


def users_that_exist() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        return {name for (name,) in cursor.fetchall()}


def sequences() -> list[tuple[str, str]]:
    """The tables of models whose ids come from a sequence, each with its name."""
    with connection.cursor() as cursor:
        cursor.execute(_SEQUENCES)
        return [(table, sequence) for table, sequence in cursor.fetchall() if table in tables()]


def current_user() -> str:
    """Empty for SQLite, which has no users."""
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return str(cursor.fetchone()[0])


def differences(role: Role) -> list[str]:
    """Return how the rights of the role's user differ from the declared ones: too much first, then what is missing."""
    with connection.cursor() as cursor:
        cursor.execute(_ATTRIBUTES, [role.user])
        found = cursor.fetchone()
        if found is None:
            return [f"there is no user {role.user}"]
        too_much = [words for has, words in zip(found, TOO_MUCH, strict=True) if has]
        if too_much:
            return too_much
        cursor.execute(_ON_TABLES, [role.user])
        has = set(cursor.fetchall())
        cursor.execute(_ON_COLUMNS, [role.user])
        has |= {(table, f"UPDATE of {column}") for table, column in cursor.fetchall()}
        cursor.execute(_ON_DATABASE, [role.user])
        if cursor.fetchone()[0]:
            has.add((DATABASE, "TEMPORARY"))
    needed = set(wanted(role))
    return [
        *(f"{right} on {table} is too much" for table, right in sorted(has - needed)),
        *(f"{right} on {table} is missing" for table, right in sorted(needed - has)),
    ]


def wanted(role: Role) -> Iterator[tuple[str, str]]:
    """Each declared right as table and right, e.g. `UPDATE of state`."""
    if role in SEE_MIGRATIONS:
        yield MIGRATIONS, "SELECT"
    if role in MAKE_TEMPORARY_TABLES:
        yield DATABASE, "TEMPORARY"
    known = tables()
    for table, rights in declared(role).items():
        has = {"SELECT": rights.select, "INSERT": rights.insert, "DELETE": rights.delete}
        yield from ((table, word) for word, wanted in has.items() if wanted)
        yield from ((table, f"UPDATE of {column}") for column in rights.columns(known[table]))
