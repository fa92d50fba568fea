"""Commands say what to do when the database has no tables yet, instead of showing a traceback."""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor


def why_no_tables() -> str:
    """The next step if migrations are missing; empty if the database is complete, or cannot be reached."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return ""
    if not missing:
        return ""
    name = settings.DATABASES["default"]["NAME"]
    return (
        f"The database {name} has not all its tables yet. Run `make run` once, or `manage.py migrate`, then this "
        "command again. For the accounts of a demo, name its folder: LICENSEHUB_VAR=var/demo."
    )
