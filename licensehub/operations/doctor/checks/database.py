"""The database: does it answer, is it new enough, in the right encoding, and up to date?"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core import checks as django_checks
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from integrations.connectors.contract import english, english_plural
from licensehub.checks import database
from licensehub.database import pooling
from licensehub.database.roles import Role
from licensehub.operations.doctor.findings import HOUR, Context, Finding, Level, Step, check

# Django 5.2 needs these: https://docs.djangoproject.com/en/5.2/ref/databases/
OLDEST_POSTGRESQL: Final = 14
OLDEST_SQLITE: Final = (3, 31)
RESTART: Final = english("Then restart web, worker and beat.")
LOOK_CONNECTIONS, ACT_CONNECTIONS = 0.8, 0.95

_STATE: Final = """
SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
       current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery()
"""
_CONNECTIONS: Final = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
"""


@check("database", needs_database=False)
def answers(context: Context) -> Finding:
    """The database answers, has a version that works, and keeps all letters."""
    try:
        return _postgresql() if connection.vendor == "postgresql" else _sqlite()
    except DatabaseError as error:
        # The kind of error only: its text may hold the address.
        kind = type(error.__cause__ or error).__name__
        return Finding(
            Level.ACT,
            english("The database does not answer"),
            detail=english("The error was {error}.").format(error=kind),
            waits=english("Nobody can work. Approved seats that are not sent yet wait in the database."),
            steps=(Step(english("Check if PostgreSQL runs, if its disk has space, and if DATABASE_URL is right.")),),
        )


def _postgresql() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute(_STATE)
        number, encoding, read_only = cursor.fetchone()
    value = f"PostgreSQL {number // 10000}.{number % 10000}"
    if read_only:
        return Finding(
            Level.ACT,
            english("The database takes no changes"),
            value,
            english("It is a standby, or it is set to read only."),
            waits=english("Nothing is decided or sent until the database takes changes again."),
            steps=(Step(english("Let DATABASE_URL name the primary server.")),),
        )
    if number // 10000 < OLDEST_POSTGRESQL:
        text = english("LicenseHub needs PostgreSQL {oldest} or newer.").format(oldest=OLDEST_POSTGRESQL)
        steps = (Step(english("Upgrade PostgreSQL.")),)
        return Finding(Level.ACT, english("PostgreSQL is too old"), value, text, steps=steps)
    if encoding != "UTF8":
        text = english("Its encoding is {encoding}, which does not have the letters of all names.").format(
            encoding=encoding
        )
        steps = (Step(english("Make a database with the encoding UTF8, and move the data into it.")),)
        return Finding(Level.ACT, english("The database cannot store all letters"), value, text, steps=steps)
    return Finding(Level.OK, english("The database answers"), value)


def _sqlite() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()")
        (text,) = cursor.fetchone()
    value, version = f"SQLite {text}", tuple(int(part) for part in text.split(".")[:2])
    if version < OLDEST_SQLITE:
        return Finding(
            Level.ACT, english("SQLite is too old"), value, steps=(Step(english("Install a newer Python.")),)
        )
    if settings.HTTPS:
        detail = english("SQLite is for a demo on one machine. Several hosts cannot share it.")
        steps = (Step(english("Set DATABASE_URL to a PostgreSQL database.")),)
        return Finding(Level.LOOK, english("The database is SQLite"), value, detail, steps=steps)
    return Finding(Level.OK, english("The database answers"), value)


@check("migrations")
def migrations(context: Context) -> Finding:
    """The tables are those that this code expects."""
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    if missing:
        text = english_plural(
            "{count} migration was not applied.", "{count} migrations were not applied.", missing
        ).format(count=missing)
        steps: tuple[Step, ...] = (
            Step(english("Update the tables, as their owner."), "python manage.py migrate"),
            Step(RESTART),
        )
        return Finding(Level.ACT, english("The tables are older than the code"), detail=text, steps=steps)
    ours = {"audit", "ui", "integrations", "subscriptions", "sign_in"}
    unknown = [
        key for key in executor.loader.applied_migrations if key[0] in ours and key not in executor.loader.graph.nodes
    ]
    if unknown:
        detail = english("The database was made by a newer version: {migration}.").format(
            migration=".".join(unknown[0])
        )
        steps = (Step(english("Update this host to the version of the others.")),)
        return Finding(Level.ACT, english("The code is older than the tables"), detail=detail, steps=steps)
    return Finding(Level.OK, english("All migrations are applied"))


