"""System check of what is stored: `manage.py check --database default`, and each start of `manage.py run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

from integrations.key_rotation import under_former_keys, unreadable_connections
from integrations.models import Connection


@register(Tags.database)
def check_stored_credentials(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Does CREDENTIAL_KEYS still open what is stored?"""
    if not databases or not settings.CREDENTIAL_KEYS or not _has_table():
        return []
    unreadable = unreadable_connections()
    if unreadable:
        return [_unreadable(connection) for connection in unreadable]
    former = under_former_keys()
    return [_under_former(former)] if former else []


def _has_table() -> bool:
    """Before the first migration there is none; a database that is away is another check's business."""
    try:
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(cursor, Connection._meta.db_table)
    except DatabaseError:
        return False
    return "refresh_lease" in {column.name for column in columns}


def _unreadable(stored: Connection) -> CheckMessage:
    return Error(
        f"No key of CREDENTIAL_KEYS opens the credentials of “{stored}”, or they were changed.",
        hint="Put the former key back behind the new one, or set these credentials again on the connection's page.",
        id="licensehub.E021",
    )


def _under_former(count: int) -> CheckMessage:
    connections = "1 connection is" if count == 1 else f"{count:,} connections are"
    return Warning(
        f"{connections} not yet encrypted under the newest of CREDENTIAL_KEYS.",
        hint="Run `manage.py rotate_credentials_key`; after that the former keys can be removed.",
        id="licensehub.W002",
    )
