"""The system checks of what the database holds already: tables of an old version, and encrypted credentials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder

from integrations.credentials.key_rotation import under_former_keys, unreadable_connections
from integrations.models import Connection
from licensehub.checks.configuration import error

# Migrations of the versions before 0.1.0. They are one `0001_initial` now, which Django believes to be applied.
OLD_MIGRATIONS: Final = {("audit", "0002_lists"), ("integrations", "0002_connect"), ("subscriptions", "0002_roles")}


@register(Tags.database)
def check_old_database(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """A database of a version before 0.1.0 has other tables, and no migration can mend that."""
    if not databases:
        return []
    try:
        applied = set(MigrationRecorder(connection).applied_migrations())
    except DatabaseError:
        return []
    if not applied & OLD_MIGRATIONS:
        return []
    hint = (
        "Make a new one: create an empty database, name it in DATABASE_URL (or move var/licensehub.sqlite3 away), and "
        "run `manage.py migrate`. Keep the old database for its audit log."
    )
    sentence = "This database was made by a version before 0.1.0, and this version cannot read it."
    return [error("E023", sentence, hint)]


@register(Tags.database)
def check_stored_credentials(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """CREDENTIAL_KEYS must still decrypt the stored credentials."""
    if not databases or not settings.CREDENTIAL_KEYS or not has_connections():
        return []
    hint = "Put the former key back behind the new one, or set these credentials again on the connection's page."
    unreadable: list[CheckMessage] = [
        error("E021", f"CREDENTIAL_KEYS cannot decrypt the credentials of “{stored}”, or they were changed.", hint)
        for stored in unreadable_connections()
    ]
    return unreadable or former_keys()


def has_connections() -> bool:
    """Whether their table is up to date. A database that does not answer is reported by `migrate`."""
    try:
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(cursor, Connection._meta.db_table)
    except DatabaseError:
        return False
    return "refresh_lease" in {column.name for column in columns}


def former_keys() -> list[CheckMessage]:
    """A former key cannot be removed while something is still encrypted under it."""
    count = under_former_keys()
    if not count:
        return []
    connections = "1 connection is" if count == 1 else f"{count:,} connections are"
    sentence = f"{connections} not yet encrypted under the newest of CREDENTIAL_KEYS."
    hint = "Run `manage.py rotate_credentials_key`; after that the former keys can be removed."
    return [Warning(sentence, hint=hint, id="licensehub.W003")]
