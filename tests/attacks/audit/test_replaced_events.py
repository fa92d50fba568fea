"""SQLite has no users with rights. Its triggers refuse each statement that changes, replaces or removes an event."""

# ruff: noqa: S608 - the statements have names of our own tables

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction

from licensehub.audit.models import AuditEvent
from subscriptions.profiles import lifecycle


@pytest.mark.skipif(not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"), reason="PostgreSQL has no REPLACE")
def test_sqlite_refuses_to_replace_an_event(db):
    """REPLACE INTO, INSERT OR REPLACE and UPDATE OR REPLACE delete rows without the trigger of a DELETE."""
    lifecycle.create_profile(name="Northwind", organization_id="1", kind="miro_enterprise", actor=None)
    event = AuditEvent.objects.get()
    columns = ", ".join(field.column for field in AuditEvent._meta.concrete_fields)
    forged = columns.replace("actor_name", "'mallory'")
    for statement in (
        f"REPLACE INTO audit_auditevent ({columns}) SELECT {forged} FROM audit_auditevent",
        f"INSERT OR REPLACE INTO audit_auditevent ({columns}) SELECT {forged} FROM audit_auditevent",
        "UPDATE OR REPLACE audit_auditevent SET actor_name = 'mallory'",
        "DELETE FROM audit_auditevent",
    ):
        with (
            pytest.raises((IntegrityError, DatabaseError), match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    assert AuditEvent.objects.get().actor_name == event.actor_name
    with pytest.raises(CommandError, match="SQLite has no roles"):
        call_command("grant_roles")