@check("settings", every=HOUR)
def system_checks(context: Context) -> Finding:
    """`manage.py check --database default` finds nothing."""
    found = django_checks.run_checks(databases=["default"])
    serious = [one for one in found if one.level >= django_checks.WARNING and not one.is_silenced()]
    # These have checks of their own here.
    serious = [one for one in serious if one.id not in ("licensehub.W010", "licensehub.W050", "licensehub.E078")]
    if not serious:
        return Finding(Level.OK, english("The settings are right"))
    serious.sort(key=lambda one: -one.level)
    text = english_plural("{count} setting is wrong", "{count} settings are wrong", len(serious)).format(
        count=len(serious)
    )
    steps = tuple(Step(f"{one.msg} {one.hint or ''} ({one.id})".replace("  ", " ")) for one in serious[:5])
    level = Level.ACT if serious[0].level >= django_checks.ERROR else Level.LOOK
    return Finding(level, text, detail=str(serious[0].msg), steps=steps)


@check("rights", every=HOUR)
def rights(context: Context) -> Finding:
    """Each user of the database may do what its process needs, and no more, and each process has its own."""
    if connection.vendor != "postgresql":
        return Finding(Level.NONE, english("SQLite has no users"), english("SQLite has none"))
    if problem := database.problem():
        steps: tuple[Step, ...] = (
            Step(
                english("Set up the users of web, workers and beat: docs/database-roles.md."),
                "python manage.py grant_roles",
            ),
        )
        return Finding(Level.LOOK, english("The rights in the database are wrong"), detail=problem, steps=steps)
    for row in filter(context.processes.is_alive, context.processes.rows):
        user, own = row.facts.get("database_user"), Role(row.kind).user
        if user and user != own:
            detail = english("{process} reaches the database as {user}, and not as {own}.").format(
                process=row.name, user=user, own=own
            )
            steps = (Step(english("Give it the address with its own user: docs/database-roles.md.")), Step(RESTART))
            title = english("A process has the database user of another one")
            return Finding(Level.LOOK, title, detail=detail, steps=steps)
    return Finding(Level.OK, english("The rights in the database are as declared"))


@check("connections")
def connection_budget(context: Context) -> Finding:
    """The processes together need fewer connections than the database has."""
    if connection.vendor != "postgresql":
        return Finding(Level.NONE, english("SQLite has no limit on connections"), english("no limit"))
    with connection.cursor() as cursor:
        cursor.execute(_CONNECTIONS)
        used, most = cursor.fetchone()
    # Each process of a worker keeps one connection; a scheduler has one as well.
    needed = sum(int(row.facts.get("processes") or 1) for row in context.processes.workers) + 1
    value = english("{used} of {most} connections").format(used=used, most=most)
    if max(used, needed) < LOOK_CONNECTIONS * most:
        return Finding(Level.OK, english("The database has connections left"), value)
    level = Level.ACT if used >= ACT_CONNECTIONS * most else Level.LOOK
    detail = english("The workers alone need {needed}.").format(needed=needed)
    steps = (
        Step(english("Raise max_connections of PostgreSQL, or start fewer processes: docs/deploy.md.")),
        Step(
            english("See who uses the connections."),
            'psql -c "SELECT usename, state, count(*) FROM pg_stat_activity GROUP BY 1, 2"',
        ),
    )
    waits = english("A process that gets no connection fails, and LicenseHub tries its task again. Nothing is lost.")
    return Finding(level, english("The database has few connections left"), value, detail, waits, steps)


@check("pool", every=HOUR)
def pool(context: Context) -> Finding:
    """Each connection to PostgreSQL keeps its session."""
    if not pooling.is_pooled(connection):
        return Finding(Level.OK, english("Each connection to the database keeps its session"))
    return Finding(
        Level.ACT,
        english("The pool before the database is in a mode that does not work"),
        detail=pooling.POOLED,
        waits=english("Exports, downloads and the verification of the audit fail until then."),
        steps=(Step(pooling.HINT), Step(RESTART)),
    )


def free_space(path: Path) -> tuple[int, int]:
    """Free and all bytes of the disk of a path."""
    usage = shutil.disk_usage(path)
    return usage.free, usage.total
