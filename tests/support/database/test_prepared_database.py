"""The database that a process copies is the one that the migrations make."""

from __future__ import annotations

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.support.database.prepared_database import _names_for_others


def test_the_database_of_this_process_has_every_migration(db):
    executor = MigrationExecutor(connection)
    assert executor.loader.applied_migrations, "a new database has none"
    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []


def test_each_of_the_other_processes_gets_a_copy(monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    assert _names_for_others("test_licensehub_gw1") == ["test_licensehub_gw0", "test_licensehub_gw2"]


def test_a_process_alone_makes_no_copy(monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    assert _names_for_others("test_licensehub") == []
