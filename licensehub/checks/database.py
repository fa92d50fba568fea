"""The system checks of the database: its tables, and whether the users of PostgreSQL may do more than they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

from integrations.connectors.contract import english
from integrations.installation import findings
from licensehub.database import pooling, rights, schema_edition
from licensehub.database.roles import Role

SHOWN: Final = 5
OWNER: Final = english(
    "LicenseHub reaches PostgreSQL as {user}, who is not the user of the web processes, of the workers or of beat. "
    "Somebody who takes over a process may then change the audit log. Set up these users: see docs/database-roles.md."
)
DIFFERENT: Final = english(
    "The rights of {user} in PostgreSQL are not the declared ones: {differences}. Run manage.py grant_roles as the "
    "owner."
)


def problem() -> str:
    """Return what is wrong with the user of this process or with one of the others, in English; empty if nothing is."""
    user = rights.current_user()
    if not user:
        return ""
    if user not in {role.user for role in Role}:
        return OWNER.format(user=user)
    for role in Role:
        if found := rights.differences(role):
            more = f" ({len(found) - SHOWN} more)" if len(found) > SHOWN else ""
            return DIFFERENT.format(user=role.user, differences="; ".join(found[:SHOWN]) + more)
    return ""


def pool_problem() -> str:
    """Return why the way to the database does not work, and what to do; empty if it does, or if nothing answers."""
    try:
        return f"{pooling.POOLED} {pooling.HINT}" if pooling.is_pooled(connection) else ""
    except DatabaseError:
        return ""


def report() -> None:
    """At the start of a worker: show the problem on the overview until it is repaired."""
    text = problem()
    if text:
        findings.report(findings.DATABASE_RIGHTS, text)
    else:
        findings.clear(findings.DATABASE_RIGHTS)


@register(Tags.database)
def check_database_rights(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """The user of DATABASE_URL and the other ones have the declared rights, and no other."""
    if not databases or connection.vendor != "postgresql" or settings.OWNER_ACTS:
        return []
    try:
        sentence = problem()
    except DatabaseError:
        return []  # `migrate` reports a database that does not answer
    hint = "Set DATABASE_URL of web, worker and beat, and DATABASE_OWNER_URL: docs/database-roles.md says how."
    return [Warning(sentence, hint=hint, id="licensehub.W050")] if sentence else []


@register
def check_database_users(**_: Any) -> list[CheckMessage]:
    """Web, workers and beat have three users."""
    names = {role.user for role in Role}
    if len(names) == len(Role) and all(name.replace("_", "").isalnum() for name in names):
        return []
    sentence = "DATABASE_WEB_USER, DATABASE_WORKER_USER and DATABASE_BEAT_USER are not three names."
    hint = "Write three different names of letters, digits and _."
    return [Error(sentence, hint=hint, id="licensehub.E052")]


@register(Tags.database)
def check_schema_edition(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """The tables were made by the initial migrations as they are now."""
    if not databases:
        return []
    try:
        found = schema_edition.differences()
    except DatabaseError:
        return []  # `migrate` reports a database that does not answer
    if not found:
        return []
    more = f" ({len(found) - SHOWN} more)" if len(found) > SHOWN else ""
    sentence = f"The database was made by another edition of this version: {'; '.join(found[:SHOWN])}{more}."
    hint = (
        "Before the first release there is no way from one edition to another. Run the edition that made it, or create "
        "an empty database, name it in DATABASE_URL (or move var/licensehub.sqlite3 away), and run `manage.py "
        "migrate`. Keep the old database for its audit log."
    )
    return [Error(sentence, hint=hint, id="licensehub.E076")]


@register(Tags.database)
def check_pool(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Each connection to PostgreSQL keeps its session."""
    if databases and pool_problem():
        return [Error(pooling.POOLED, hint=pooling.HINT, id="licensehub.E078")]
    return []
