"""One process of a run makes the tables by the migrations, and copies the database for the others.

pytest-django migrates in each process of pytest-xdist, which takes each of them as long as fifty tests.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from django.conf import settings
from django.db import connection


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment, django_db_modify_db_settings, django_db_blocker) -> Iterator[None]:
    """In place of pytest-django's. The name of the database ends with the one of the process."""
    usual = connection.settings_dict["NAME"]
    name = connection.settings_dict["TEST"]["NAME"] or f"test_{usual}"
    with django_db_blocker.unblock():
        if not _make_or_copy(name):
            connection.close()
            settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name
    yield
    with django_db_blocker.unblock():
        connection.creation.destroy_test_db(usual, verbosity=0)


def _make_or_copy(name: str) -> bool:
    """False if another process made this database. A process that pytest-xdist starts later makes its own."""
    with (settings.VAR_DIR.parent / "databases").open("a+") as file:
        # Until this process has copied its database, the others wait. Nobody is connected to it yet.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        copied = file.read().splitlines()
        if name in copied:
            return False
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        if not copied:
            for copy in _names_for_others(name):
                _copy_to(copy)
                file.write(f"{copy}\n")
    return True


def _names_for_others(name: str) -> list[str]:
    """Empty without pytest-xdist."""
    own = os.environ.get("PYTEST_XDIST_WORKER", "")
    workers = [f"gw{number}" for number in range(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")))]
    return [f"{name.removesuffix(own)}{worker}" for worker in workers if worker != own]


def _copy_to(name: str) -> None:
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        with closing(sqlite3.connect(name)) as copy:
            connection.connection.backup(copy)
        return
    source = connection.settings_dict["NAME"]
    # PostgreSQL copies no database that somebody is connected to.
    connection.close()
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
