"""Marks a connection as working or failed after a call through it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import transaction

from integrations.connectors.contract import ConfigError
from integrations.models import Connection, ConnectionState, IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now

# A connection that stays in Error has one event in this time, however often its error changes.
EVENT_AGAIN: Final = timedelta(days=1)


def mark_failed(profile: IntegrationProfile, error: ConfigError) -> None:
    """Set the connection that `error` names to Error, or all connections of the profile when it names none.

    A connection that has this error already is not changed.
    """
    known = Connection.objects.filter(profile=profile).exclude(state=ConnectionState.NOT_SET)
    if error.slot:
        known = known.filter(slot=error.slot)
    connections = known.exclude(state=ConnectionState.ERROR, error=error.message)
    with transaction.atomic():
        known.exclude(unanswered_since=None).update(unanswered_since=None)
        for connection in connections.select_for_update():
            was_error = connection.state == ConnectionState.ERROR
            _set_state(connection, ConnectionState.ERROR, error.message)
            if was_error and _was_recorded_lately(connection):
                continue
            record(Action.CONNECTION_FAILED, actor=None, target=connection, data={"error": error.message})


def mark_working(profile: IntegrationProfile, slot: str) -> None:
    """Set the connection to Working: the vendor has answered a call through this slot."""
    known = Connection.objects.filter(profile=profile, slot=slot)
    connections = known.exclude(state__in=(ConnectionState.WORKING, ConnectionState.NOT_SET))
    with transaction.atomic():
        known.exclude(unanswered_since=None).update(unanswered_since=None)
        for connection in connections.select_for_update():
            was_error = connection.state == ConnectionState.ERROR
            _set_state(connection, ConnectionState.WORKING, "")
            if was_error:
                record(Action.CONNECTION_RECOVERED, actor=None, target=connection)


def mark_unanswered(profile: IntegrationProfile, slot: str) -> None:
    """Note that nobody knows now whether the connection works. Its state stays."""
    first = Connection.objects.filter(profile=profile, slot=slot, unanswered_since=None)
    first.exclude(state=ConnectionState.NOT_SET).update(unanswered_since=database_now())


def _set_state(connection: Connection, state: ConnectionState, error: str) -> None:
    rows = Connection.objects.filter(pk=connection.pk)
    since = connection.state_changed_at if connection.state == state else database_now()
    rows.update(state=state, error=error, state_changed_at=since)


def _was_recorded_lately(connection: Connection) -> bool:
    events = AuditEvent.objects.filter(action=Action.CONNECTION_FAILED, at__gt=database_now() - EVENT_AGAIN)
    return events.filter(target_type=Connection._meta.label_lower, target_id=connection.pk).exists()


def broken_connections(profile: IntegrationProfile) -> list[Connection]:
    return list(Connection.objects.filter(profile=profile, state=ConnectionState.ERROR).select_related("profile"))
