"""A cache of the rows that connecting and a first download write. Tests load them instead of doing both again.

Hundreds of tests need the organization of a first download, and do not test the download itself. It took an eighth of
the CPU of all tests. So each process connects and downloads once in five minutes, in a savepoint and from a sandbox of
its own, and keeps the rows of all tables. `world` and `World.first_download` load them if that makes no difference: the
tables and the sandbox are unchanged, and no test has moved the clock. The test's sandbox has the same people, since it
is made as of the same moment. In all other tests, connecting and the download are real.

`CachedWorld.scene` does the same for fixtures that go on from there, or begin without a sandbox: the first test of a
process makes what the fixture promises, and the others load the rows and the state of the sandbox that it left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from django.db import connection, transaction

from integrations.connectors.miro.sandbox.behavior.toggles import Toggles
from integrations.connectors.miro.sandbox.server import Sandbox
from integrations.connectors.miro.sandbox.state.store import Store
from integrations.connectors.miro.sandbox.state.world import World as SandboxWorld
from subscriptions.models import DecidingRight
from tests.support.data.cached_rows import Rows, rows, write

T = TypeVar("T")

CACHE_SECONDS = 300
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
    "olivia",
    "operator",
    "as_user",
    "sign_in",
    "client",
    "admin_user",
    "admin_client",
    "django_user_model",
    "django_assert_num_queries",
    "django_assert_max_num_queries",
    "settings",
    "monkeypatch",
    "workers_called",
}


@dataclass
class Scene:
    """The state before and after a fixture. `state` is the one of its sandbox, if it has any."""

    before: Rows
    people: str
    after: Rows
    value: Any
    state: bytes


@dataclass
class CachedWorld:
    """The cached rows. `population` is the moment as of which the sandbox's people were made."""

    population: datetime = field(default_factory=lambda: datetime.now(UTC))
    made_at: float = field(default_factory=time.monotonic)
    state: bytes = b""
    people: str = ""
    before: Rows = field(default_factory=dict)
    connected: Rows = field(default_factory=dict)
    downloaded: Rows = field(default_factory=dict)
    scenes: dict[str, Scene] = field(default_factory=dict)

    def is_current(self) -> bool:
        """Whether it is young enough, and no test has moved the clock."""
        age = time.monotonic() - self.made_at
        moved = abs((datetime.now(UTC) - self.population).total_seconds() - age)
        return age < CACHE_SECONDS and moved < 1

    def start_sandbox(self, members: int) -> Sandbox:
        """A sandbox with people as of `population`. They are made for the first one, and copied for the others."""
        store = Store(None)
        if self.state:
            store._db.deserialize(self.state)
        world = SandboxWorld(store, members=members, seed=7, now=self.population)
        self.state = self.state or store._db.serialize()
        return Sandbox(world, port=0)

    def make(self, sandbox: Sandbox, connect: Callable[[], object], download: Callable[[], object]) -> None:
        """Connect and download from this sandbox, and leave nothing in the database."""
        self.before, self.people = downloadable(), people(sandbox)
        # No atomic block: that would be a transaction of the application, in which no vendor may be called.
        savepoint = transaction.savepoint()
        connect()
        self.connected = downloadable()
        download()
        self.downloaded = downloadable()
        transaction.savepoint_rollback(savepoint)

    def load_connected(self, sandbox: Sandbox) -> bool:
        return self._load(self.before, self.connected, sandbox)

    def load_downloaded(self, sandbox: Sandbox) -> bool:
        return self._load(self.connected, self.downloaded, sandbox)

    def _load(self, before: Rows, after: Rows, sandbox: Sandbox) -> bool:
        """Whether `after` could be loaded, because everything was as in `before`."""
        if not (after and connection.in_atomic_block and self.is_current()):
            return False
        if people(sandbox) != self.people or downloadable() != before:
            return False
        write(before, after)
        return True

    def scene(self, request: pytest.FixtureRequest, make: Callable[[], T], sandbox: Sandbox | None = None) -> T:
        """Call `make`, or load what it left when this fixture called it before and everything was the same.

        Returns what `make` returned. If that is a row of the database, read it again instead.
        """
        if not (self.is_current() and may_load(request, request.fixturename or "")):
            return make()
        before, seen = rows(), people(sandbox) if sandbox else ""
        name = f"{make.__module__}.{request.fixturename}"
        scene = self.scenes.get(name)
        if scene and (scene.before, scene.people) == (before, seen):
            write(before, scene.after)
            if sandbox:
                _go_to(sandbox, scene.state)
            return scene.value
        planned = _planned(sandbox)
        value = make()
        if _planned(sandbox) == planned:
            state = sandbox.world._store._db.serialize() if sandbox else b""
            self.scenes[name] = Scene(before, seen, rows(), value, state)
        return value


def downloadable() -> Rows:
    """All rows but those that come with an account: connecting and a download neither read nor write them."""
    return {table: lines for table, lines in rows().items() if table != DecidingRight._meta.db_table}


_latest = CachedWorld()


def current() -> CachedWorld:
    """The cache if it is current, else a new and empty one."""
    global _latest
    if not _latest.is_current():
        _latest = CachedWorld()
    return _latest


def long_ago() -> datetime:
    """The same in all tests that can share rows, so that the rows of their accounts are the same."""
    population = _latest.population if _latest.is_current() else datetime.now(UTC)
    return population - timedelta(days=200)


def may_load(request: pytest.FixtureRequest, name: str = "world") -> bool:
    """Whether the test rolls back, and no other fixture can change what the fixture `name` begins with."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    arguments = set(request.node._fixtureinfo.argnames) - set(parameters)
    return connection.in_atomic_block and all(
        other in HARMLESS | {name} or _needs(request, other, name) or _needs(request, name, other)
        for other in arguments
    )


def _needs(request: pytest.FixtureRequest, name: str, other: str) -> bool:
    """Whether this fixture asks for the other one, and so runs after it."""
    found = request.node._fixtureinfo.name2fixturedefs.get(name, ())
    asked = found[-1].argnames if found else ()
    return other in asked or any(_needs(request, one, other) for one in asked if one != name)


def people(sandbox: Sandbox) -> str:
    """Everything in the sandbox that a download can see, and the requests that were made to it."""
    world = sandbox.world
    seen = (world.secrets, world.members, world.teams, world.organization(), world.transitions, world.requests)
    return repr((seen, world._offset, world.toggles == Toggles(), _planned(sandbox)))


def _planned(sandbox: Sandbox | None) -> str:
    """The faults that are still to come."""
    if not sandbox:
        return ""
    return repr(([fault for fault in sandbox.faults._faults if fault.used != fault.times], sandbox.storm._fault_mix))


def _go_to(sandbox: Sandbox, state: bytes) -> None:
    with sandbox.world.lock:
        sandbox.world._store._db.deserialize(state)
        sandbox.world._load(sandbox.world._store.all("meta"))
