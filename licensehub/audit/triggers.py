"""Triggers that make the audit append-only, in the SQL of each database.

One change is possible: to erase the text of an event. Its label and its data become empty, its salt goes with them, and
every other column stays. The event that says which texts were erased keeps its own.
"""

from __future__ import annotations

from django.db import NotSupportedError
from django.db.backends.base.base import BaseDatabaseWrapper

from licensehub.audit.actions import Action

TABLE = "audit_auditevent"
ERASED = ("target_label", "data", "salt")
KEPT = (
    *("sequence", "at", "action", "actor_id", "actor_name", "target_type", "target_id", "correlation"),
    *("text_digest", "previous_hash", "hash", "hmac"),
)
_ERASES = (
    f"OLD.salt <> '' AND OLD.action <> '{Action.EVENTS_ERASED.value}' "
    "AND NEW.salt = '' AND NEW.target_label = '' AND NEW.data = '{}'"
)

POSTGRESQL_CREATE = f"""
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF {_ERASES} AND ({", ".join(f"NEW.{name}" for name in KEPT)})
            IS NOT DISTINCT FROM ({", ".join(f"OLD.{name}" for name in KEPT)}) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit is append-only';
END $$;
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
_THERE = f"SELECT 1 FROM {TABLE} WHERE sequence = NEW.sequence"  # noqa: S608 - a constant
SQLITE_CREATE = (
    f"CREATE TRIGGER audit_no_update BEFORE UPDATE ON {TABLE} "
    f"WHEN NOT ({_ERASES} AND {' AND '.join(f'NEW.{name} IS OLD.{name}' for name in KEPT)}) "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
    f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON {TABLE} "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
    # REPLACE INTO deletes the former row without the trigger above: https://www.sqlite.org/lang_conflict.html
    f"CREATE TRIGGER audit_no_replace BEFORE INSERT ON {TABLE} "
    f"WHEN EXISTS ({_THERE}) "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
)
SQLITE_DROP = ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete", "DROP TRIGGER audit_no_replace")


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
