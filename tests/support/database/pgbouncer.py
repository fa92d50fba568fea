"""A real PgBouncer before the test database."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PORT = 6432
START_SECONDS = 30.0


@contextmanager
def pgbouncer(mode: str) -> Iterator[BaseDatabaseWrapper]:
    """Run it in this `pool_mode`, on a socket. Yields a connection of Django through it."""
    facts = connection.settings_dict
    # It refuses to run as root, and then runs as the owner of the cluster. The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="pgb", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        process = _start(folder, mode)
        through = connection.copy()
        through.settings_dict = {**facts, "HOST": name, "PORT": str(PORT), "OPTIONS": {}}
        try:
            _wait_for(folder / f".s.PGSQL.{PORT}", folder / "log")
            yield through
        finally:
            through.close()
            process.terminate()
            process.wait(timeout=START_SECONDS)


def _start(folder: Path, mode: str) -> subprocess.Popen[bytes]:
    facts = connection.settings_dict
    host = facts["HOST"] or facts["OPTIONS"].get("host", "")
    behind = f"host={host} port={facts['PORT'] or facts['OPTIONS'].get('port') or 5432} user={facts['USER']}"
    behind += f" password={facts['PASSWORD']}" if facts["PASSWORD"] else ""
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n* = {behind}\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\nunix_socket_dir = {folder}\n"
        f"auth_type = any\npool_mode = {mode}\nignore_startup_parameters = options\nquery_wait_timeout = 5\n"
    )
    config.chmod(0o644)
    assert PROGRAM
    user = ["-u", Path(host).owner()] if os.getuid() == 0 else []
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([PROGRAM, *user, str(config)], stdout=log, stderr=log)


def _wait_for(socket: Path, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not socket.exists():
        if time.monotonic() > until:
            pytest.fail(f"PgBouncer did not start:\n{log.read_text()}")
        time.sleep(0.1)
