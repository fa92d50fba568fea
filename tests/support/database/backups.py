"""A backup of the test's own database, and the way back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection


class Backup:
    """Made in the middle of a test, restored as often as wanted; other connections must be closed meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "backup.sqlite3"
        self._name = f"{connection.settings_dict['NAME']}_backup"

    def make(self) -> None:
        if connection.vendor == "sqlite":
            with sqlite3.connect(self._file) as copy:
                connection.connection.backup(copy)
            copy.close()
        else:
            self._copy(connection.settings_dict["NAME"], self._name)

    def restore(self) -> None:
        if connection.vendor == "sqlite":
            connection.close()
            name = Path(connection.settings_dict["NAME"])
            for old in (name, name.with_name(name.name + "-wal"), name.with_name(name.name + "-shm")):
                old.unlink(missing_ok=True)
            name.write_bytes(self._file.read_bytes())
        else:
            self._copy(self._name, connection.settings_dict["NAME"])

    def remove(self) -> None:
        if connection.vendor != "sqlite":
            with connection._nodb_cursor() as cursor:
                cursor.execute(f'DROP DATABASE IF EXISTS "{self._name}"')

    def _copy(self, origin: str, copy: str) -> None:
        connection.close()
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{copy}" WITH (FORCE)')
            cursor.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{origin}"')


@pytest.fixture
def backup(real_transactions, tmp_path) -> Iterator[Backup]:
    made = Backup(tmp_path)
    yield made
    made.remove()


@pytest.fixture
def head_file(settings, tmp_path) -> Path:
    """Nothing is kept yet."""
    settings.AUDIT_HEAD_FILE = tmp_path / "kept" / "audit-head.json"
    return settings.AUDIT_HEAD_FILE


@pytest.fixture
def broker_away(settings, tmp_path) -> None:
    """Whatever the tests before have started, nobody answers here."""
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
