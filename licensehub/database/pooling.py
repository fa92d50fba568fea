"""Detects a pool between LicenseHub and PostgreSQL that gives each transaction another session.

PgBouncer does so with `pool_mode=transaction` or `statement`: https://www.pgbouncer.org/features.html. LicenseHub reads
long lists by cursors that outlive a transaction, so that its memory stays flat. Behind such a pool the next rows of a
cursor are asked from a session that does not know it, and the reading fails.
"""

from __future__ import annotations

from contextlib import closing
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from integrations.connectors.contract import english

# A busy pool may give a connection the same session again.
TRIES: Final = 5
POOLED: Final = english(
    "LicenseHub reaches PostgreSQL through a pool that gives each transaction another session, such as PgBouncer in "
    "transaction mode. Lists that are read row by row fail behind it."
)
HINT: Final = english(
    "Set pool_mode=session for this database and its users in PgBouncer, or let DATABASE_URL name PostgreSQL itself."
)


def is_pooled(database: BaseDatabaseWrapper) -> bool:
    """Whether two connections at once share a session, or one changes its session. Opens two connections.

    Without a pool, or with one for each session, neither happens.
    """
    if database.vendor != "postgresql":
        return False
    with closing(database.copy()) as one, closing(database.copy()) as other:
        return any(_share(one, other) for _ in range(TRIES))


def _share(one: BaseDatabaseWrapper, other: BaseDatabaseWrapper) -> bool:
    """Ask for the session of `one` twice, and once more while `other` keeps its session by a transaction."""
    session = _session(one)
    if _session(one) != session:
        return True
    other.set_autocommit(False)
    try:
        # Where they are the same, `one` would have to wait for the pool.
        return _session(other) == session or _session(one) != session
    finally:
        other.rollback()
        other.set_autocommit(True)


def _session(database: BaseDatabaseWrapper) -> int:
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (number,) = cursor.fetchone()
    return int(number)
