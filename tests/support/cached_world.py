"""A cache of the rows that connecting and a first download write. Tests load them instead of doing both again.

Hundreds of tests need the organization of a first download, and do not test the download itself. It took an eighth of
the CPU of all tests. So each process connects and downloads once in five minutes, in a savepoint and from a sandbox of
its own, and keeps the rows of all tables. `world` and `World.first_download` load them if that makes no difference: the
tables and the sandbox are unchanged, and no test has moved the clock. The test's sandbox has the same people, since it
is made as of the same moment. In all other tests, connecting and the download are real.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

import pytest
from django.apps import apps
from django.db import connection, transaction

from integrations.connectors.miro.sandbox.behavior.toggles import Toggles
from integrations.connectors.miro.sandbox.server import Sandbox

CACHE_SECONDS = 300
# Users and their groups are made beside the world, before it or after it.
BESIDE = {"auth", "admin", "contenttypes", "sessions"}
# Fixtures that change nothing that a download reads before the test itself begins.
HARMLESS = {
    "world",
    "sandbox",
    "at_sandbox",
    "db",
    "alice",
    "bob",
    "carol",
    "dave",
    "as_user",
    "settings",
    "monkeypatch",
}

# The rows of each table that has any, as the database wrote them and reads them again in one go.
Rows = dict[str, list[str]]


@dataclass
class CachedWorld:
    """The cached rows. `population` is the moment as of which the sandbox's people were made."""

    population: datetime = field(default_factory=lambda: datetime.now(UTC))
    made_at: float = field(default_factory=time.monotonic)
    people: str = ""
    before: Rows = field(default_factory=dict)
    connected: Rows = field(default_factory=dict)
    downloaded: Rows = field(default_factory=dict)

    def is_current(self) -> bool:
        """Whether it is young enough, and no test has moved the clock."""
        age = time.monotonic() - self.made_at
        moved = abs((datetime.now(UTC) - self.population).total_seconds() - age)
        return age < CACHE_SECONDS and moved < 1

    def make(self, sandbox: Sandbox, connect: Callable[[], object], download: Callable[[], object]) -> None:
        """Connect and download from this sandbox, and leave nothing in the database."""
        self.before, self.people = rows(), people(sandbox)
        # No atomic block: that would be a transaction of the application, in which no vendor may be called.
        savepoint = transaction.savepoint()
        connect()
        self.connected = rows()
        download()
        self.downloaded = rows()
        transaction.savepoint_rollback(savepoint)

    def load_connected(self, sandbox: Sandbox) -> bool:
        return self._load(self.before, self.connected, sandbox)

    def load_downloaded(self, sandbox: Sandbox) -> bool:
        return self._load(self.connected, self.downloaded, sandbox)

    def _load(self, before: Rows, after: Rows, sandbox: Sandbox) -> bool:
        """Whether `after` could be loaded, because everything was as in `before`."""
        if not (after and connection.in_atomic_block and self.is_current()):
            return False
        if people(sandbox) != self.people or rows() != before:
            return False
        for table, kept in after.items():
            if kept != before.get(table):
                _write(table, before.get(table, []), kept)
        return True


_latest = CachedWorld()


def current() -> CachedWorld:
    """The cache if it is current, else a new and empty one."""
    global _latest
    if not _latest.is_current():
        _latest = CachedWorld()
    return _latest


def may_load(request: pytest.FixtureRequest) -> bool:
    """Whether the test rolls back, and no fixture before `world` can change a download."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    arguments = set(request.node._fixtureinfo.argnames) - set(parameters)
    return connection.in_atomic_block and all(name in HARMLESS or _needs_world(request, name) for name in arguments)


def _needs_world(request: pytest.FixtureRequest, name: str) -> bool:
    """Whether this fixture asks for `world`, and so runs after it."""
    found = request.node._fixtureinfo.name2fixturedefs.get(name, ())
    return bool(found) and "world" in found[-1].argnames


def people(sandbox: Sandbox) -> str:
    """Everything in the sandbox that a download can see, and the requests that were made to it."""
    world = sandbox.world
    seen = (world.secrets, world.members, world.teams, world.organization(), world.transitions, world.requests)
    behavior = (world._offset, sandbox.faults._faults, sandbox.storm._fault_mix, world.toggles == Toggles())
    return repr((seen, behavior))


# --- Rows -------------------------------------------------------------------------------------------------------------


@cache
def _columns() -> dict[str, str]:
    """Table -> its columns, without those that the database computes."""
    return {
        model._meta.db_table: ", ".join(f'"{f.column}"' for f in model._meta.local_concrete_fields if not f.generated)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and model._meta.app_label not in BESIDE
    }


def rows() -> Rows:
    columns = _columns()
    asked = ", ".join(f"EXISTS (SELECT 1 FROM {table})" for table in columns)  # noqa: S608 - names of our own models
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {asked}")
        filled = [table for table, found in zip(columns, cursor.fetchone(), strict=True) if found]
    read = _copied if connection.vendor == "postgresql" else _quoted
    return {table: read(table, columns[table]) for table in filled}


def _copied(table: str, columns: str) -> list[str]:
    command = f"COPY (SELECT {columns} FROM {table} ORDER BY 1) TO STDOUT"  # noqa: S608 - names of our own models
    with connection.cursor() as cursor, cursor.copy(command) as out:
        return b"".join(out).decode().splitlines(keepends=True)


def _quoted(table: str, columns: str) -> list[str]:
    """The rows as SQL. SQLite's driver would convert moments, and could not write them again."""
    values = " || ',' || ".join(f"quote({column})" for column in columns.split(", "))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {values} FROM {table} ORDER BY {columns.partition(',')[0]}")  # noqa: S608 - names of our own models
        return [f"({row})" for (row,) in cursor.fetchall()]


def _write(table: str, before: list[str], after: list[str]) -> None:
    """Foreign keys are checked at the end of the transaction, so that the order of the tables does not matter."""
    added = after[len(before) :]
    with connection.cursor() as cursor:
        if after[: len(before)] != before:
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own models
            added = after
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({_columns()[table]}) FROM STDIN") as into:
                into.write("".join(added))
        elif added:
            cursor.execute(f"INSERT INTO {table} ({_columns()[table]}) VALUES {', '.join(added)}")  # noqa: S608 - our own rows
