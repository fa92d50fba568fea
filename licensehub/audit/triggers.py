"""Triggers that make the audit append-only, in the SQL of each database."""

from __future__ import annotations

from django.db import NotSupportedError
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "audit_auditevent"

POSTGRESQL_CREATE = f"""
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON {TABLE}
    FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON {TABLE}
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
"""
POSTGRESQL_DROP = f"""
DROP TRIGGER audit_no_change ON {TABLE};
DROP TRIGGER audit_no_truncate ON {TABLE};
DROP FUNCTION audit_append_only();
"""
SQLITE_CREATE = (
    f"CREATE TRIGGER audit_no_update BEFORE UPDATE ON {TABLE} "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
    f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON {TABLE} "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
)
SQLITE_DROP = ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete")


def create(connection: BaseDatabaseWrapper) -> None:
    _execute(connection, POSTGRESQL_CREATE, SQLITE_CREATE)


def drop(connection: BaseDatabaseWrapper) -> None:
    _execute(connection, POSTGRESQL_DROP, SQLITE_DROP)


def _execute(connection: BaseDatabaseWrapper, postgresql: str, sqlite: tuple[str, ...]) -> None:
    statements = {"postgresql": (postgresql,), "sqlite": sqlite}.get(connection.vendor)
    if statements is None:
        raise NotSupportedError(f"LicenseHub runs on PostgreSQL and SQLite, not on {connection.vendor}")
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
